/**
 * /v1/events: lists and shows accepted events, and replays them.
 *
 * Guarantee: an event is shown with exactly the body that webhooks receive. A replay keeps the event's id, so receivers can
 * detect the duplicate.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { loadContent } from '../core/delivery/content.js'
import { Delivery } from '../core/delivery/delivery.js'
import { replayDeliveries } from '../core/delivery/restart-store.js'
import { wakeNow } from '../core/delivery/wake-now.js'
import { EventSummary, type StoredEvent } from '../core/event/event.js'
import { listEvents, summaryOf } from '../core/event/event-list.js'
import { findEvent } from '../core/event/event-store.js'
import type { Database, Queryable } from '../core/platform/database.js'
import { Refusal } from '../core/platform/errors.js'
import { parseStoredJson, stringifyJson, type Json } from '../core/platform/json.js'
import { PageOf, PageQuery } from '../core/platform/page.js'
import { refTo } from '../core/platform/schema.js'
import type { Queues } from '../core/platform/queues.js'
import type { Sealer } from '../core/platform/secrets.js'
import { isSpared, wantsBody, wantsEvent } from '../core/webhook/selection.js'
import type { Registry } from '../core/webhook/registry.js'
import type { Target } from '../core/webhook/webhook.js'
import { audit, boundsOf } from './access.js'
import { answer } from './answers.js'
import { coversTopic } from './bounds.js'
import { createOnce, IdempotencyHeaders } from './idempotency.js'
import { found, problemResponses } from './problems.js'
import { rangeOf, TimeRange } from './query.js'

export interface EventRouteOptions {
  database: Database
  sealer: Sealer
  queues: Queues
  registry: Registry
}

const { id, type } = EventSummary.properties
const Params = Type.Object({ id })
export const EventWithBody = Type.Object(
  {
    ...EventSummary.properties,
    body: Type.Unknown({ description: 'The body that webhooks receive, numbers and unknown fields as they came in.' }),
    payload: Type.Unknown({ description: "SNS's Message as it came in; what is no JSON object or array is a string." }),
  },
  { $id: 'EventWithBody' },
)
const Replay = Type.Object(
  {
    webhook_ids: Type.Optional(
      Type.Array(Delivery.properties.webhook_id, {
        minItems: 1,
        maxItems: 1000,
        uniqueItems: true,
        description:
          'To these enabled webhooks, whatever they select; left out: to every enabled webhook that wants it.',
      }),
    ),
  },
  { additionalProperties: false, examples: [{}] },
)
const Replayed = Type.Object({
  deliveries: Type.Array(Type.String({ description: 'The ids of the deliveries that begin anew.' })),
})
const tags = ['events']

export const eventRoutes: FastifyPluginAsyncTypebox<EventRouteOptions> = async (http, options) => {
  const { database, registry } = options
  const once = createOnce(options)

  http.get(
    '/events',
    {
      schema: {
        operationId: 'listEvents',
        tags,
        summary: 'List events',
        description: 'Newest first; every parameter given must hold.',
        querystring: Type.Object({
          ...PageQuery,
          type: Type.Optional(type),
          topic_arn: Type.Optional(Type.String({ description: 'The SNS topic it came from.' })),
          alert_id: Type.Optional(Type.String({ description: 'The alert that changed.' })),
          severity: Type.Optional(Type.String({ description: "The alert's severity at that change." })),
          ...TimeRange,
        }),
        response: {
          200: answer('A page of events, newest first.', PageOf(refTo(EventSummary))),
          ...problemResponses(400, 401),
        },
      },
    },
    async (request) => {
      const { since, until, limit, cursor, ...filter } = request.query
      const topics = boundsOf(request).topics ?? undefined
      return listEvents(database, { ...filter, topics, ...rangeOf({ since, until }) }, { limit, cursor })
    },
  )

  http.get(
    '/events/:id',
    {
      // keeps every digit of the numbers in received documents; Fastify's own serializer rounds large ones
      serializerCompiler: () => (answer) => stringifyJson(answer as Json),
      schema: {
        operationId: 'getEvent',
        tags,
        summary: 'Show an event and the body that webhooks receive',
        params: Params,
        response: {
          200: answer('The event, the body that webhooks receive and the payload that came in.', refTo(EventWithBody)),
          ...problemResponses(400, 401, 404),
        },
      },
    },
    async (request) => {
      const event = found(await findEvent(database, request.params.id), 'event')
      found(coversTopic(boundsOf(request), event.topicArn) || undefined, 'event')
      const { body } = await loadContent(database, event)
      return { ...summaryOf(event), body, payload: parseStoredJson(event.payload) }
    },
  )

  http.post(
    '/events/:id/replay',
    {
      schema: {
        operationId: 'replayEvent',
        tags,
        summary: 'Send an event again',
        description:
          'With the same webhook-id and body. Receivers that took it before can tell by the id; `x-alert-relay-replay: true` ' +
          'says that it was asked for.',
        params: Params,
        headers: IdempotencyHeaders,
        body: Type.Optional(Replay),
        response: {
          202: answer('The deliveries begin anew; they are made in the background.', Replayed),
          ...problemResponses(400, 401, 404, 415, 422),
        },
      },
    },
    async (request, reply) => {
      const { params, body, log } = request
      const now = new Date()
      const { enabled } = await registry.current()
      let webhookIds: string[] = []
      const deliveries = await once(request, async (tx) => {
        const event = found(await findEvent(tx, params.id), 'event')
        webhookIds = await replayTargets(tx, event, enabled, body?.webhook_ids)
        const deliveries = await replayDeliveries(tx, event, webhookIds, now)
        const after = { deliveries: deliveries.length, webhook_ids: body?.webhook_ids }
        await audit(tx, request, { action: 'event.replayed', target: event.id, after })
        return deliveries
      })
      await wakeNow({ ...options, log }, webhookIds, now)
      return reply.code(202).send({ deliveries })
    },
  )
}

/**
 * The ids of the webhooks that a replay goes to: those chosen, or every enabled webhook that wants the event.
 * @param targets the enabled webhooks
 * @throws Refusal 'invalid_request' if a chosen webhook is not enabled
 */
async function replayTargets(
  db: Queryable,
  event: StoredEvent,
  targets: readonly Target[],
  chosen: string[] | undefined,
): Promise<string[]> {
  if (!chosen) {
    const content = await loadContent(db, event)
    const wanted = targets.filter(
      (target) => wantsEvent(target, event) && wantsBody(target, content) && !isSpared(target, event, content),
    )
    return wanted.map((target) => target.id)
  }
  const enabled = new Set(targets.map((target) => target.id))
  const errors = chosen.flatMap((id, i) =>
    enabled.has(id) ? [] : [{ path: `/webhook_ids/${i}`, detail: `${id} is no enabled webhook` }],
  )
  if (errors.length > 0) {
    throw new Refusal('invalid_request', 'webhook_ids must name enabled webhooks alone', { errors })
  }
  return chosen
}
