/**
 * /v1/keys: creates, lists and revokes API keys.
 *
 * Guarantee: the text of a key is only in the answer that creates it. A revoked key is refused from the next request on.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { ApiKey, ApiKeyCreate, boundsErrors, newApiKey, type Bounds, type Scope } from '../core/access/api-key.js'
import { insertApiKey, listApiKeys, revokeApiKey } from '../core/access/api-key-store.js'
import type { Database, Queryable } from '../core/platform/database.js'
import { Refusal, refuseFields } from '../core/platform/errors.js'
import { PageOf, PageQuery } from '../core/platform/page.js'
import { refTo } from '../core/platform/schema.js'
import type { Sealer } from '../core/platform/secrets.js'
import { listWebhooks } from '../core/webhook/webhook-store.js'
import { audit } from './access.js'
import { answer } from './answers.js'
import { CREATED_KEY } from './examples.js'
import { createOnce, IdempotencyHeaders } from './idempotency.js'
import { found, problemResponses } from './problems.js'
import { dateOf } from './query.js'

export interface KeyRouteOptions {
  database: Database
  sealer: Sealer
}

const Params = Type.Object({ id: ApiKey.properties.id })
export const ApiKeyWithText = Type.Object(
  { ...ApiKey.properties, key: Type.String({ description: 'The key itself. It is shown this once.' }) },
  { $id: 'ApiKeyWithText' },
)
const tags = ['keys']

export const keyRoutes: FastifyPluginAsyncTypebox<KeyRouteOptions> = async (http, options) => {
  const { database, sealer } = options
  const once = createOnce(options)

  http.post(
    '/keys',
    {
      schema: {
        operationId: 'createKey',
        tags,
        summary: 'Make a key',
        description:
          'The answer holds the key; it is shown here only, since a digest of it is all that is kept. `webhooks` or `topics` bind it.',
        headers: IdempotencyHeaders,
        body: ApiKeyCreate,
        response: {
          201: answer(
            'The key is made. Its text is in this answer and is never shown again.',
            refTo(ApiKeyWithText),
            CREATED_KEY,
          ),
          ...problemResponses(400, 401, 403, 415, 422),
        },
      },
    },
    async (request, reply) => {
      const { name, scope, webhooks = null, topics = null } = request.body
      const bounds = { webhooks, topics }
      const key = await once(request, async (tx) => {
        const now = new Date()
        const expiresAt = dateOf(request.body, 'expires_at') ?? null
        if (expiresAt && expiresAt <= now) {
          const detail = 'must be in the future'
          throw new Refusal('invalid_request', `expires_at ${detail}`, { errors: [{ path: '/expires_at', detail }] })
        }
        await refuseBounds(tx, sealer, scope, bounds)
        const { id, text, digest } = newApiKey()
        const key = await insertApiKey(tx, { id, name, scope, bounds, digest, expiresAt }, now)
        const after = {
          name,
          scope,
          ...(webhooks ? { webhooks } : {}),
          ...(topics ? { topics } : {}),
          expires_at: key.expires_at,
        }
        await audit(tx, request, { action: 'key.created', target: id, after })
        return { ...key, key: text }
      })
      return reply.code(201).send(key)
    },
  )

  http.get(
    '/keys',
    {
      schema: {
        operationId: 'listKeys',
        tags,
        summary: 'List keys',
        description:
          'Newest first; those that expired or were revoked too. The keys with full rights (API_KEYS, or the one that the ' +
          'first start made) are not among them.',
        querystring: Type.Object(PageQuery),
        response: {
          200: answer('A page of keys, newest first.', PageOf(refTo(ApiKey))),
          ...problemResponses(400, 401, 403),
        },
      },
    },
    async ({ query }) => listApiKeys(database, query),
  )

  http.delete(
    '/keys/:id',
    {
      schema: {
        operationId: 'revokeKey',
        tags,
        summary: 'Revoke a key',
        description: 'From the next request on it is refused, in every process. It stays in the list.',
        params: Params,
        response: {
          204: Type.Null({ description: 'The key is revoked, now or before; there is no body.' }),
          ...problemResponses(400, 401, 403, 404),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      await database.transaction(async (tx) => {
        const revoked = found(await revokeApiKey(tx, id, new Date()), 'key')
        if (revoked === 'now') await audit(tx, request, { action: 'key.revoked', target: id })
      })
      return reply.code(204).send(null)
    },
  )
}

/** @throws Refusal 'invalid_request' naming the bounds that are wrong, such as a webhook that is not known */
async function refuseBounds(tx: Queryable, sealer: Sealer, scope: Scope, bounds: Bounds): Promise<void> {
  refuseFields(boundsErrors(scope, bounds))
  const { webhooks } = bounds
  if (!webhooks) return
  const { data } = await listWebhooks(tx, sealer, { ids: webhooks }, { limit: webhooks.length })
  const known = new Set(data.map(({ id }) => id))
  refuseFields(
    webhooks.flatMap((id, i) => (known.has(id) ? [] : [{ path: `/webhooks/${i}`, detail: `${id} is no webhook` }])),
  )
}
