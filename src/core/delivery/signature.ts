/**
 * Standard Webhooks 1.0 signatures, symmetric (https://github.com/standard-webhooks/standard-webhooks). Pure but for the
 * random bytes of a new secret.
 *
 * Promise: a receiver that holds any one live secret of its webhook can verify what it got with any Standard Webhooks
 * library; nothing leaves unsigned.
 */
import { createHmac, randomBytes } from 'node:crypto'

export interface SignatureHeaders {
  'webhook-id': string
  /** Seconds since 1970. */
  'webhook-timestamp': string
  /** `v1,` and base64 of an HMAC-SHA256, one per secret, separated by spaces. */
  'webhook-signature': string
}

export interface Signable {
  /** The event's id: the same over retries and replays, so that receivers can deduplicate. */
  id: string
  /** The time of this attempt; receivers refuse what is older than they tolerate. */
  timestamp: Date
  body: string | Buffer
  /** The live secrets of the webhook: one, or two while it is being rotated. */
  secrets: string[]
}

const PREFIX = 'whsec_'
const NEW_SECRET_BYTES = 32

/** The specification's bounds ("Signature scheme"). */
const MIN_SECRET_BYTES = 24
const MAX_SECRET_BYTES = 64

/** A new random secret: `whsec_` and 32 bytes in base64. */
export function newSecret(): string {
  return PREFIX + randomBytes(NEW_SECRET_BYTES).toString('base64')
}

/** True for `whsec_` and the canonical base64 of 24 to 64 bytes. */
export function isSecret(text: string): boolean {
  if (!text.startsWith(PREFIX)) return false
  const key = keyOf(text)
  return key.length >= MIN_SECRET_BYTES && key.length <= MAX_SECRET_BYTES && PREFIX + key.toString('base64') === text
}

/**
 * The three headers of a signed request. What is signed is `id.timestamp.body`.
 * @throws RangeError without a secret: a bug of the caller
 */
export function signatureHeaders({ id, timestamp, body, secrets }: Signable): SignatureHeaders {
  if (secrets.length === 0) throw new RangeError('a webhook without a live secret cannot be signed for')
  const seconds = Math.floor(timestamp.getTime() / 1000).toString()
  const sign = (secret: string) =>
    `v1,${createHmac('sha256', keyOf(secret)).update(`${id}.${seconds}.`).update(body).digest('base64')}`
  return { 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': secrets.map(sign).join(' ') }
}

function keyOf(secret: string): Buffer {
  return Buffer.from(secret.slice(PREFIX.length), 'base64')
}
