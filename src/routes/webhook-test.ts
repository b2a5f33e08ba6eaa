/**
 * /v1/webhooks/{id}/test: sends a test to a webhook.
 *
 * Guarantee: a request that is repeated with its Idempotency-Key sends no second test.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Deliver } from '../core/delivery/deliver.js'
import { DeliveryWithAttempts } from '../core/delivery/delivery.js'
import { findDelivery } from '../core/delivery/delivery-list.js'
import { sendTest } from '../core/delivery/test-delivery.js'
import type { CountEvent } from '../core/event/event.js'
import type { Database } from '../core/platform/database.js'
import { Refusal } from '../core/platform/errors.js'
import { newId } from '../core/platform/id.js'
import { refTo } from '../core/platform/schema.js'
import type { Sealer } from '../core/platform/secrets.js'
import { WebhookView, type Target } from '../core/webhook/webhook.js'
import { findTarget } from '../core/webhook/webhook-store.js'
import { answer } from './answers.js'
import { createOnce, IdempotencyHeaders } from './idempotency.js'
import { found, problemResponses } from './problems.js'

export interface WebhookTestRouteOptions {
  database: Database
  sealer: Sealer
  deliver: Deliver
  countEvent?: CountEvent
}

const Params = Type.Object({ id: { ...WebhookView.properties.id, description: 'A webhook id (wh_...).' } })
const tags = ['webhooks']

export const webhookTestRoutes: FastifyPluginAsyncTypebox<WebhookTestRouteOptions> = async (http, options) => {
  const { database, sealer } = options
  const once = createOnce(options)

  http.post(
    '/webhooks/:id/test',
    {
      schema: {
        operationId: 'testWebhook',
        tags,
        summary: 'Send a test',
        description:
          'Makes an event of type webhook.test with an example alert change, sends it to this webhook alone, once, and ' +
          'answers what came of it. A disabled webhook can be tested too.',
        params: Params,
        headers: IdempotencyHeaders,
        response: {
          200: answer(
            'The test was sent: the delivery and its one attempt say what came of it, also when the receiver refused it.',
            refTo(DeliveryWithAttempts),
          ),
          ...problemResponses(400, 401, 404, 409, 422),
        },
      },
    },
    async (request) => {
      let target: Target | undefined
      const deliveryId = await once(request, async (tx) => {
        target = found(await findTarget(tx, sealer, request.params.id), 'webhook')
        return newId('dlv')
      })
      // a receiver is not asked within a transaction: what was sent for this key before is looked up by its delivery
      if (target) return sendTest({ ...options, log: request.log }, target, deliveryId)
      const sent = await findDelivery(database, deliveryId)
      if (sent) return sent
      throw new Refusal(
        'conflict',
        'The test of this Idempotency-Key is not over, or was cut off: ask again, or use a new key.',
      )
    },
  )
}
