/**
 * Who a request is from, and whether it may.
 *
 * Promise: stored keys are looked up at every request, so what is revoked is revoked at once in every process; a request
 * that is refused writes nothing; a refusal never says whether a key was there once.
 */
import type { Queryable } from '../platform/database.js'
import { Refusal } from '../platform/errors.js'
import { bearerOf } from '../platform/secrets.js'
import { findStoredKey, noteKeyUse } from './api-key-store.js'
import { allows, isSecretOf, parseApiKey, type Scope } from './api-key.js'

export interface Caller {
  /** What the audit log calls it: a key's id, or where a key with full rights is from. Never a secret. */
  actor: string
  scope: Scope
}

export interface Access {
  /**
   * @param authorization the header (RFC 6750 section 2.1: `Bearer <key>`)
   * @throws Refusal 'unauthorized'
   */
  identify(authorization: string | undefined): Promise<Caller>
  /**
   * Lets a request pass that may do what `needed` says.
   * @throws Refusal 'unauthorized', or 'forbidden' naming the scope
   */
  authorize(authorization: string | undefined, needed: Scope): Promise<Caller>
}

export interface AccessOptions {
  database: Queryable
  /** Whether a header carries one of the keys with full rights, which are no rows. */
  hasFullRights: (authorization: string | undefined) => boolean
  /** What the audit log calls who has one of them. */
  fullRightsActor: 'API_KEYS' | 'first key'
  now?: () => Date
}

/** A key's use is noted once in this time. */
const USE_NOTED_EVERY_MS = 60_000

export function createAccess(options: AccessOptions): Access {
  const { database, hasFullRights, fullRightsActor, now = () => new Date() } = options

  async function lookUp(authorization: string | undefined): Promise<Caller & { lastUsedAt?: Date | null }> {
    if (hasFullRights(authorization)) return { actor: fullRightsActor, scope: 'admin' }
    const given = bearerOf(authorization)
    if (given === undefined) throw unauthorized('Send a key: Authorization: Bearer <key>.')
    const parsed = parseApiKey(given)
    const key = parsed && (await findStoredKey(database, parsed.id))
    if (!key || !isSecretOf(parsed.secret, key.digest) || key.revokedAt) {
      throw unauthorized('This key is not known, or was revoked. Send another: Authorization: Bearer <key>.')
    }
    if (key.expiresAt && key.expiresAt <= now()) {
      throw unauthorized('This key has expired. Send another: Authorization: Bearer <key>.')
    }
    return { actor: key.id, scope: key.scope, lastUsedAt: key.lastUsedAt }
  }

  return {
    async identify(authorization) {
      const { actor, scope } = await lookUp(authorization)
      return { actor, scope }
    },
    async authorize(authorization, needed) {
      const { actor, scope, lastUsedAt } = await lookUp(authorization)
      if (!allows(scope, needed)) {
        throw new Refusal('forbidden', `This needs a key with the scope ${needed}; yours has ${scope}.`)
      }
      const at = now()
      const before = new Date(at.getTime() - USE_NOTED_EVERY_MS)
      if (lastUsedAt !== undefined && (lastUsedAt === null || lastUsedAt < before)) {
        await noteKeyUse(database, actor, { before, now: at })
      }
      return { actor, scope }
    },
  }
}

function unauthorized(detail: string): Refusal {
  return new Refusal('unauthorized', detail)
}
