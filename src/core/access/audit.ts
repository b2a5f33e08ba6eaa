/**
 * Audit log entries: the actor, the action and the changed fields. Pure.
 *
 * Guarantee: an entry holds no secret: a field with a secret's name is hidden, and a URL is stored masked. Each value of an
 * entry is bounded in size.
 */
import { Type, type Static } from 'typebox'
import { idPattern } from '../platform/id.js'
import { isJsonObject, stringifyJson, type Json } from '../platform/json.js'
import { nullableText, oneOf, Time } from '../platform/schema.js'
import { maskUrl } from '../platform/url-mask.js'

export const AUDIT_ACTIONS = [
  'webhook.created',
  'webhook.updated',
  'webhook.deleted',
  'webhook.disabled',
  'webhook.secret_read',
  'webhook.secret_rotated',
  'topic.approved',
  'topic.deleted',
  'key.created',
  'key.revoked',
  'key.refused',
  'delivery.retried',
  'deliveries.retried',
  'event.replayed',
  'recovery.started',
  'source.created',
  'source.updated',
  'source.deleted',
] as const
export type AuditAction = (typeof AUDIT_ACTIONS)[number]

/** The actor of changes that the relay makes without a request. */
export const RELAY_ACTOR = 'relay'

const Changes = Type.Record(
  Type.String(),
  Type.Object({ before: Type.Optional(Type.Unknown()), after: Type.Optional(Type.Unknown()) }),
  {
    description:
      'Field by field, what it was and what it is. Secrets are ********, and of a URL there is the origin and the last four characters.',
  },
)
/** The changed fields; `before` is absent for an added field, `after` for a removed one. */
export type Changes = Record<string, { before?: Json; after?: Json }>

export const AuditEntry = Type.Object(
  {
    id: Type.String({ pattern: idPattern('aud') }),
    at: Time,
    actor: Type.String({
      description:
        'Who: the id of a key, "API_KEYS" or "first key" for those with full rights, "relay" itself, or "unknown" whose key was ' +
        'refused.',
    }),
    action: oneOf(AUDIT_ACTIONS),
    target: nullableText('The id or ARN of what was changed; null when it was no single thing.'),
    request_id: nullableText(
      'The x-request-id of the request that did it, as in its answer and in the log; null when the relay did it itself.',
    ),
    address: nullableText('Where the request came from; null when the relay did it itself.'),
    changes: Changes,
  },
  { $id: 'AuditEntry' },
)
export type AuditEntry = Omit<Static<typeof AuditEntry>, 'changes'> & { changes: Changes }

/** Fields that repeat the entry (id, times) or that the relay maintains itself (health). */
const OMITTED_FIELDS = new Set(['id', 'created_at', 'updated_at', 'health', 'failing_since', 'last_failure'])
const SECRET_NAME = /secret|password|passphrase|token|credential|auth|private|routing_key|headers/i
const MASK = '********'
/** The largest length of one value, in characters of JSON. */
const MAX_VALUE_LENGTH = 4096

/** An object before and after a change. */
export interface Change<T extends object> {
  /** Undefined: the object was created. */
  before?: T
  /** Undefined: the object was deleted. */
  after?: T
  /** The view of the object that the log may store; by default the object itself. Secret names are hidden in both. */
  shown?: (value: T) => object
}

/** The changed fields with secrets hidden. A changed secret is listed too, with both values hidden. */
export function changesOf<T extends object>({ before, after, shown = (view) => view }: Change<T>): Changes {
  const [old, now] = [fieldsOf(before), fieldsOf(after)]
  const [oldView, nowView] = [fieldsOf(before && shown(before)), fieldsOf(after && shown(after))]
  const names = [...new Set([...old.keys(), ...now.keys()])].filter(
    (name) => !OMITTED_FIELDS.has(name) && textOf(old.get(name)) !== textOf(now.get(name)),
  )
  return Object.fromEntries(
    names.map((name) => [
      name,
      {
        ...(old.has(name) && { before: redact(name, oldView.get(name)) }),
        ...(now.has(name) && { after: redact(name, nowView.get(name)) }),
      },
    ]),
  )
}

function fieldsOf(value: object | undefined): Map<string, Json> {
  const fields = Object.entries(value ?? {}) as [string, Json | undefined][]
  return new Map(fields.filter((field): field is [string, Json] => field[1] !== undefined))
}

function textOf(value: Json | undefined): string | undefined {
  return value === undefined ? undefined : stringifyJson(value)
}

/** @param value undefined: the field is not part of the view, so its value is hidden */
function redact(name: string, value: Json | undefined): Json {
  const redacted = value === undefined ? MASK : withoutSecrets(name, value)
  const { length } = stringifyJson(redacted)
  return length > MAX_VALUE_LENGTH ? `(${length} characters)` : redacted
}

function withoutSecrets(name: string, value: Json): Json {
  if (value === null) return value
  if (SECRET_NAME.test(name)) return MASK
  if (typeof value === 'string') return maskUrl(value)
  if (Array.isArray(value)) return value.map((entry) => withoutSecrets(name, entry))
  if (!isJsonObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, withoutSecrets(key, entry)]))
}

/** The changes of a stored entry: older versions stored the paths of URLs. */
export function shownChanges(changes: Changes): Changes {
  return Object.fromEntries(
    Object.entries(changes).map(([name, change]) => [
      name,
      Object.fromEntries(Object.entries(change).map(([when, value]) => [when, withoutSecrets(name, value)])),
    ]),
  )
}
