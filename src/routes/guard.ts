/**
 * The guard of keys: what a request must have, and what becomes of one that has it not.
 *
 * Guarantee: a key that is refused leaves a line and a count, and one a minute an entry in the audit log, with its address. After ten of
 * them its address waits.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Access, Caller } from '../core/access/access.js'
import type { Scope } from '../core/access/api-key.js'
import { insertAuditEntry } from '../core/access/audit-store.js'
import type { Penalties } from '../core/access/penalties.js'
import type { Queryable } from '../core/platform/database.js'
import { messageOf, Refusal } from '../core/platform/errors.js'
import type { Metrics } from '../core/platform/metrics.js'
import { occasionally } from '../core/platform/occasionally.js'
import { checkBounds, operationOf } from './bounds.js'

export interface Guard {
  /**
   * Also checks what a bound key is bound to.
   * @throws Refusal 'unauthorized', 'forbidden', 'not_found', or 'too_many_requests' with a Retry-After
   */
  check(request: FastifyRequest, reply: FastifyReply, scope: Scope): Promise<Caller>
}

export interface GuardOptions {
  access: Access
  penalties: Penalties
  database: Queryable
  metrics: Pick<Metrics, 'countRefusedKey'>
}

const ENTRY_EVERY_MS = 60_000

export function createGuard({ access, penalties, database, metrics }: GuardOptions): Guard {
  const mayWrite = occasionally(ENTRY_EVERY_MS)

  async function refused(request: FastifyRequest, error: Refusal): Promise<void> {
    const { ip: address, log, id, method, routeOptions } = request
    penalties.refused(address)
    metrics.countRefusedKey()
    log.warn({ client: address, method, route: routeOptions.url, detail: messageOf(error) }, 'key refused')
    if (!mayWrite()) return
    const entry = {
      actor: 'unknown',
      action: 'key.refused',
      target: null,
      requestId: id,
      address,
      changes: {},
    } as const
    await insertAuditEntry(database, entry, new Date()).catch((cause: unknown) =>
      log.warn({ err: cause }, 'the audit log has no entry of a refused key'),
    )
  }

  return {
    async check(request, reply, scope) {
      const { authorization = '' } = request.headers
      const waitMs = penalties.waitMs(request.ip, authorization)
      if (waitMs > 0) {
        const seconds = Math.ceil(waitMs / 1000)
        reply.header('retry-after', seconds)
        throw new Refusal('too_many_requests', `Too many keys from this address were not known: wait ${seconds} s.`)
      }
      try {
        const caller = await access.authorize(authorization, scope)
        penalties.accepted(authorization)
        checkBounds(
          caller.bounds,
          operationOf(request.method, request.routeOptions.url ?? ''),
          request.params as object,
        )
        return caller
      } catch (error) {
        if (authorization !== '' && error instanceof Refusal && error.code === 'unauthorized') {
          await refused(request, error)
        }
        throw error
      }
    },
  }
}
