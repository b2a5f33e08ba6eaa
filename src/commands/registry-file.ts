/**
 * The file that says which webhooks there are to be (YAML 1.2): reads it. Pure.
 *
 *     webhooks:
 *       - name: soar                        # every webhook has a name, which no other one has
 *         url: https://soar.example.com/hooks/alerts
 *         auth: { type: bearer, token: '${env:SOAR_TOKEN}' }
 *
 * Each is what POST /v1/webhooks takes, and what is left out has its default. Any text may hold `${env:NAME}`.
 *
 * Promise: what is read can be asked of a relay: all that can be checked here is, and every problem of the file is named
 * with its line. A hostile file costs bounded work.
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

/** A webhook as the file wants it. */
export interface Desired {
  name: string
  /** What the file says of it, its references in place of what they stand for. */
  source: JsonObject
  /** What makes it: the same with values in the places of references. */
  body: JsonObject
  /** All of it, defaults included; what a relay alone knows of it is empty. */
  webhook: Webhook
  /** A signing secret of one's own. */
  secret: string | undefined
  /** The line of what a JSON pointer into it leads to, or of the nearest thing around that. */
  lineOf(pointer: string): number
}

/** What is wrong with a file, and where. */
export interface Problem {
  line: number
  text: string
}

type Variables = Record<string, string | undefined>
type Complete = Required<Omit<WebhookCreate, 'secret' | 'name'>> & { name: string; secret?: string }

/** Values of a file, aliases followed: they multiply what they stand for. */
const MAX_VALUES = 500_000

/** Expired certificates are the relay's to refuse, which takes them from a webhook that has them. */
const BEFORE_ANY_EXPIRY = new Date(0)

const validate = createValidator()

/** @returns the webhooks in the file's order; or everything that is wrong with it, and at least one thing is */
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

/** YAML's core schema alone: no dates, no binary, no merge keys, no tags of one's own. */
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

/** @returns what is wrong with it, each with a JSON pointer into it; or the webhook */
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

/** A copy with the values of variables in it, of what JSON can say. */
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

/** The line of the key, or of the list's entry, that the pointer leads to; as far as it leads. */
function lineAt(document: Document, lines: LineCounter, pointer: string): number {
  let node: unknown = document.contents
  let offset = 0
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~')
    const [named, value] = childOf(node, key)
    if (!isNode(named)) break
    offset = named.range?.[0] ?? offset
    node = value
  }
  return lines.linePos(offset).line
}

/** What stands for the child in the text, and the child. */
function childOf(node: unknown, key: string): [unknown, unknown] {
  if (isSeq(node)) return [node.items[Number(key)], node.items[Number(key)]]
  const pair = isMap(node) ? node.items.find(({ key: name }) => isScalar(name) && name.value === key) : undefined
  return [pair?.key, pair?.value]
}
