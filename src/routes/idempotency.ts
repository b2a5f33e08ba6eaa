/** The header Idempotency-Key of routes that make or send something. */
import type { FastifyRequest } from 'fastify'
import { Type, type Static } from 'typebox'
import type { Database, Queryable } from '../core/platform/database.js'
import { once, type KeyedRequest } from '../core/platform/idempotency.js'
import type { Json } from '../core/platform/json.js'
import { patterned } from '../core/platform/schema.js'
import type { Sealer } from '../core/platform/secrets.js'
import { callerOf } from './access.js'

export const IdempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      ...patterned('^[\\x21-\\x7e]+$', 'printable ASCII without spaces'),
      description:
        'Chosen by you, one per request: repeated with it, the request has its effect once and gets the first answer, for a day.',
    }),
  ),
})
type IdempotencyHeader = Static<typeof IdempotencyHeaders>

/** The key of a request, its caller and route; undefined when it has none. */
export function idempotencyOf(request: FastifyRequest): Omit<KeyedRequest, 'body'> | undefined {
  const { headers, method, routeOptions } = request
  const { 'idempotency-key': key } = headers as IdempotencyHeader
  return key === undefined
    ? undefined
    : { key, caller: callerOf(request).keyId, route: `${method} ${routeOptions.url}` }
}

/**
 * Does the work of a request in a transaction, once for its Idempotency-Key, and returns its answer, or the first one of its key.
 * Work that fails leaves its key unused.
 * @param work its answer is JSON; what it may be told only if it was done now, it keeps itself
 * @throws Refusal 'idempotency_mismatch' when the key was used with other parameters or another body
 */
export type Once = <Answer>(request: FastifyRequest, work: (tx: Queryable) => Promise<Answer>) => Promise<Answer>

/** Answers are sealed, since some hold the secret that they made. */
export function createOnce({ database, sealer }: { database: Database; sealer: Sealer }): Once {
  return (request, work) => {
    const { params, body = null } = request
    const scope = idempotencyOf(request)
    const idempotency = scope && { ...scope, body: { params, body } as Json }
    return database.transaction((tx) => once(tx, idempotency, new Date(), () => work(tx), sealer))
  }
}
