/**
 * API keys: `ark_`, the part that identifies the key, `_`, and the secret part.
 *
 * Guarantee: only a SHA-256 digest of the secret part is stored. The secret is 32 random bytes, so the digest needs no
 * slow hash against guessing, and digests are compared in constant time.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { Type, type Static } from 'typebox'
import { idPattern, newId } from '../platform/id.js'
import type { FieldError } from '../platform/errors.js'
import { nullableTime, oneOf, patterned, Time } from '../platform/schema.js'
import { TopicPatterns, topicErrors } from '../platform/topic-pattern.js'

/** What a key may do. */
export const SCOPES = ['ingest', 'read', 'write', 'admin'] as const
export type Scope = (typeof SCOPES)[number]

/** The scopes that each includes. */
const INCLUDED: Readonly<Record<Scope, readonly Scope[]>> = {
  ingest: ['ingest'],
  read: ['read'],
  write: ['ingest', 'read', 'write'],
  admin: SCOPES,
}

const SECRET_BYTES = 32
const KEY = /^ark_([0-9a-f]{32})_([\w-]{43})$/

const id = Type.String({ pattern: idPattern('key'), description: 'A key id (key_...).' })
const name = Type.String({
  minLength: 1,
  maxLength: 200,
  ...patterned('^[^\\u0000-\\u001f\\u007f-\\u009f]+$', 'without control characters'),
  description: 'For people: its owner and its purpose.',
})
const scope = oneOf(SCOPES, {
  description:
    'ingest: brings in messages and rule matches, and nothing else. read: everything but secrets, keys and the audit log. write: ' +
    'both, and changes webhooks, retries, replays and recovers. admin: signing secrets, topics that wait for approval, keys and the audit log too.',
})

/** What a key is bound to: at most one of both is given. */
export interface Bounds {
  /** The ids of webhooks; null: not bound to webhooks. */
  webhooks: readonly string[] | null
  /** Patterns of topics; null: not bound to topics. */
  topics: readonly string[] | null
}

export const UNBOUND: Bounds = { webhooks: null, topics: null }

const boundWebhooks = Type.Array(Type.String({ pattern: idPattern('wh') }), {
  minItems: 1,
  maxItems: 100,
  uniqueItems: true,
  description:
    'Binds it to these webhooks: their deliveries and recoveries too, and nothing else. Not with the scope ingest.',
})
const boundTopics = {
  ...TopicPatterns('Binds it to these topics and their events, and nothing else. With the scope read alone'),
  minItems: 1,
  description:
    'Binds it to these topics and their events, and nothing else: ARNs with `*` allowed inside a part. With the scope read alone.',
}

/** The request that makes a key. */
export const ApiKeyCreate = Type.Object(
  {
    name,
    scope,
    expires_at: Type.Optional(nullableTime('When it expires (RFC 3339); null or left out: it does not expire.')),
    webhooks: Type.Optional(boundWebhooks),
    topics: Type.Optional(boundTopics),
  },
  { additionalProperties: false, examples: [{ name: 'grafana', scope: 'read', expires_at: '2030-01-01T00:00:00Z' }] },
)
export type ApiKeyCreate = Static<typeof ApiKeyCreate>

/** A key as the API shows it, without its secret part and digest. */
export const ApiKey = Type.Object(
  {
    id,
    name,
    scope,
    webhooks: boundTo('The ids of the webhooks that it is bound to; null: it is not bound to webhooks.'),
    topics: boundTo('The patterns of the topics that it is bound to; null: it is not bound to topics.'),
    created_at: Time,
    expires_at: nullableTime('When it expires; null: it does not expire.'),
    last_used_at: nullableTime('To the minute; null: never.'),
    revoked_at: nullableTime('When it was revoked; null: it was not.'),
  },
  { $id: 'ApiKey' },
)
export type ApiKey = Static<typeof ApiKey>

function boundTo(description: string) {
  return Type.Unsafe<string[] | null>({ type: ['array', 'null'], items: { type: 'string' }, description })
}

/** Whether a key is bound to anything. */
export function isBound({ webhooks, topics }: Bounds): boolean {
  return webhooks !== null || topics !== null
}

/** What is wrong with the bounds of a new key: both kinds at once, or with a scope that they leave nothing of. */
export function boundsErrors(scope: Scope, { webhooks, topics }: Bounds): FieldError[] {
  if (webhooks && topics) return [{ path: '/topics', detail: 'cannot be given with webhooks: make two keys' }]
  if (webhooks && scope === 'ingest') {
    return [{ path: '/webhooks', detail: 'cannot be given with the scope ingest: what comes in is of no webhook' }]
  }
  if (topics && scope !== 'read') {
    return [{ path: '/topics', detail: `can be given with the scope read alone, not with ${scope}` }]
  }
  return topicErrors(topics ?? [])
}

/** Makes a key: `text` is what its owner sends, and is shown once; `digest` is stored. */
export function newApiKey(): { id: string; text: string; digest: Buffer } {
  const id = newId('key')
  const secret = randomBytes(SECRET_BYTES).toString('base64url')
  return { id, text: `ark_${id.slice('key_'.length)}_${secret}`, digest: digestOf(secret) }
}

/** The two parts of a key; undefined when the text does not have the form of a key. */
export function parseApiKey(text: string): { id: string; secret: string } | undefined {
  const [, found, secret] = KEY.exec(text) ?? []
  return found === undefined || secret === undefined ? undefined : { id: `key_${found}`, secret }
}

/** Whether the digest is of this secret, compared in constant time. */
export function isSecretOf(secret: string, digest: Buffer): boolean {
  return timingSafeEqual(digestOf(secret), digest)
}

/** Whether a scope includes another one. */
export function allows(scope: Scope, needed: Scope): boolean {
  return INCLUDED[scope].includes(needed)
}

function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
