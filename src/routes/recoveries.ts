/**
 * /v1/recoveries: starts and shows recoveries, which deliver the events of a period that a webhook failed to take or missed.
 *
 * Guarantee: deliveries that succeeded or are pending are not sent again. A recovery runs in the background in bounded steps
 * and survives a restart of any process.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { Recovery, RecoveryRequest } from '../core/delivery/recovery.js'
import { findRecovery, insertRecovery, listRecoveries } from '../core/delivery/recovery-store.js'
import type { Database } from '../core/platform/database.js'
import { Refusal } from '../core/platform/errors.js'
import { PageOf, PageQuery } from '../core/platform/page.js'
import { refTo } from '../core/platform/schema.js'
import type { Sealer } from '../core/platform/secrets.js'
import { findHealthReport } from '../core/circuit/health-store.js'
import { audit, boundsOf } from './access.js'
import { answer } from './answers.js'
import { coversWebhook } from './bounds.js'
import { createOnce, IdempotencyHeaders } from './idempotency.js'
import { found, problemResponses } from './problems.js'
import { dateOf } from './query.js'

export interface RecoveryRouteOptions {
  database: Database
  sealer: Sealer
}

const { id, webhook_id: webhookId } = Recovery.properties
const WebhookParams = Type.Object({ id: webhookId })
const tags = ['deliveries']

export const recoveryRoutes: FastifyPluginAsyncTypebox<RecoveryRouteOptions> = async (http, options) => {
  const { database } = options
  const once = createOnce(options)

  http.post(
    '/webhooks/:id/recover',
    {
      schema: {
        operationId: 'recoverWebhook',
        tags,
        summary: 'Deliver again what failed or was missed',
        description:
          'Every event of that time which the webhook wants and did not take is delivered, also when the webhook was made ' +
          'later. Deliveries that succeeded or wait are left alone. It is done in the background: look at the recovery for ' +
          'its progress.',
        params: WebhookParams,
        headers: IdempotencyHeaders,
        body: RecoveryRequest,
        response: {
          202: answer(
            'The recovery has begun, and goes on in the background. `location` is its path.',
            refTo(Recovery),
          ),
          ...problemResponses(400, 401, 404, 409, 415, 422),
        },
      },
    },
    async (request, reply) => {
      const { params, body } = request
      const recovery = await once(request, async (tx) => {
        const webhook = found(await findHealthReport(tx, params.id), 'webhook')
        if (webhook.status === 'disabled') {
          throw new Refusal('conflict', 'This webhook is disabled: enable it, then recover.')
        }
        const now = new Date()
        const [since, until] = [dateOf(body, 'since')!, dateOf(body, 'until') ?? now]
        if (since >= until) {
          const detail = 'must be before until, or before now'
          throw new Refusal('invalid_request', `since ${detail}`, { errors: [{ path: '/since', detail }] })
        }
        const recovery = await insertRecovery(tx, params.id, { since, until }, now)
        const after = { webhook_id: params.id, since: recovery.since, until: recovery.until }
        await audit(tx, request, { action: 'recovery.started', target: recovery.id, after })
        return recovery
      })
      return reply.code(202).header('location', `/v1/recoveries/${recovery.id}`).send(recovery)
    },
  )

  http.get(
    '/webhooks/:id/recoveries',
    {
      schema: {
        operationId: 'listRecoveries',
        tags,
        summary: "List a webhook's recoveries",
        description: 'Newest first.',
        params: WebhookParams,
        querystring: Type.Object(PageQuery),
        response: {
          200: answer(
            "A page of the webhook's recoveries, newest first; empty for a webhook that is not known.",
            PageOf(refTo(Recovery)),
          ),
          ...problemResponses(400, 401),
        },
      },
    },
    async ({ params, query }) => listRecoveries(database, params.id, query),
  )

  http.get(
    '/recoveries/:id',
    {
      schema: {
        operationId: 'getRecovery',
        tags,
        summary: 'Show a recovery and its progress',
        params: Type.Object({ id }),
        response: {
          200: answer('The recovery and how far it has come.', refTo(Recovery)),
          ...problemResponses(400, 401, 404),
        },
      },
    },
    async (request) => {
      const recovery = found(await findRecovery(database, request.params.id), 'recovery')
      return found(coversWebhook(boundsOf(request), recovery.webhook_id) ? recovery : undefined, 'recovery')
    },
  )
}
