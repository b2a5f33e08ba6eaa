/**
 * Authentication and authorization of requests by API keys.
 *
 * Guarantee: stored keys are read at every request, so that a revocation takes effect at once in every process. A
 * refused request writes nothing, and a refusal does not reveal whether a key exists.
 */
import type { Queryable } from '../platform/database.js'
import { Refusal } from '../platform/errors.js'
import { bearerOf } from '../platform/secrets.js'
import { findStoredKey, recordKeyUse } from './api-key-store.js'
import { allows, isSecretOf, parseApiKey, UNBOUND, type Bounds, type Scope } from './api-key.js'

export interface Caller {
  /** The actor in the audit log: a key's id, or the source of a key with full rights. Never a secret. */
  actor: string
  /** Identifies the key among all keys, without revealing it. */
  keyId: string
  scope: Scope
  bounds: Bounds
}

export interface Access {
  /**
   * @param authorization the header (RFC 6750 section 2.1: `Bearer <key>`)
   * @throws Refusal 'unauthorized'
   */
  identify(authorization: string | undefined): Promise<Caller>
  /**
   * Checks that the key of a request has the scope `needed`, and records its use.
   * @throws Refusal 'unauthorized', or 'forbidden' that names the scope
   */
  authorize(authorization: string | undefined, needed: Scope): Promise<Caller>
}

export interface AccessOptions {
  database: Queryable
  /** Whether a header has one of the keys with full rights, which are not in the database. */
  hasFullRights: (authorization: string | undefined) => boolean
  /** The actor of requests with a key with full rights. */
  fullRightsActor: 'API_KEYS' | 'first key'
  /** Identifies a key with full rights without revealing it. */
  fingerprintOf: (apiKey: string) => string
  now?: () => Date
}

/** `last_used_at` is written at most once in this time. */
const LAST_USED_INTERVAL_MS = 60_000

export function createAccess(options: AccessOptions): Access {
  const { database, hasFullRights, fullRightsActor, fingerprintOf, now = () => new Date() } = options

  async function lookUp(authorization: string | undefined): Promise<Caller & { lastUsedAt?: Date | null }> {
    const given = bearerOf(authorization)
    if (given !== undefined && hasFullRights(authorization)) {
      return { actor: fullRightsActor, keyId: fingerprintOf(given), scope: 'admin', bounds: UNBOUND }
    }
    if (given === undefined) throw unauthorized('Send a key: Authorization: Bearer <key>.')
    const parsed = parseApiKey(given)
    const key = parsed && (await findStoredKey(database, parsed.id))
    if (!key || !isSecretOf(parsed.secret, key.digest) || key.revokedAt) {
      throw unauthorized('This key is not known, or was revoked. Send another: Authorization: Bearer <key>.')
    }
    if (key.expiresAt && key.expiresAt <= now()) {
      throw unauthorized('This key has expired. Send another: Authorization: Bearer <key>.')
    }
    return { actor: key.id, keyId: key.id, scope: key.scope, bounds: key.bounds, lastUsedAt: key.lastUsedAt }
  }

  return {
    async identify(authorization) {
      const { lastUsedAt: _, ...caller } = await lookUp(authorization)
      return caller
    },
    async authorize(authorization, needed) {
      const { lastUsedAt, ...caller } = await lookUp(authorization)
      const { actor, scope } = caller
      if (!allows(scope, needed)) {
        throw new Refusal('forbidden', `This needs a key with the scope ${needed}; yours has ${scope}.`)
      }
      const at = now()
      const before = new Date(at.getTime() - LAST_USED_INTERVAL_MS)
      if (lastUsedAt !== undefined && (lastUsedAt === null || lastUsedAt < before)) {
        await recordKeyUse(database, actor, { before, now: at })
      }
      return caller
    },
  }
}

function unauthorized(detail: string): Refusal {
  return new Refusal('unauthorized', detail)
}
