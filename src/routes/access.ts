/**
 * Access to /v1: a hook requires an API key with the scope of the route's method and path, and documents that scope. Also
 * writes the audit entries of requests.
 *
 * Guarantee: every route that is added requires a scope. The key is checked before the body of a request is read.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Caller } from '../core/access/access.js'
import type { Bounds, Scope } from '../core/access/api-key.js'
import { changesOf, type AuditAction, type Change } from '../core/access/audit.js'
import { insertAuditEntry } from '../core/access/audit-store.js'
import type { Queryable } from '../core/platform/database.js'
import { DECISIONS, operationOf } from './bounds.js'
import type { Guard } from './guard.js'
import { problemResponses } from './problems.js'

/** Routes that reveal secrets, approve topics, manage keys or read the audit log. */
const ADMIN_PATHS = /^\/v1\/(keys|audit)(\/|$)|\/(secret|approve)(\/|$)/
/** PUT approves a topic. */
const TOPIC_PATH = '/v1/topics/:arn'
/** What brings messages in. */
const INGEST_PATHS = new Set(['/v1/messages', '/v1/rule-matches'])
const CALLER = 'caller'

/** The scope that a route requires. @param path as registered, with the names of parameters */
export function scopeOf(method: string, path: string): Scope {
  if (method === 'POST' && INGEST_PATHS.has(path)) return 'ingest'
  if (ADMIN_PATHS.test(path) || (method === 'PUT' && path === TOPIC_PATH)) return 'admin'
  return method === 'GET' || method === 'HEAD' ? 'read' : 'write'
}

/** Requires a key for every route that is added to `v1` after this call. */
export function requireKeys(v1: FastifyInstance, guard: Guard): void {
  v1.decorateRequest(CALLER)
  v1.addHook('onRoute', (route) => {
    const scope = scopeOf(String(route.method), route.url)
    const { response, ...schema } = route.schema ?? {}
    const isNamed = DECISIONS.get(operationOf(String(route.method), route.url))?.webhooks === 'named'
    const refusals = { ...problemResponses(401, 403, 429), ...(isNamed ? problemResponses(404) : {}) }
    route.schema = { ...schema, security: [{ key: [scope] }], response: { ...refusals, ...(response as object) } }
  })
  v1.addHook('onRequest', async (request, reply) => {
    // some answers hold secrets, and all are out of date soon
    reply.header('cache-control', 'no-store')
    const scope = scopeOf(request.method, request.routeOptions.url ?? '')
    request.setDecorator<Caller>(CALLER, await guard.check(request, reply, scope))
  })
}

/** Who makes a request. */
export function callerOf(request: FastifyRequest): Caller {
  return request.getDecorator<Caller>(CALLER)
}

/** What the key of a request is bound to. */
export function boundsOf(request: FastifyRequest): Bounds {
  return callerOf(request).bounds
}

/**
 * Inserts the audit entry of a change that a request makes.
 * @param tx the transaction of the change; call this before the statement that locks the registry
 */
export async function audit<T extends object>(
  tx: Queryable,
  request: FastifyRequest,
  entry: { action: AuditAction; target: string | null } & Change<T>,
): Promise<void> {
  const { actor } = callerOf(request)
  const { action, target, ...change } = entry
  const { id: requestId, ip: address } = request
  await insertAuditEntry(tx, { actor, action, target, requestId, address, changes: changesOf(change) }, new Date())
}
