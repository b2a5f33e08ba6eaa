/**
 * Writes the file that registry-file.ts reads, of the webhooks that a relay has. Pure.
 *
 * Promise: nothing that the relay hides is in it; with its variables set, applying it where it is from changes nothing.
 */
import { stringify } from 'yaml'
import { isJsonObject, type Json, type JsonObject } from '../core/platform/json.js'
import { MASK } from '../core/webhook/credentials-mask.js'
import type { FormatName } from '../core/format/format-names.js'
import { WebhookCreate, type WebhookView } from '../core/webhook/webhook.js'
import { escapeReferences, referenceTo } from './references.js'

/** Who knows such a URL may post there: it is a secret, although the API shows it. */
const SECRET_URLS: readonly FormatName[] = ['slack', 'teams', 'discord']
/** Shown as summaries, which nothing can be made of. */
const CERTIFICATES = ['client_cert', 'ca']

/** @returns YAML, which ends with a line break */
export function writeRegistryFile(webhooks: readonly WebhookView[]): string {
  const variables = new Set<string>()
  const items = [...webhooks]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((webhook) => {
      const hindrance = hindranceOf(webhook)
      const item = itemOf(webhook, hindrance === undefined ? variables : new Set())
      const text = stringify([item], { lineWidth: 0, aliasDuplicateObjects: false })
      return { hindrance, lines: text.replace(/\n$/, '').split('\n') }
    })
  const head =
    variables.size > 0 ? ['# Variables to set before it is applied:', ...[...variables].map((v) => `#   ${v}`)] : []
  const isAny = items.some(({ hindrance }) => hindrance === undefined)
  const body = items.flatMap(({ hindrance, lines }) => {
    if (hindrance === undefined) return lines.map((line) => (line === '' ? line : `  ${line}`))
    return [`  # ${hindrance}`, ...lines.map((line) => `  # ${line}`.trimEnd())]
  })
  return escapeControls([...head, isAny ? 'webhooks:' : 'webhooks: []', ...body, ''].join('\n'))
}

/** Why a webhook can only be a comment; undefined: it need not. */
function hindranceOf({ id, name, filter, success }: WebhookView): string | undefined {
  if (name === null) {
    return `${id} has no name, by which it would be known: give it one (PATCH /v1/webhooks/${id}), else this is another webhook`
  }
  const rounded = hasLongNumber(filter) ? 'filter' : hasLongNumber(success as Json) ? 'success' : undefined
  return rounded ? `the ${rounded} of ${id} holds a number of more digits than are kept here: it is rounded` : undefined
}

/** What POST takes, without what has its default. */
function itemOf(webhook: WebhookView, variables: Set<string>): JsonObject {
  const fields = webhook as unknown as JsonObject
  const prefix = webhook.name ?? webhook.id
  const entries = Object.entries(WebhookCreate.properties).flatMap(([field, schema]): [string, Json][] => {
    const value = fields[field]
    const isDefault = JSON.stringify(value) === JSON.stringify((schema as { default?: unknown }).default)
    if (value === undefined || isDefault) return []
    const isSecret = field === 'url' && SECRET_URLS.includes(webhook.format)
    const path = [prefix, field]
    return [[field, isSecret ? placeholder(path, variables) : writable(value, path, variables)]]
  })
  // the name first: it is what a reader looks for
  return Object.fromEntries(entries.sort(([a], [b]) => Number(b === 'name') - Number(a === 'name')))
}

/** The value with a variable in each place where the relay hides something. */
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

/** `soar`, `auth`, `token`: SOAR_AUTH_TOKEN, with a number after it when another place has that. */
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

/** Control characters drive terminals; the library puts texts with one in double quotes, where YAML has escapes. */
function escapeControls(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
