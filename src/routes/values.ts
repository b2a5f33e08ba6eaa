/** /v1/values: where a value was seen, the first question of whoever looks into an alert. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type Static } from 'typebox'
import { AlertWithSighting, ValueSighting } from '../core/alert/alert.js'
import { formsOf } from '../core/alert/value-key.js'
import { areValuesKeyed } from '../core/alert/value-keying-store.js'
import { reportValue, wantedValue, type Sighting } from '../core/event/sightings.js'
import type { Database } from '../core/platform/database.js'
import { Refusal } from '../core/platform/errors.js'
import { nullableTime, refTo } from '../core/platform/schema.js'
import { answer } from './answers.js'
import { problemResponses } from './problems.js'

export interface ValueRouteOptions {
  database: Database
}

const value = Type.String({
  minLength: 1,
  maxLength: 8192,
  description:
    'A value that was seen in an alert, as a whole. Spellings of one address, hash, host, URL or e-mail address are one value, ' +
    'as with `once`.',
})
const path = Type.String({
  minLength: 1,
  maxLength: 1000,
  description: 'With `value`: where it was, such as source.ip; left out: anywhere.',
})
/** The parameters by which lists of alerts are searched for a value. */
export const ValueQuery = { value: Type.Optional(value), path: Type.Optional(path) }

const ValueReport = Type.Object({
  value: Type.String(),
  forms: Type.Array(Type.Object({ kind: Type.String(), text: Type.String() }), {
    description: 'What it was taken for: address, hash, domain, url, email or other, and how each is written.',
  }),
  alerts: Type.Integer({ description: 'In how many alerts it was seen.' }),
  alerts_at_least: Type.Boolean({ description: 'True when it was seen more often than is counted.' }),
  paths: Type.Array(Type.Array(Type.String()), { description: 'Where: the keys that lead to it.' }),
  first_seen_at: nullableTime('When it first came in; null when it never did, or when those events are deleted.'),
  last_seen_at: nullableTime('When it last came in with one of `data`.'),
  events: Type.Integer({ description: 'In how many events of `data` it was.' }),
  events_at_least: Type.Boolean({ description: 'True when not all events that may have it were read.' }),
  is_complete: Type.Boolean({
    description: 'False while values from before an upgrade are still made ready to be found.',
  }),
  data: Type.Array(refTo(AlertWithSighting), { description: 'The 20 alerts with it that changed last.' }),
})

export const valueRoutes: FastifyPluginAsyncTypebox<ValueRouteOptions> = async (http, { database }) => {
  http.get(
    '/values',
    {
      schema: {
        operationId: 'findValue',
        tags: ['alerts'],
        summary: 'Find out where a value was seen',
        description:
          'Over all alerts that are remembered; the events of the last RETENTION_DAYS say when and how often.',
        querystring: Type.Object(ValueQuery),
        response: {
          200: answer('Where it was seen; in no alert when it never was.', ValueReport),
          ...problemResponses(400, 401),
        },
      },
    },
    async ({ query }) => {
      if (query.value === undefined) {
        throw new Refusal('invalid_request', 'value is required', {
          errors: [{ path: '/value', detail: 'is required' }],
        })
      }
      const report = await reportValue(database, wantedValue(query.value, query.path))
      return {
        value: query.value,
        forms: formsOf(query.value, query.path?.split('.')).map(({ kind, text }) => ({ kind, text })),
        alerts: report.alerts,
        alerts_at_least: report.isMore,
        paths: report.paths,
        first_seen_at: report.firstSeenAt?.toISOString() ?? null,
        last_seen_at: report.lastSeenAt?.toISOString() ?? null,
        events: report.events,
        events_at_least: report.isAtLeast,
        is_complete: await areValuesKeyed(database),
        data: report.shown.map(({ sighting, ...alert }) => ({ ...alert, value: shownSighting(sighting) })),
      }
    },
  )
}

/** A sighting as the API shows it. */
export function shownSighting(sighting: Sighting | undefined): Static<typeof ValueSighting> | undefined {
  return (
    sighting && {
      paths: sighting.paths,
      first_seen_at: sighting.firstSeenAt?.toISOString() ?? null,
      last_seen_at: sighting.lastSeenAt?.toISOString() ?? null,
      events: sighting.events,
      events_at_least: sighting.isAtLeast,
    }
  )
}

export function pathAlone(): Refusal {
  const detail = 'needs `value`: it says where that is looked for'
  return new Refusal('invalid_request', `path ${detail}`, { errors: [{ path: '/path', detail }] })
}
