/**
 * Deliveries and attempts: what was sent, what came back, and another try.
 *
 * Promise: a retry by hand is one job, also while another retry waits, and begins the schedule anew.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type Static } from 'typebox'
import { Delivery, DeliveryWithAttempts } from '../core/delivery/delivery.js'
import { findDelivery, listDeliveries, type DeliveryFilter } from '../core/delivery/delivery-list.js'
import { restartDelivery } from '../core/delivery/delivery-store.js'
import type { Database } from '../core/platform/database.js'
import { Refusal } from '../core/platform/errors.js'
import { idPattern } from '../core/platform/id.js'
import { PageOf, PageQuery } from '../core/platform/page.js'
import { refTo } from '../core/platform/schema.js'
import { leaveToUpkeep, type Queues } from '../core/platform/queues.js'
import { found, problemResponses } from './problems.js'
import { dateOf, TimeRange } from './query.js'

export interface DeliveryRouteOptions {
  database: Database
  queues: Queues
}

const { id: deliveryId, event_id: eventId, webhook_id: webhookId, status } = Delivery.properties
const DeliveryParams = Type.Object({ id: deliveryId })
const ListQuery = Type.Object({ ...PageQuery, status: Type.Optional(status), ...TimeRange })
const tags = ['deliveries']

export const deliveryRoutes: FastifyPluginAsyncTypebox<DeliveryRouteOptions> = async (http, { database, queues }) => {
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
        response: { 200: PageOf(refTo(Delivery)), ...problemResponses(400, 401) },
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
        response: { 200: PageOf(refTo(Delivery)), ...problemResponses(400, 401) },
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
        response: { 200: refTo(DeliveryWithAttempts), ...problemResponses(400, 401, 404) },
      },
    },
    async ({ params }) => found(await findDelivery(database, params.id), 'delivery'),
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
        response: { 202: refTo(Delivery), ...problemResponses(400, 401, 404, 409) },
      },
    },
    async ({ params, log }, reply) => {
      found(await findDelivery(database, params.id), 'delivery')
      const job = await restartDelivery(database, params.id, new Date())
      if (!job) throw new Refusal('conflict', 'This delivery is dropped: its webhook was deleted.')
      await leaveToUpkeep(queues.addRetries([job], { replace: true }), log)
      const { attempts, ...delivery } = found(await findDelivery(database, params.id), 'delivery')
      return reply.code(202).send(delivery)
    },
  )
}

function filterOf({ status, since, until }: Static<typeof ListQuery>): DeliveryFilter {
  return { status, since: dateOf(since), until: dateOf(until) }
}
