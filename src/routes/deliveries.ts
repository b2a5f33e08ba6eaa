/**
 * /v1/deliveries: lists deliveries and their attempts, and retries deliveries.
 *
 * Guarantee: a retry by request makes one attempt, even if a scheduled retry is waiting, and restarts the retry schedule.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type Static } from 'typebox'
import type { Bounds } from '../core/access/api-key.js'
import { Delivery, DeliveryWithAttempts } from '../core/delivery/delivery.js'
import { DRY_RUN, Foreseen } from '../core/delivery/recovery.js'
import { findDelivery as findAnyDelivery, listDeliveries, type DeliveryFilter } from '../core/delivery/delivery-list.js'
import { foreseeRestart, restartDeliveries, restartDelivery } from '../core/delivery/restart-store.js'
import { wakeNow } from '../core/delivery/wake-now.js'
import { EVENT_TYPES } from '../core/event/event.js'
import type { Database, Queryable } from '../core/platform/database.js'
import { Refusal } from '../core/platform/errors.js'
import { idPattern } from '../core/platform/id.js'
import { PageOf, PageQuery } from '../core/platform/page.js'
import { oneOf, refTo } from '../core/platform/schema.js'
import type { Queues } from '../core/platform/queues.js'
import type { Sealer } from '../core/platform/secrets.js'
import { audit, boundsOf } from './access.js'
import { answer } from './answers.js'
import { coversWebhook } from './bounds.js'
import { createOnce, IdempotencyHeaders } from './idempotency.js'
import { found, problemResponses } from './problems.js'
import { rangeOf, TimeRange } from './query.js'

export interface DeliveryRouteOptions {
  database: Database
  sealer: Sealer
  queues: Queues
}

const { id: deliveryId, event_id: eventId, webhook_id: webhookId, status } = Delivery.properties
const DeliveryParams = Type.Object({ id: deliveryId })
const ListQuery = Type.Object({ ...PageQuery, status: Type.Optional(status), ...TimeRange })
/** The most webhooks that a dry run names. */
const FORESEEN_WEBHOOKS = 100
/** The most deliveries that one request restarts. */
const RETRY_LIMIT = 1000
const BulkRetry = Type.Object(
  {
    status: Type.Optional(
      oneOf(['dead', 'pending'], { description: 'dead (the default), or pending: those that wait are due now.' }),
    ),
    webhook_id: Type.Optional(webhookId),
    event_type: Type.Optional(oneOf(EVENT_TYPES)),
    ...TimeRange,
    ...DRY_RUN,
  },
  { additionalProperties: false, examples: [{ status: 'dead', since: '2026-01-01T00:00:00Z' }] },
)
const BulkRetried = Type.Object({
  retried: Type.Integer({ minimum: 0 }),
  has_more: Type.Boolean({ description: 'True when as many as one request takes were retried: ask again.' }),
})
const tags = ['deliveries']

export const deliveryRoutes: FastifyPluginAsyncTypebox<DeliveryRouteOptions> = async (http, options) => {
  const { database, queues } = options
  const once = createOnce(options)

  http.get(
    '/deliveries',
    {
      schema: {
        operationId: 'listDeliveries',
        tags,
        summary: 'List deliveries',
        description: 'Newest first; every parameter given must hold. `status=dead` is the dead-letter list.',
        querystring: Type.Object({
          ...ListQuery.properties,
          webhook_id: Type.Optional(webhookId),
          event_id: Type.Optional(eventId),
        }),
        response: {
          200: answer('A page of deliveries, newest first.', PageOf(refTo(Delivery))),
          ...problemResponses(400, 401),
        },
      },
    },
    async (request) => {
      const { query } = request
      const named = { webhook_id: query.webhook_id, event_id: query.event_id }
      const webhookIds = boundsOf(request).webhooks ?? undefined
      return listDeliveries(database, { ...filterOf(query), ...named, webhook_ids: webhookIds }, query)
    },
  )

  http.get(
    '/webhooks/:id/deliveries',
    {
      schema: {
        operationId: 'listWebhookDeliveries',
        tags,
        summary: "List a webhook's deliveries",
        description: 'Newest first. Those of a deleted webhook are listed too, as long as they are kept.',
        params: Type.Object({ id: webhookId }),
        querystring: Type.Object({ ...ListQuery.properties, event_id: Type.Optional(eventId) }),
        response: {
          200: answer(
            "A page of the webhook's deliveries, newest first; empty for a webhook that is not known.",
            PageOf(refTo(Delivery)),
          ),
          ...problemResponses(400, 401),
        },
      },
    },
    async ({ params, query }) =>
      listDeliveries(database, { ...filterOf(query), webhook_id: params.id, event_id: query.event_id }, query),
  )

  http.get(
    '/events/:id/deliveries',
    {
      schema: {
        operationId: 'listEventDeliveries',
        tags,
        summary: "List an event's deliveries",
        description: 'Newest first.',
        params: Type.Object({ id: Type.String({ pattern: idPattern('evt') }) }),
        querystring: Type.Object({ ...ListQuery.properties, webhook_id: Type.Optional(webhookId) }),
        response: {
          200: answer(
            "A page of the event's deliveries, newest first; empty for an event that is not known.",
            PageOf(refTo(Delivery)),
          ),
          ...problemResponses(400, 401),
        },
      },
    },
    async ({ params, query }) =>
      listDeliveries(database, { ...filterOf(query), event_id: params.id, webhook_id: query.webhook_id }, query),
  )

  http.get(
    '/deliveries/:id',
    {
      schema: {
        operationId: 'getDelivery',
        tags,
        summary: 'Show a delivery and its attempts',
        params: DeliveryParams,
        response: {
          200: answer('The delivery and every attempt at it.', refTo(DeliveryWithAttempts)),
          ...problemResponses(400, 401, 404),
        },
      },
    },
    async (request) => findDelivery(database, boundsOf(request), request.params.id),
  )

  http.post(
    '/deliveries/:id/retry',
    {
      schema: {
        operationId: 'retryDelivery',
        tags,
        summary: 'Retry a delivery now',
        description: 'Whatever became of it, the next attempt is made now and the retry schedule begins anew.',
        params: DeliveryParams,
        headers: IdempotencyHeaders,
        response: {
          202: answer('The next attempt is due now: the delivery as it waits.', refTo(Delivery)),
          ...problemResponses(400, 401, 404, 409, 422),
        },
      },
    },
    async (request, reply) => {
      const { params, log } = request
      const now = new Date()
      const delivery = await once(request, async (tx) => {
        await findDelivery(tx, boundsOf(request), params.id)
        const webhook = await restartDelivery(tx, params.id, now)
        if (!webhook) {
          throw new Refusal(
            'conflict',
            'This delivery is dropped, its `reason` says why: a replay of its event sends it.',
          )
        }
        await audit(tx, request, { action: 'delivery.retried', target: params.id, after: { webhook_id: webhook } })
        const { attempts, ...delivery } = await findDelivery(tx, boundsOf(request), params.id)
        return delivery
      })
      await wakeNow({ database, queues, log }, [delivery.webhook_id], now)
      return reply.code(202).send(delivery)
    },
  )

  http.post(
    '/deliveries/retry',
    {
      schema: {
        operationId: 'retryDeliveries',
        tags,
        summary: 'Retry many deliveries now',
        description:
          `The oldest ${RETRY_LIMIT} that match begin their schedules anew; \`has_more\` says whether to ask again. Without a ` +
          'filter these are all that are dead. Tests are left out.',
        headers: IdempotencyHeaders,
        body: BulkRetry,
        response: {
          200: answer('The answer to a dry run: nothing was done.', refTo(Foreseen)),
          202: answer('The deliveries are due now; they are made in the background.', BulkRetried),
          ...problemResponses(400, 401, 415, 422),
        },
      },
    },
    async (request, reply) => {
      const { body, log } = request
      const now = new Date()
      const { dry_run: isDryRun, ...asked } = body
      const { status = 'dead', webhook_id: webhookId, event_type: eventType } = asked
      const { webhooks } = boundsOf(request)
      if (webhooks && !(webhookId !== undefined && webhooks.includes(webhookId))) {
        throw new Refusal('forbidden', 'This key is bound to webhooks: say in webhook_id which of them.')
      }
      const filter = { status, webhookId, eventType, ...rangeOf(asked) }
      if (isDryRun) {
        return { ...(await foreseeRestart(database, filter, now, FORESEEN_WEBHOOKS)), is_complete: true }
      }
      let woken = new Set<string>()
      const retried = await once(request, async (tx) => {
        const restarted = await restartDeliveries(tx, filter, now, RETRY_LIMIT)
        woken = new Set(restarted)
        const after = { ...asked, status, deliveries: restarted.length }
        const change = { action: 'deliveries.retried', target: webhookId ?? null, after } as const
        if (restarted.length > 0) await audit(tx, request, change)
        return { retried: restarted.length, has_more: restarted.length === RETRY_LIMIT }
      })
      await wakeNow({ database, queues, log }, [...woken], now)
      return reply.code(202).send(retried)
    },
  )
}

/** @throws Refusal 'not_found', also if its webhook is none that the key is bound to */
async function findDelivery(db: Queryable, bounds: Bounds, id: string): Promise<DeliveryWithAttempts> {
  const delivery = await findAnyDelivery(db, id)
  const isCovered = delivery !== undefined && coversWebhook(bounds, delivery.webhook_id)
  return found(isCovered ? delivery : undefined, 'delivery')
}

function filterOf({ status, since, until }: Static<typeof ListQuery>): DeliveryFilter {
  return { status, ...rangeOf({ since, until }) }
}
