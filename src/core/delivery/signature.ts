/**
 * Standard Webhooks 1.0 signatures (https://github.com/standard-webhooks/standard-webhooks, "Signature scheme"):
 * symmetric with a secret (`whsec_`), asymmetric with a signing key (`whsk_`). Pure except for generating new ones.
 *
 * Guarantee: a receiver with one live secret of its webhook, or the public half of a live signing key, can verify a request
 * with any Standard Webhooks library; no request is sent unsigned.
 */
import { createHmac, createPrivateKey, createPublicKey, randomBytes, sign, type KeyObject } from 'node:crypto'

export interface SignatureHeaders {
  'webhook-id': string
  /** Seconds since 1970. */
  'webhook-timestamp': string
  /**
   * `v1,` and base64 of an HMAC-SHA256 for a secret, `v1a,` and base64 of an ed25519 signature for a signing key; one for
   * each, in the order given, separated by spaces.
   */
  'webhook-signature': string
}

export interface Signable {
  /** The event's id: the same over retries and replays, so that receivers can deduplicate. */
  id: string
  /** The time of this attempt; receivers refuse requests that are too old. */
  timestamp: Date
  body: string | Buffer
  /** The live secrets and signing keys of the webhook: one, or two while it is being rotated. */
  secrets: string[]
}

const SECRET_PREFIX = 'whsec_'
const SIGNING_KEY_PREFIX = 'whsk_'
const PUBLIC_KEY_PREFIX = 'whpk_'

const NEW_SECRET_BYTES = 32
/** The specification's bounds. */
const MIN_SECRET_BYTES = 24
const MAX_SECRET_BYTES = 64

/** RFC 8032: the private key, and the public key that is derived from it. */
const SEED_BYTES = 32
const PUBLIC_KEY_BYTES = 32

/** RFC 8410: the bytes before the seed in a PKCS#8 ed25519 key. node:crypto does not import a bare seed. */
const PKCS8_BEFORE_SEED = Buffer.from('302e020100300506032b657004220420', 'hex')

/** Parsed signing keys: parsing takes ten times as long as signing does (300 us and 25 us, measured). */
const parsedKeys = new Map<string, KeyObject>()
const MAX_PARSED_KEYS = 1_000

/** A new random secret: `whsec_` and 32 bytes in base64. */
export function newSecret(): string {
  return SECRET_PREFIX + randomBytes(NEW_SECRET_BYTES).toString('base64')
}

/** True for `whsec_` and the canonical base64 of 24 to 64 bytes. */
export function isSecret(text: string): boolean {
  const key = bytesAfter(SECRET_PREFIX, text)
  return key !== undefined && key.length >= MIN_SECRET_BYTES && key.length <= MAX_SECRET_BYTES
}

/**
 * A new random signing key: `whsk_` and 64 bytes in base64, the seed followed by the public key. libsodium and Go use the
 * same layout; the specification only says "base64".
 */
export function newSigningKey(): string {
  const seed = randomBytes(SEED_BYTES)
  return SIGNING_KEY_PREFIX + Buffer.concat([seed, publicBytes(keyOfSeed(seed))]).toString('base64')
}

/** True for `whsk_` and the canonical base64 of a seed with its public key, or of a seed alone. */
export function isSigningKey(text: string): boolean {
  const bytes = bytesAfter(SIGNING_KEY_PREFIX, text)
  if (bytes?.length === SEED_BYTES) return true
  if (bytes?.length !== SEED_BYTES + PUBLIC_KEY_BYTES) return false
  return publicBytes(keyOfSeed(bytes.subarray(0, SEED_BYTES))).equals(bytes.subarray(SEED_BYTES))
}

/** The public half of a signing key, for receivers: `whpk_` and 32 bytes in base64. */
export function publicKeyOf(signingKey: string): string {
  return PUBLIC_KEY_PREFIX + publicBytes(parsedKey(signingKey)).toString('base64')
}

/**
 * The three headers of a signed request. The signed text is `id.timestamp.body`.
 * @throws RangeError without a secret: a bug of the caller
 */
export function signatureHeaders({ id, timestamp, body, secrets }: Signable): SignatureHeaders {
  if (secrets.length === 0) throw new RangeError('a webhook without a live secret cannot be signed for')
  const seconds = Math.floor(timestamp.getTime() / 1000).toString()
  const head = `${id}.${seconds}.`
  const signatures = secrets.map((secret) =>
    secret.startsWith(SIGNING_KEY_PREFIX)
      ? `v1a,${sign(null, Buffer.concat([Buffer.from(head), Buffer.from(body)]), parsedKey(secret)).toString('base64')}`
      : `v1,${createHmac('sha256', secretBytes(secret)).update(head).update(body).digest('base64')}`,
  )
  return { 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': signatures.join(' ') }
}

function secretBytes(secret: string): Buffer {
  return Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64')
}

/** The decoded bytes after the prefix; undefined when the text is not the prefix and canonical base64. */
function bytesAfter(prefix: string, text: string): Buffer | undefined {
  if (!text.startsWith(prefix)) return undefined
  const bytes = Buffer.from(text.slice(prefix.length), 'base64')
  return prefix + bytes.toString('base64') === text ? bytes : undefined
}

function parsedKey(signingKey: string): KeyObject {
  let key = parsedKeys.get(signingKey)
  if (!key) {
    const bytes = Buffer.from(signingKey.slice(SIGNING_KEY_PREFIX.length), 'base64')
    key = keyOfSeed(bytes.subarray(0, SEED_BYTES))
    const [oldest] = parsedKeys.keys()
    if (oldest !== undefined && parsedKeys.size >= MAX_PARSED_KEYS) parsedKeys.delete(oldest)
    parsedKeys.set(signingKey, key)
  }
  return key
}

function keyOfSeed(seed: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_BEFORE_SEED, seed]), format: 'der', type: 'pkcs8' })
}

/** The raw public key: the last bytes of its SPKI form (RFC 8410 section 4). */
function publicBytes(privateKey: KeyObject): Buffer {
  return createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(-PUBLIC_KEY_BYTES)
}
