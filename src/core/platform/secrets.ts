/**
 * The keys of the relay: loading or making them, sealing values with them, and checking API keys.
 *
 * Guarantee: a key made at first start is complete on disk and readable by its owner alone before it is used; two
 * processes that start together get the same one. A sealed value opens only with its key and its context.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, SettingError } from './errors.js'

export interface Sealer {
  /**
   * Encrypts and authenticates.
   * @param context what the value belongs to, such as the webhook's id. The value opens with the same context alone, so
   *   a sealed value that is copied to another row does not open.
   */
  seal(plain: string, context: string): Buffer
  /** @throws Error when the key or the context differs, or the value is damaged */
  open(sealed: Uint8Array, context: string): string
}

/** The file of the first key. */
export interface KeyFile {
  path: string
  /** The key, if this process made it. */
  newKey: string | undefined
}

const KEY_BYTES = 32
const API_KEY = /^ark_[\w-]{43}$/

/** A sealed value: version (1 byte), nonce (12), ciphertext, tag (16). */
const SEAL_VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * Loads the 32 bytes that seal secrets at rest: the setting, else the file `encryption-key` in `dataDir` (base64, as in
 * ENCRYPTION_KEY), which is made at first start.
 * @throws SettingError when the file is damaged or cannot be read or made
 */
export async function loadEncryptionKey(config: {
  encryptionKey: Buffer | undefined
  dataDir: string
}): Promise<Buffer> {
  if (config.encryptionKey) return config.encryptionKey
  const path = join(config.dataDir, 'encryption-key')
  const { text } = await readOrMake(path, () => randomBytes(KEY_BYTES).toString('base64'))
  const key = Buffer.from(text, 'base64')
  if (key.length !== KEY_BYTES || key.toString('base64') !== text) {
    throw new SettingError(
      `${path} is damaged: restore it from a backup or set ENCRYPTION_KEY (stored secrets open with the old key alone)`,
    )
  }
  return key
}

/**
 * Loads the API keys with full rights: the setting, else the file `api-key` in `dataDir`, which is made at first start.
 * @returns `file`: the file that holds the key, and the key in the one process that made it; undefined with the setting
 * @throws SettingError when the file is damaged or cannot be read or made
 */
export async function loadApiKeys(config: {
  apiKeys: string[]
  dataDir: string
}): Promise<{ keys: string[]; file: KeyFile | undefined }> {
  if (config.apiKeys.length > 0) return { keys: config.apiKeys, file: undefined }
  const path = join(config.dataDir, 'api-key')
  const { text, created } = await readOrMake(path, () => `ark_${randomBytes(KEY_BYTES).toString('base64url')}`)
  if (!API_KEY.test(text)) {
    throw new SettingError(`${path} is damaged: remove it and a new key is made, or set API_KEYS`)
  }
  return { keys: [text], file: { path, newKey: created ? text : undefined } }
}

/** AES-256-GCM (NIST SP 800-38D) with random nonces, safe for 2^32 values per key. */
export function createSealer(key: Buffer): Sealer {
  return {
    seal(plain, context) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
      cipher.setAAD(Buffer.from(context))
      const ciphertext = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
      return Buffer.concat([Buffer.of(SEAL_VERSION), nonce, ciphertext, cipher.getAuthTag()])
    },
    open(sealed, context) {
      const nonce = sealed.subarray(1, 1 + NONCE_BYTES)
      const ciphertext = sealed.subarray(1 + NONCE_BYTES, -TAG_BYTES)
      try {
        if (sealed[0] !== SEAL_VERSION) throw new Error(`unknown version ${sealed[0]}`)
        const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
        decipher.setAAD(Buffer.from(context))
        decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
        return decipher.update(ciphertext, undefined, 'utf8') + decipher.final('utf8')
      } catch (error) {
        throw new Error(`the sealed value of ${context} does not open: another key, another context, or damaged`, {
          cause: error,
        })
      }
    },
  }
}

/** A digest that does not reveal the key. It is stored, so that a start with another key is detected. */
export function fingerprint(key: Buffer): string {
  return createHmac('sha256', key).update('alert-relay encryption key').digest('hex')
}

/**
 * Makes a function that identifies an API key without revealing it: without the encryption key the result says nothing about
 * the API key, also when that is short.
 */
export function createKeyFingerprint(encryptionKey: Buffer): (apiKey: string) => string {
  return (apiKey) => createHmac('sha256', encryptionKey).update(`API key ${apiKey}`).digest('base64url').slice(0, 22)
}

/** The key in an Authorization header (RFC 6750 section 2.1: `Bearer <key>`); undefined when there is none. */
export function bearerOf(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
}

/**
 * Makes a check of Authorization headers against the keys. The digests of all keys are compared, so the time taken
 * reveals neither a key nor its length.
 */
export function createKeyCheck(keys: string[]): (authorization: string | undefined) => boolean {
  const digests = keys.map(sha256)
  return (authorization) => {
    const given = bearerOf(authorization)
    if (given === undefined) return false
    const digest = sha256(given)
    return digests.reduce((passes, known) => timingSafeEqual(known, digest) || passes, false)
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** Reads the file's one line and makes the file if there is none; `created`: true when this call made it. */
async function readOrMake(path: string, make: () => string): Promise<{ text: string; created: boolean }> {
  try {
    const text = await readLine(path)
    if (text !== undefined) return { text, created: false }
    const created = await writeWhole(path, make())
    return { text: (await readLine(path)) ?? '', created }
  } catch (error) {
    throw new SettingError(`${path} cannot be used: ${messageOf(error)}`, { cause: error })
  }
}

async function readLine(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/**
 * Makes a file that appears complete or not at all: it is written to a temporary name and linked to `path`, which fails
 * if another process was first. (Creating `path` exclusively would let another process read half a key.)
 * @returns false when another process was first
 */
async function writeWhole(path: string, line: string): Promise<boolean> {
  const draft = `${path}.${randomBytes(8).toString('hex')}`
  await mkdir(join(path, '..'), { recursive: true })
  try {
    await writeFile(draft, `${line}\n`, { flag: 'wx', mode: 0o600, flush: true })
    await link(draft, path)
    return true
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    throw error
  } finally {
    await rm(draft, { force: true })
  }
}

function hasCode(error: unknown, code: string): boolean {
  return (error as { code?: unknown } | null)?.code === code
}
