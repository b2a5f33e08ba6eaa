/**
 * API keys: `ark_`, the half by which a key is found, `_`, and the half that only its holder knows. Pure but for the dice.
 *
 * Promise: of the secret half a digest is kept, nothing else; it is 32 random bytes, so a plain SHA-256 of it cannot be
 * searched for, and a comparison takes as long whatever was guessed.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { Type, type Static } from 'typebox'
import { idPattern, newId } from '../platform/id.js'
import { nullableTime, oneOf, Time } from '../platform/schema.js'

/** What a key may do; each may do what those before it may. */
export const SCOPES = ['read', 'write', 'admin'] as const
export type Scope = (typeof SCOPES)[number]

const SECRET_BYTES = 32
const KEY = /^ark_([0-9a-f]{32})_([\w-]{43})$/

const id = Type.String({ pattern: idPattern('key'), description: 'A key id (key_...).' })
const name = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$',
  description: 'For people: who holds it, and what for.',
})
const scope = oneOf(SCOPES, {
  description:
    'read: everything but secrets, keys and the audit log. write: changes webhooks, reports rule matches, retries, replays ' +
    'and recovers too. admin: signing secrets, topics that wait for approval, keys and the audit log too.',
})

/** What makes a key. */
export const ApiKeyCreate = Type.Object(
  {
    name,
    scope,
    expires_at: Type.Optional(nullableTime('When it ends by itself (RFC 3339); null or left out: when it is revoked.')),
  },
  { additionalProperties: false, examples: [{ name: 'grafana', scope: 'read', expires_at: '2030-01-01T00:00:00Z' }] },
)
export type ApiKeyCreate = Static<typeof ApiKeyCreate>

/** A key as the API shows it: never its secret half, nor the digest. */
export const ApiKey = Type.Object(
  {
    id,
    name,
    scope,
    created_at: Time,
    expires_at: nullableTime('When it ends by itself; null: it does not.'),
    last_used_at: nullableTime('To the minute; null: never.'),
    revoked_at: nullableTime('When it was revoked; null: it was not.'),
  },
  { $id: 'ApiKey' },
)
export type ApiKey = Static<typeof ApiKey>

/** A new key: `text` is what its holder sends, and is shown once; `digest` is what is kept. */
export function newApiKey(): { id: string; text: string; digest: Buffer } {
  const id = newId('key')
  const secret = randomBytes(SECRET_BYTES).toString('base64url')
  return { id, text: `ark_${id.slice('key_'.length)}_${secret}`, digest: digestOf(secret) }
}

/** The two halves of what somebody sent as a key; undefined when it is none of this form. */
export function parseApiKey(text: string): { id: string; secret: string } | undefined {
  const [, found, secret] = KEY.exec(text) ?? []
  return found === undefined || secret === undefined ? undefined : { id: `key_${found}`, secret }
}

/** Whether this is the secret of that digest, in constant time. */
export function isSecretOf(secret: string, digest: Buffer): boolean {
  return timingSafeEqual(digestOf(secret), digest)
}

/** Whether a scope takes in what another one may do. */
export function allows(scope: Scope, needed: Scope): boolean {
  return SCOPES.indexOf(scope) >= SCOPES.indexOf(needed)
}

function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
