/**
 * Reads and validates an entry of the file of `alert-relay apply`: a webhook or a source. Pure.
 *
 * Guarantee: everything that can be checked without a relay is checked.
 */
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import formats from 'ajv-formats'
import { healthFields } from '../core/circuit/health-report.js'
import { Refusal, type FieldError } from '../core/platform/errors.js'
import { isJsonObject, MAX_DEPTH, type Json, type JsonObject } from '../core/platform/json.js'
import { HEALTHY } from '../core/circuit/health.js'
import { SourceCreate, sourceErrors } from '../core/source/own-source.js'
import { NOTHING_PRIVATE, WebhookCreate, type Webhook } from '../core/webhook/webhook.js'
import { checkWebhook, revealPrivate } from '../core/webhook/webhook-check.js'
import { secretFor } from '../routes/signing.js'
import { resolveReferences } from './references.js'
import { memberPath } from '../core/platform/json-pointer.js'

/** An entry of the file. */
export interface Entry {
  name: string
  /** The entry of the file, with references. */
  source: JsonObject
  /** The body of POST /v1/webhooks or /v1/sources: the entry with references resolved. */
  body: JsonObject
  /** The line of the node at a JSON pointer into the entry, or of its nearest ancestor. */
  lineOf(pointer: string): number
}

/** A webhook of the file. */
export interface Desired extends Entry {
  /** The complete webhook, with defaults; the fields that only the relay sets are empty. */
  webhook: Webhook
  /** The signing secret, when the file sets one. */
  secret: string | undefined
}

/** A source of the file. */
export interface DesiredSource extends Entry {
  /** The complete source, with defaults, without the fields that only the relay sets. */
  fields: JsonObject
}

export type Variables = Record<string, string | undefined>
type Complete = Required<Omit<WebhookCreate, 'secret' | 'name'>> & { name: string; secret?: string }

/** The number of values in a file, with aliases expanded: nested aliases multiply it. */
export const MAX_VALUES = 500_000

/** What entries are read with: the values that the file may still have are counted down. */
export interface ReadContext {
  env: Variables
  budget: { values: number }
}

/** Expiry is not checked here: the relay accepts an expired certificate that the webhook has already. */
const BEFORE_ANY_EXPIRY = new Date(0)

const validateWebhook = createValidator(WebhookCreate, ['name', 'url'])
const validateSource = createValidator(SourceCreate, SourceCreate.required)

/** @returns the webhook, or its problems, each with a JSON pointer into the entry */
export function readWebhook(source: Json, context: ReadContext): Omit<Desired, 'lineOf'> | FieldError[] {
  const read = readComplete(source, context, validateWebhook)
  if (Array.isArray(read)) return read
  const { secret, ...fields } = read.complete as unknown as Complete
  try {
    const webhook: Webhook = {
      id: '',
      ...fields,
      ...NOTHING_PRIVATE,
      ...revealPrivate(fields, undefined),
      ...{ disabled_reason: null, ...healthFields(HEALTHY), created_at: '', updated_at: '' },
    }
    checkWebhook(webhook, { credentials: true, filters: true, now: BEFORE_ANY_EXPIRY })
    if (secret !== undefined) secretFor(fields.signing, secret)
    return { name: fields.name, source: source as JsonObject, body: read.body, webhook, secret }
  } catch (error) {
    if (error instanceof Refusal) return error.errors
    throw error
  }
}

/** @returns the source, or its problems, each with a JSON pointer into the entry */
export function readSource(source: Json, context: ReadContext): Omit<DesiredSource, 'lineOf'> | FieldError[] {
  const read = readComplete(source, context, validateSource)
  if (Array.isArray(read)) return read
  const fields = read.complete as unknown as Required<SourceCreate>
  const errors = sourceErrors(fields)
  if (errors.length > 0) return errors
  return { name: fields.name, source: source as JsonObject, body: read.body, fields: read.complete }
}

/** Resolves the references of an entry and fills in its defaults. */
function readComplete(
  source: Json,
  context: ReadContext,
  validate: ValidateFunction,
): { body: JsonObject; complete: JsonObject } | FieldError[] {
  const errors: FieldError[] = []
  const body = resolve(source, '', { ...context, errors })
  if (errors.length > 0) return errors
  const complete = structuredClone(body)
  if (!validate(complete)) return (validate.errors ?? []).map(fieldErrorOf)
  return { body: body as JsonObject, complete: complete as JsonObject }
}

/** Copies a value with its references resolved; values that JSON does not have are problems. */
function resolve(value: Json, path: string, context: ReadContext & { errors: FieldError[] }, depth = 0): Json {
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

/** The file is larger than can be read. */
export class TooMuch extends Error {}

function createValidator(schema: { properties: { name: object } }, required: string[]): ValidateFunction {
  const ajv = new Ajv({ useDefaults: true, allErrors: true, strict: false })
  formats.default(ajv)
  const { default: _none, ...name } = schema.properties.name as { default?: unknown }
  return ajv.compile({ ...schema, properties: { ...schema.properties, name: { ...name, type: 'string' } }, required })
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
