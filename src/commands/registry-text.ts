/**
 * Writes the webhooks and sources of a relay as a file that registry-file.ts reads. Pure.
 *
 * Guarantee: the file contains no secret, and no masked one but URLs. With its variables set, applying it to the same relay
 * changes nothing.
 */
import { stringify } from 'yaml'
import { isJsonObject, type Json, type JsonObject } from '../core/platform/json.js'
import { MASK } from '../core/webhook/credentials-mask.js'
import { SourceCreate, type OwnSource } from '../core/source/own-source.js'
import { WebhookCreate, type WebhookView } from '../core/webhook/webhook.js'
import { escapeReferences, referenceTo } from './references.js'

/** The API shows summaries of these, from which the certificates cannot be restored. */
const CERTIFICATES = ['client_cert', 'ca']

/** @returns YAML that ends with a line break; sources only if there are any */
export function writeRegistryFile(webhooks: readonly WebhookView[], sources: readonly OwnSource[] = []): string {
  const variables = new Set<string>()
  const lists = [
    ...linesOf('webhooks', webhooks, obstacleOf, itemOf, variables),
    ...(sources.length === 0 ? [] : linesOf('sources', sources, sourceObstacleOf, sourceItemOf, variables)),
  ]
  const head =
    variables.size > 0 ? ['# Variables to set before it is applied:', ...[...variables].map((v) => `#   ${v}`)] : []
  return escapeControls([...head, ...lists, ''].join('\n'))
}

/** @param variables those of its items are added to it */
function linesOf<One extends { id: string }>(
  name: string,
  list: readonly One[],
  obstacleOf: (one: One) => string | undefined,
  itemOf: (one: One, variables: Set<string>) => JsonObject,
  variables: Set<string>,
): string[] {
  const items = [...list]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((one) => {
      const obstacle = obstacleOf(one)
      const item = itemOf(one, obstacle === undefined ? variables : new Set())
      const text = stringify([item], { lineWidth: 0, aliasDuplicateObjects: false })
      return { obstacle, lines: text.replace(/\n$/, '').split('\n') }
    })
  const isAny = items.some(({ obstacle }) => obstacle === undefined)
  const body = items.flatMap(({ obstacle, lines }) => {
    if (obstacle === undefined) return lines.map((line) => (line === '' ? line : `  ${line}`))
    return [`  # ${obstacle}`, ...lines.map((line) => `  # ${line}`.trimEnd())]
  })
  return [isAny ? `${name}:` : `${name}: []`, ...body]
}

/** Why a webhook can only be written as a comment; undefined when it can be an entry. */
function obstacleOf({ id, name, filter, success }: WebhookView): string | undefined {
  if (name === null) {
    return `${id} has no name, by which it would be known: give it one (PATCH /v1/webhooks/${id}), else this is another webhook`
  }
  const rounded = hasLongNumber(filter) ? 'filter' : hasLongNumber(success as Json) ? 'success' : undefined
  return rounded ? roundedIn(rounded, id) : undefined
}

function sourceObstacleOf({ id, filter }: OwnSource): string | undefined {
  return hasLongNumber(filter) ? roundedIn('filter', id) : undefined
}

function roundedIn(field: string, id: string): string {
  return `the ${field} of ${id} holds a number of more digits than are kept here: it is rounded`
}

/** The body of POST /v1/sources, without fields that have their defaults. */
function sourceItemOf(source: OwnSource): JsonObject {
  return fieldsOf(source as unknown as JsonObject, SourceCreate.properties, (_field, value) => withEscapes(value))
}

/** The fields of a schema whose values are not its defaults, the name first: readers look for it. */
function fieldsOf(
  one: JsonObject,
  schemas: Record<string, object>,
  write: (field: string, value: Json) => Json,
): JsonObject {
  const entries = Object.entries(schemas).flatMap(([field, schema]): [string, Json][] => {
    const value = one[field]
    const isDefault = JSON.stringify(value) === JSON.stringify((schema as { default?: unknown }).default)
    return value === undefined || isDefault ? [] : [[field, write(field, value)]]
  })
  return Object.fromEntries(entries.sort(([a], [b]) => Number(b === 'name') - Number(a === 'name')))
}

function withEscapes(value: Json): Json {
  if (typeof value === 'string') return escapeReferences(value)
  if (Array.isArray(value)) return value.map(withEscapes)
  if (!isJsonObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withEscapes(item)]))
}

/** The body of POST /v1/webhooks, without fields that have their defaults. */
function itemOf(webhook: WebhookView, variables: Set<string>): JsonObject {
  const prefix = webhook.name ?? webhook.id
  return fieldsOf(webhook as unknown as JsonObject, WebhookCreate.properties, (field, value) => {
    return writable(value, [prefix, field], variables)
  })
}

/** The value with a variable in place of each masked secret. */
function writable(value: Json, path: string[], variables: Set<string>): Json {
  if (value === MASK) return placeholder(path, variables)
  if (path[1] === 'tls' && CERTIFICATES.includes(path[2] ?? '')) return placeholder(path, variables)
  if (typeof value === 'string') return escapeReferences(value)
  if (Array.isArray(value)) return value.map((item, i) => writable(item, [...path, String(i)], variables))
  if (!isJsonObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, writable(item, [...path, key], variables)]),
  )
}

/** `soar`, `auth`, `token`: SOAR_AUTH_TOKEN, with a number appended when that name is taken. */
function placeholder(path: string[], variables: Set<string>): string {
  const plain = path
    .join('_')
    .toUpperCase()
    .replace(/[^A-Z0-9]+/g, '_')
    .replace(/^(?=\d)/, '_')
  let name = plain
  for (let i = 2; variables.has(name); i++) name = `${plain}_${i}`
  variables.add(name)
  return referenceTo(name)
}

function hasLongNumber(value: Json): boolean {
  if (typeof value === 'number') return Number.isInteger(value) && !Number.isSafeInteger(value)
  return typeof value === 'object' && value !== null && Object.values(value).some(hasLongNumber)
}

/**
 * Escapes control characters, since a terminal would execute them. The YAML library double-quotes strings with control
 * characters, so the escapes are valid.
 */
function escapeControls(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
