/**
 * Access to /v1: every route needs a key with the scope that its method and path ask for, and says so in the document.
 *
 * Promise: a route that is added asks for a scope by itself; nothing of a request is read before its key passed.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Access, Caller } from '../core/access/access.js'
import type { Scope } from '../core/access/api-key.js'
import { changesOf, type AuditAction, type Change } from '../core/access/audit.js'
import { insertAuditEntry } from '../core/access/audit-store.js'
import type { Queryable } from '../core/platform/database.js'
import { problemResponses } from './problems.js'

/** Secrets, who may feed us, and who may do what. */
const ADMIN_PATHS = /^\/v1\/(keys|audit)(\/|$)|\/(secret|approve)(\/|$)/
const CALLER = 'caller'

/** The scope that a route needs. @param path as it is registered, parameters by name */
export function scopeOf(method: string, path: string): Scope {
  if (ADMIN_PATHS.test(path)) return 'admin'
  return method === 'GET' || method === 'HEAD' ? 'read' : 'write'
}

/** Guards the routes that are added to `v1` from now on. */
export function requireKeys(v1: FastifyInstance, access: Access): void {
  v1.decorateRequest(CALLER)
  v1.addHook('onRoute', (route) => {
    const scope = scopeOf(String(route.method), route.url)
    const { response, ...schema } = route.schema ?? {}
    const refusals = problemResponses(401, 403)
    route.schema = { ...schema, security: [{ key: [scope] }], response: { ...refusals, ...(response as object) } }
  })
  v1.addHook('onRequest', async (request) => {
    const scope = scopeOf(request.method, request.routeOptions.url ?? '')
    request.setDecorator<Caller>(CALLER, await access.authorize(request.headers.authorization, scope))
  })
}

/** Writes down what a request changes. @param tx the transaction of the change; call it before what locks the registry */
export async function audit<What extends object>(
  tx: Queryable,
  request: FastifyRequest,
  what: { action: AuditAction; target: string | null } & Change<What>,
): Promise<void> {
  const { actor } = request.getDecorator<Caller>(CALLER)
  const { action, target, ...change } = what
  await insertAuditEntry(tx, { actor, action, target, requestId: request.id, changes: changesOf(change) }, new Date())
}
