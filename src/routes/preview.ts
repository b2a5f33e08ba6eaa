/** /v1/webhooks/{id}/preview: renders the request that a webhook would receive for an event, without sending it. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { listDeliveries } from '../core/delivery/delivery-list.js'
import { previewDelivery } from '../core/delivery/preview.js'
import { EventSummary } from '../core/event/event.js'
import type { Database } from '../core/platform/database.js'
import type { Sealer } from '../core/platform/secrets.js'
import type { Renderer } from '../core/format/render.js'
import { WebhookView } from '../core/webhook/webhook.js'
import { findTarget } from '../core/webhook/webhook-store.js'
import { boundsOf } from './access.js'
import { answer } from './answers.js'
import { found, problemResponses } from './problems.js'

export interface PreviewRouteOptions {
  database: Database
  sealer: Sealer
  renderer: Renderer
}

const Request = Type.Object(
  {
    event_id: Type.Optional({
      ...EventSummary.properties.id,
      description: 'A stored event; left out: the example that a test sends.',
    }),
  },
  { additionalProperties: false, examples: [{}] },
)
const Preview = Type.Object({
  wanted: Type.Boolean({ description: 'Whether its selection and filter let the event through.' }),
  headers: Type.Record(Type.String(), Type.String(), { description: 'Secret ones are shown as ********.' }),
  body: Type.Union([Type.String(), Type.Null()], {
    description: 'The request body, byte for byte but for secrets; null when it cannot be made.',
  }),
  error: Type.Union([Type.String(), Type.Null()], { description: 'Why it cannot be made.' }),
})

export const previewRoutes: FastifyPluginAsyncTypebox<PreviewRouteOptions> = async (http, options) => {
  http.post(
    '/webhooks/:id/preview',
    {
      schema: {
        operationId: 'previewWebhook',
        tags: ['webhooks'],
        summary: 'Show what a webhook would receive',
        description: 'The headers and the body of an event in its format. Nothing is sent.',
        params: Type.Object({ id: WebhookView.properties.id }),
        body: Type.Optional(Request),
        response: {
          200: answer('What the webhook would receive. Nothing was sent.', Preview),
          ...problemResponses(400, 401, 404, 415),
        },
      },
    },
    async (request) => {
      const { params, body } = request
      const target = found(await findTarget(options.database, options.sealer, params.id), 'webhook')
      if (boundsOf(request).webhooks && body?.event_id !== undefined) {
        const ofBoth = { event_id: body.event_id, webhook_id: params.id }
        found((await listDeliveries(options.database, ofBoth, { limit: 1 })).data[0], 'event')
      }
      return found(await previewDelivery(options, target, body?.event_id, new Date()), 'event')
    },
  )
}
