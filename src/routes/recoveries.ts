/**
 * /v1/recoveries: starts and shows recoveries, which deliver the events of a period that a webhook failed to take or missed.
 *
 * Guarantee: deliveries that succeeded or are pending are not sent again. A recovery runs in the background in bounded steps
 * and survives a restart of any process.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { Foreseen, Recovery, RecoveryRequest } from '../core/delivery/recovery.js'
import { findRecovery, foreseeRecovery, insertRecovery, listRecoveries } from '../core/delivery/recovery-store.js'
import type { Database } from '../core/platform/database.js'
import { Refusal } from '../core/platform/errors.js'
import { PageOf, PageQuery } from '../core/platform/page.js'
import { refTo } from '../core/platform/schema.js'
import type { Sealer } from '../core/platform/secrets.js'
import type { Registry } from '../core/webhook/registry.js'
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
  registry: Registry
}

/** A dry run answers within seconds: it examines so many events at most. */
const FORESEEN = { examined: 10_000, step: 500 }
const { id, webhook_id: webhookId } = Recovery.properties
const WebhookParams = Type.Object({ id: webhookId })
const tags = ['deliveries']

export const recoveryRoutes: FastifyPluginAsyncTypebox<RecoveryRouteOptions> = async (http, options) => {
  const { database, registry } = options
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
          200: answer('The answer to a dry run: nothing was done.', refTo(Foreseen)),
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
      const now = new Date()
      if (body.dry_run) {
        const { byId } = await registry.current()
        const target = enabled(byId.get(params.id))
        return foreseeRecovery(database, target, periodOf(body, now), FORESEEN)
      }
      const recovery = await once(request, async (tx) => {
        enabled(await findHealthReport(tx, params.id))
        const recovery = await insertRecovery(tx, params.id, periodOf(body, now), now)
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

/** @throws Refusal 'not_found', or 'conflict' for one that is disabled */
function enabled<T extends { status: 'enabled' | 'disabled' }>(webhook: T | undefined): T {
  if (found(webhook, 'webhook').status === 'disabled') {
    throw new Refusal('conflict', 'This webhook is disabled: enable it, then recover.')
  }
  return webhook!
}

/** @throws Refusal 'invalid_request' for a period that ends before it begins */
function periodOf(body: RecoveryRequest, now: Date): { since: Date; until: Date } {
  const [since, until] = [dateOf(body, 'since')!, dateOf(body, 'until') ?? now]
  if (since < until) return { since, until }
  const detail = 'must be before until, or before now'
  throw new Refusal('invalid_request', `since ${detail}`, { errors: [{ path: '/since', detail }] })
}
