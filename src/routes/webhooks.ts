/**
 * /v1/webhooks: the registry.
 *
 * Promise: a webhook is changed as it is now, under a lock; its secret is in the answer that makes it and at /secret only.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Deliver } from '../core/delivery/deliver.js'
import { DeliveryWithAttempts } from '../core/delivery/delivery.js'
import { dropDeliveries, releaseHeld } from '../core/delivery/delivery-store.js'
import { newSecret } from '../core/delivery/signature.js'
import { sendTest } from '../core/delivery/test-delivery.js'
import type { Database } from '../core/platform/database.js'
import { idPattern, newId } from '../core/platform/id.js'
import { PageOf, PageQuery } from '../core/platform/page.js'
import { refTo } from '../core/platform/schema.js'
import type { Sealer } from '../core/platform/secrets.js'
import {
  checkWebhookUrl,
  liveSecrets,
  rotateSecrets,
  Webhook,
  WebhookCreate,
  WebhookPatch,
} from '../core/webhook/webhook.js'
import {
  deleteWebhook,
  findTarget,
  findWebhook,
  insertWebhook,
  listWebhooks,
  lockWebhook,
  updateSecrets,
  updateWebhook,
} from '../core/webhook/webhook-store.js'
import { found, problemResponses } from './problems.js'

export interface WebhookRouteOptions {
  database: Database
  sealer: Sealer
  deliver: Deliver
}

const Params = Type.Object({ id: Type.String({ pattern: idPattern('wh'), description: 'A webhook id (wh_...).' }) })
const Secret = Type.String({ description: 'The Standard Webhooks signing secret: whsec_ and base64.' })
export const WebhookWithSecret = Type.Object({ ...Webhook.properties, secret: Secret }, { $id: 'WebhookWithSecret' })
const SecretAnswer = Type.Object({ secret: Secret })
const tags = ['webhooks']

export const webhookRoutes: FastifyPluginAsyncTypebox<WebhookRouteOptions> = async (http, options) => {
  const { database, sealer } = options

  http.post(
    '/webhooks',
    {
      schema: {
        operationId: 'createWebhook',
        tags,
        summary: 'Register a webhook',
        description:
          'Only `url` is required. The answer holds the signing secret; it is shown here and at /secret only.',
        body: WebhookCreate,
        response: { 201: refTo(WebhookWithSecret), ...problemResponses(400, 401, 415) },
      },
    },
    async (request, reply) => {
      const body = request.body as Required<WebhookCreate> // the validator has filled the schema's defaults in
      checkWebhookUrl(body.url)
      const now = new Date().toISOString()
      const webhook: Webhook = {
        id: newId('wh'),
        ...body,
        disabled_reason: disabledReason(body.status),
        created_at: now,
        updated_at: now,
      }
      const secret = newSecret()
      await insertWebhook(database, sealer, webhook, [{ secret, expiresAt: null }])
      return reply
        .code(201)
        .header('location', `/v1/webhooks/${webhook.id}`)
        .send({ ...webhook, secret })
    },
  )

  http.get(
    '/webhooks',
    {
      schema: {
        operationId: 'listWebhooks',
        tags,
        summary: 'List webhooks',
        querystring: Type.Object({ ...PageQuery, status: Type.Optional(Webhook.properties.status) }),
        response: { 200: PageOf(refTo(Webhook)), ...problemResponses(400, 401) },
      },
    },
    async ({ query }) => listWebhooks(database, query, query),
  )

  http.get(
    '/webhooks/:id',
    {
      schema: {
        operationId: 'getWebhook',
        tags,
        summary: 'Show a webhook',
        params: Params,
        response: { 200: refTo(Webhook), ...problemResponses(400, 401, 404) },
      },
    },
    async ({ params }) => found(await findWebhook(database, params.id), 'webhook'),
  )

  http.patch(
    '/webhooks/:id',
    {
      schema: {
        operationId: 'updateWebhook',
        tags,
        summary: 'Change a webhook',
        description: 'Waiting retries go to the new URL. Enabling it lets go of what was held while it was disabled.',
        params: Params,
        body: WebhookPatch,
        response: { 200: refTo(Webhook), ...problemResponses(400, 401, 404, 415) },
      },
    },
    async ({ params, body }) => {
      if (body.url !== undefined) checkWebhookUrl(body.url)
      return database.transaction(async (tx) => {
        const now = new Date()
        const webhook = found(await lockWebhook(tx, params.id), 'webhook')
        const changed: Webhook = { ...webhook, ...body, updated_at: now.toISOString() }
        if (body.status) changed.disabled_reason = disabledReason(body.status)
        await updateWebhook(tx, changed)
        if (webhook.status === 'disabled' && changed.status === 'enabled') await releaseHeld(tx, webhook.id, now)
        return changed
      })
    },
  )

  http.delete(
    '/webhooks/:id',
    {
      schema: {
        operationId: 'deleteWebhook',
        tags,
        summary: 'Delete a webhook',
        description: 'What waits for it is dropped, and says so.',
        params: Params,
        response: { 204: Type.Null({ description: 'Deleted.' }), ...problemResponses(400, 401, 404) },
      },
    },
    async ({ params }, reply) => {
      await database.transaction(async (tx) => {
        found((await deleteWebhook(tx, params.id)) || undefined, 'webhook')
        await dropDeliveries(tx, params.id, new Date())
      })
      return reply.code(204).send(null)
    },
  )

  http.get(
    '/webhooks/:id/secret',
    {
      schema: {
        operationId: 'getWebhookSecret',
        tags,
        summary: 'Show the signing secret',
        params: Params,
        response: { 200: SecretAnswer, ...problemResponses(400, 401, 404) },
      },
    },
    async ({ params }) => {
      const { secrets } = found(await findTarget(database, sealer, params.id), 'webhook')
      return { secret: liveSecrets(secrets, new Date())[0]! }
    },
  )

  http.post(
    '/webhooks/:id/secret/rotate',
    {
      schema: {
        operationId: 'rotateWebhookSecret',
        tags,
        summary: 'Replace the signing secret',
        description: 'For 24 hours every delivery is signed with the new secret and the one before it.',
        params: Params,
        response: { 200: SecretAnswer, ...problemResponses(400, 401, 404) },
      },
    },
    async ({ params }) =>
      database.transaction(async (tx) => {
        found(await lockWebhook(tx, params.id), 'webhook')
        const { secrets } = found(await findTarget(tx, sealer, params.id), 'webhook')
        const secret = newSecret()
        const now = new Date()
        await updateSecrets(tx, sealer, params.id, rotateSecrets(secrets, secret, now), now)
        return { secret }
      }),
  )

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
        response: { 200: refTo(DeliveryWithAttempts), ...problemResponses(400, 401, 404) },
      },
    },
    async ({ params }) => sendTest(options, found(await findTarget(database, sealer, params.id), 'webhook')),
  )
}

function disabledReason(status: Webhook['status']): string | null {
  return status === 'disabled' ? 'disabled by an operator' : null
}
