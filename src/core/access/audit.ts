/**
 * The audit log: who changed what, field by field. Pure.
 *
 * Promise: an entry holds no secret: what is named like one is hidden, and a URL is shown without its query. It is small,
 * however large what was changed.
 */
import { Type, type Static } from 'typebox'
import { idPattern } from '../platform/id.js'
import { isJsonObject, stringifyJson, type Json } from '../platform/json.js'
import { nullableText, oneOf, Time } from '../platform/schema.js'

export const AUDIT_ACTIONS = [
  'webhook.created',
  'webhook.updated',
  'webhook.deleted',
  'webhook.disabled',
  'webhook.secret_rotated',
  'topic.approved',
  'topic.deleted',
  'key.created',
  'key.revoked',
  'delivery.retried',
  'deliveries.retried',
  'event.replayed',
  'recovery.started',
] as const
export type AuditAction = (typeof AUDIT_ACTIONS)[number]

/** The actor of what the relay does by itself. */
export const RELAY_ACTOR = 'relay'

const Changes = Type.Record(
  Type.String(),
  Type.Object({ before: Type.Optional(Type.Unknown()), after: Type.Optional(Type.Unknown()) }),
  {
    description:
      'Field by field, what it was and what it is. Secrets are ********, and a URL is shown without its query.',
  },
)
/** What changed, by field; `before` is not there for what is new, `after` not for what is gone. */
export type Changes = Record<string, { before?: Json; after?: Json }>

export const AuditEntry = Type.Object(
  {
    id: Type.String({ pattern: idPattern('aud') }),
    at: Time,
    actor: Type.String({
      description: 'Who: the id of a key, "API_KEYS" or "first key" for those with full rights, or "relay" itself.',
    }),
    action: oneOf(AUDIT_ACTIONS),
    target: nullableText('The id or ARN of what was changed; null when it was no single thing.'),
    request_id: nullableText(
      'The x-request-id of the request that did it, as in its answer and in the log; null when the relay did it itself.',
    ),
    changes: Changes,
  },
  { $id: 'AuditEntry' },
)
export type AuditEntry = Omit<Static<typeof AuditEntry>, 'changes'> & { changes: Changes }

/** Fields that say what the entry says already, or what the relay notes by itself. */
const LEFT_OUT = new Set(['id', 'created_at', 'updated_at', 'health', 'failing_since', 'last_failure'])
const SECRET_NAME = /secret|password|passphrase|token|credential|auth|private|routing_key|headers/i
const HIDDEN = '********'
/** Characters of one value as JSON. */
const MAX_VALUE_LENGTH = 4096

/** Something before and after. */
export interface Change<What extends object> {
  /** Undefined: it is new. */
  before?: What
  /** Undefined: it is gone. */
  after?: What
  /** What people may see of it; undefined: all that is not named like a secret. */
  shown?: (what: What) => object
}

/** What changed, field by field, as the log may show it. A secret that changed is a change too. */
export function changesOf<What extends object>({ before, after, shown = (what) => what }: Change<What>): Changes {
  const [old, now] = [fieldsOf(before), fieldsOf(after)]
  const [oldShown, nowShown] = [fieldsOf(before && shown(before)), fieldsOf(after && shown(after))]
  const names = [...new Set([...old.keys(), ...now.keys()])].filter(
    (name) => !LEFT_OUT.has(name) && textOf(old.get(name)) !== textOf(now.get(name)),
  )
  return Object.fromEntries(
    names.map((name) => [
      name,
      {
        ...(old.has(name) && { before: harmless(name, oldShown.get(name)) }),
        ...(now.has(name) && { after: harmless(name, nowShown.get(name)) }),
      },
    ]),
  )
}

function fieldsOf(what: object | undefined): Map<string, Json> {
  const fields = Object.entries(what ?? {}) as [string, Json | undefined][]
  return new Map(fields.filter((field): field is [string, Json] => field[1] !== undefined))
}

function textOf(value: Json | undefined): string | undefined {
  return value === undefined ? undefined : stringifyJson(value)
}

/** @param value undefined: it is not shown */
function harmless(name: string, value: Json | undefined): Json {
  const bare = value === undefined ? HIDDEN : withoutSecrets(name, value)
  const { length } = stringifyJson(bare)
  return length > MAX_VALUE_LENGTH ? `(${length} characters)` : bare
}

function withoutSecrets(name: string, value: Json): Json {
  if (value === null) return value
  if (SECRET_NAME.test(name)) return HIDDEN
  if (typeof value === 'string') return withoutQuery(value)
  if (Array.isArray(value)) return value.map((entry) => withoutSecrets(name, entry))
  if (!isJsonObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, withoutSecrets(key, entry)]))
}

/** Tokens are put into queries (and, where URLs are not checked, into credentials). */
function withoutQuery(text: string): string {
  if (!/^https?:/i.test(text) || !URL.canParse(text)) return text
  const { origin, pathname, search } = new URL(text)
  return search ? `${origin}${pathname}?...` : `${origin}${pathname}`
}
