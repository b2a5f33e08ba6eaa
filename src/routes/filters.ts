/** /v1/filters/test: tells whether a filter matches an event, and where it does not. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { loadContent } from '../core/delivery/content.js'
import { EventSummary } from '../core/event/event.js'
import { findEvent } from '../core/event/event-store.js'
import type { Database } from '../core/platform/database.js'
import { Refusal } from '../core/platform/errors.js'
import type { JsonObject } from '../core/platform/json.js'
import { explainMismatch } from '../core/filter/explain.js'
import { policyOf } from '../core/webhook/webhook-check.js'
import { answer } from './answers.js'
import { takeLosslessJson } from './json-body.js'
import { found, problemResponses } from './problems.js'

export interface FilterRouteOptions {
  database: Database
}

const AnyObject = (description: string) =>
  Type.Unsafe<JsonObject>({ type: 'object', additionalProperties: true, description })

const FilterTest = Type.Object(
  {
    filter: AnyObject('The filter policy.'),
    event: Type.Optional(AnyObject('A body as a webhook of the format `change` receives it.')),
    event_id: Type.Optional({ ...EventSummary.properties.id, description: 'Or a stored event.' }),
  },
  {
    additionalProperties: false,
    examples: [
      {
        filter: { updated_alert: { severity: ['high', 'critical'] } },
        event: { updated_alert: { severity: 'medium' } },
      },
    ],
  },
)
const FilterTestResult = Type.Object({
  matches: Type.Boolean(),
  failed: Type.Array(Type.Object({ path: Type.String(), reason: Type.String() }), {
    description:
      'Where the event fails the filter, JSON pointers into the event, in which the names of a dotted key stand apart ' +
      '(`/source/ip` is also `source.ip`); empty when it matches.',
  }),
})

/** As large as the messages of SNS: what is tested is matched on the thread that all requests share. */
const BODY_LIMIT = 256 * 1024

export const filterRoutes: FastifyPluginAsyncTypebox<FilterRouteOptions> = async (http, { database }) => {
  takeLosslessJson(http)
  http.post(
    '/filters/test',
    {
      bodyLimit: BODY_LIMIT,
      schema: {
        operationId: 'testFilter',
        tags: ['webhooks'],
        summary: 'Test a filter',
        description:
          'Against an event given here, or a stored one. Nothing is sent and nothing is kept. A request has at most 256 KiB.',
        body: FilterTest,
        response: {
          200: answer('Whether the event matches, and where it does not.', FilterTestResult),
          ...problemResponses(400, 401, 404, 413, 415),
        },
      },
    },
    async ({ body: { filter, event, event_id: eventId } }) => {
      if ((event === undefined) === (eventId === undefined)) {
        const detail = 'is required, or event_id instead of it'
        throw new Refusal('invalid_request', `event ${detail}`, { errors: [{ path: '/event', detail }] })
      }
      const policy = policyOf(filter)
      const failed = explainMismatch(policy, event ?? (await storedBody(database, eventId!)))
      return { matches: failed.length === 0, failed }
    },
  )
}

async function storedBody(database: Database, eventId: string): Promise<JsonObject> {
  const { body } = await loadContent(database, found(await findEvent(database, eventId), 'event'))
  return body
}
