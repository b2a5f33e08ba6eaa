/**
 * Reads and validates the file of `alert-relay apply` (YAML 1.2). Pure.
 *
 *     webhooks:
 *       - name: soar                        # required and unique
 *         url: https://soar.example.com/hooks/alerts
 *         auth: { type: bearer, token: '${env:SOAR_TOKEN}' }
 *
 * Each entry is a body of POST /v1/webhooks; absent fields have their defaults. Any string may contain `${env:NAME}`.
 *
 * Guarantee: everything that can be checked without a relay is checked, and every problem is reported with its line. The
 * work on a hostile file is bounded.
 */
import { Ajv, type ErrorObject } from 'ajv'
import formats from 'ajv-formats'
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type Document } from 'yaml'
import { healthFields } from '../core/circuit/health-report.js'
import { messageOf, Refusal, type FieldError } from '../core/platform/errors.js'
import { isJsonObject, MAX_DEPTH, type Json, type JsonObject } from '../core/platform/json.js'
import { HEALTHY } from '../core/circuit/health.js'
import { NOTHING_PRIVATE, WebhookCreate, type Webhook } from '../core/webhook/webhook.js'
import { checkWebhook, revealPrivate } from '../core/webhook/webhook-check.js'
import { secretFor } from '../routes/signing.js'
import { resolveReferences } from './references.js'
import { memberPath } from '../core/platform/json-pointer.js'

/** A webhook of the file. */
export interface Desired {
  name: string
  /** The entry of the file, with references. */
  source: JsonObject
  /** The body of POST /v1/webhooks: the entry with references resolved. */
  body: JsonObject
  /** The complete webhook, with defaults; the fields that only the relay sets are empty. */
  webhook: Webhook
  /** The signing secret, when the file sets one. */
  secret: string | undefined
  /** The line of the node at a JSON pointer into the entry, or of its nearest ancestor. */
  lineOf(pointer: string): number
}

/** A problem of the file, with its line. */
export interface Problem {
  line: number
  text: string
}

type Variables = Record<string, string | undefined>
type Complete = Required<Omit<WebhookCreate, 'secret' | 'name'>> & { name: string; secret?: string }

/** The number of values in a file, with aliases expanded: nested aliases multiply it. */
const MAX_VALUES = 500_000

/** Expiry is not checked here: the relay accepts an expired certificate that the webhook has already. */
const BEFORE_ANY_EXPIRY = new Date(0)

const validate = createValidator()

/** @returns the webhooks in the order of the file, or all its problems, at least one */
export function readRegistryFile(text: string, env: Variables): { desired: Desired[] } | { problems: Problem[] } {
  const lines = new LineCounter()
  const at = (line: number, text: string) => ({ problems: [{ line, text }] })
  try {
    const document = parseDocument(text, { ...YAML_OPTIONS, lineCounter: lines })
    const faults = [...document.errors, ...document.warnings]
    if (faults.length > 0) {
      return {
        problems: faults.map(({ pos: [offset], message }) => {
          const { line, col } = lines.linePos(offset)
          return { line, text: `column ${col}: ${message}` }
        }),
      }
    }
    return readWebhooks(document.toJS({ maxAliasCount: -1 }), env, (pointer) => lineAt(document, lines, pointer))
  } catch (error) {
    if (error instanceof RangeError) return at(1, 'nests too deep')
    if (error instanceof TooMuch || error instanceof ReferenceError) return at(1, messageOf(error))
    throw error
  }
}

/** Only the core schema of YAML: no dates, binary, merge keys or custom tags. */
const YAML_OPTIONS = {
  version: '1.2',
  schema: 'core',
  merge: false,
  resolveKnownTags: false,
  stringKeys: true,
  uniqueKeys: true,
  prettyErrors: false,
  logLevel: 'error',
} as const

function readWebhooks(
  file: unknown,
  env: Variables,
  lineOf: (pointer: string) => number,
): { desired: Desired[] } | { problems: Problem[] } {
  if (!isJsonObject(file) || !Array.isArray(file.webhooks)) {
    return { problems: [{ line: 1, text: 'must hold a list: webhooks' }] }
  }
  const problems: Problem[] = Object.keys(file)
    .filter((key) => key !== 'webhooks')
    .map((key) => ({ line: lineOf(memberPath('', key)), text: `${key} is not a known field` }))
  const budget = { values: MAX_VALUES }
  const desired: Desired[] = []
  for (const [index, source] of file.webhooks.entries()) {
    const pointerTo = (path: string) => `/webhooks/${index}${path}`
    const read = readWebhook(source, env, budget)
    if (Array.isArray(read)) {
      const who = isJsonObject(source) && typeof source.name === 'string' ? source.name : `webhook ${index + 1}`
      problems.push(
        ...read.map(({ path, detail }) => ({
          line: lineOf(pointerTo(path)),
          text: `${who}: ${[path.slice(1), detail].filter(Boolean).join(' ')}`,
        })),
      )
    } else desired.push({ ...read, lineOf: (path) => lineOf(pointerTo(path)) })
  }
  problems.push(...repeatedNames(desired))
  return problems.length > 0 ? { problems: problems.sort((a, b) => a.line - b.line) } : { desired }
}

function repeatedNames(desired: Desired[]): Problem[] {
  const first = new Map<string, number>()
  return desired.flatMap(({ name, lineOf }) => {
    const line = lineOf('/name')
    const before = first.get(name)
    if (before === undefined) first.set(name, line)
    return before === undefined ? [] : [{ line, text: `${name}: name is that of the webhook at line ${before}` }]
  })
}

/** @returns the webhook, or its problems, each with a JSON pointer into the entry */
function readWebhook(source: Json, env: Variables, budget: { values: number }): Omit<Desired, 'lineOf'> | FieldError[] {
  const errors: FieldError[] = []
  const body = resolve(source, '', { env, budget, errors })
  if (errors.length > 0) return errors
  const complete = structuredClone(body)
  if (!validate(complete)) return (validate.errors ?? []).map(fieldErrorOf)
  const { secret, ...fields } = complete as unknown as Complete
  try {
    const webhook: Webhook = {
      id: '',
      ...fields,
      ...NOTHING_PRIVATE,
      ...revealPrivate(fields, undefined),
      ...{ disabled_reason: null, ...healthFields(HEALTHY), created_at: '', updated_at: '' },
    }
    checkWebhook(webhook, { credentials: true, now: BEFORE_ANY_EXPIRY })
    if (secret !== undefined) secretFor(fields.signing, secret)
    return { name: fields.name, source: source as JsonObject, body: body as JsonObject, webhook, secret }
  } catch (error) {
    if (error instanceof Refusal) return error.errors
    throw error
  }
}

/** Copies a value with its references resolved; values that JSON does not have are problems. */
function resolve(
  value: Json,
  path: string,
  context: { env: Variables; budget: { values: number }; errors: FieldError[] },
  depth = 0,
): Json {
  if (--context.budget.values < 0) throw new TooMuch(`its aliases make more than ${MAX_VALUES} values of it`)
  if (depth > MAX_DEPTH) throw new TooMuch(`nests deeper than ${MAX_DEPTH} levels`)
  const refuse = (detail: string) => void context.errors.push({ path, detail })
  if (typeof value === 'string') {
    const { text, problems } = resolveReferences(value, context.env)
    problems.forEach(refuse)
    if (!text.isWellFormed()) refuse('holds half of a character')
    return text
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) refuse('is no number that JSON can hold')
    else if (Number.isInteger(value) && !Number.isSafeInteger(value)) refuse('has more digits than are kept here')
    return value
  }
  if (Array.isArray(value)) return value.map((item, i) => resolve(item, memberPath(path, i), context, depth + 1))
  if (!isJsonObject(value)) return value
  const entries = Object.entries(value).map(([key, member]) => {
    return [key, resolve(member, memberPath(path, key), context, depth + 1)] as const
  })
  return Object.fromEntries(entries)
}

class TooMuch extends Error {}

function createValidator() {
  const ajv = new Ajv({ useDefaults: true, allErrors: true, strict: false })
  formats.default(ajv)
  const { default: _none, ...name } = WebhookCreate.properties.name
  return ajv.compile({
    ...WebhookCreate,
    properties: { ...WebhookCreate.properties, name: { ...name, type: 'string' } },
    required: ['name', 'url'],
  })
}

function fieldErrorOf({ instancePath, keyword, message, params }: ErrorObject): FieldError {
  if (keyword === 'additionalProperties') {
    return { path: memberPath(instancePath, String(params.additionalProperty)), detail: 'is not a known field' }
  }
  if (keyword === 'required') {
    return { path: memberPath(instancePath, String(params.missingProperty)), detail: 'is required' }
  }
  const allowed = Array.isArray(params.allowedValues) ? `: ${params.allowedValues.join(', ')}` : ''
  return { path: instancePath, detail: `${message ?? 'is wrong'}${allowed}` }
}

/** The line of the key or list entry at the pointer; of the nearest ancestor when there is none. */
function lineAt(document: Document, lines: LineCounter, pointer: string): number {
  let node: unknown = document.contents
  let offset = 0
  for (const segment of pointer.split('/').slice(1)) {
    const key = segment.replaceAll('~1', '/').replaceAll('~0', '~')
    const [named, value] = childOf(node, key)
    if (!isNode(named)) break
    offset = named.range?.[0] ?? offset
    node = value
  }
  return lines.linePos(offset).line
}

/** @returns the node that has the child's line (the key of a map, the entry of a list), and the child */
function childOf(node: unknown, key: string): [unknown, unknown] {
  if (isSeq(node)) return [node.items[Number(key)], node.items[Number(key)]]
  const pair = isMap(node) ? node.items.find(({ key: name }) => isScalar(name) && name.value === key) : undefined
  return [pair?.key, pair?.value]
}
