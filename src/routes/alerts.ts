/** /v1/alerts: alerts, the values seen in them, and their changes. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { findAlert, listAlerts, listAlertValues } from '../core/alert/alert-list.js'
import { Alert, AlertWithContext, AlertWithSighting, AlertValue, SHOWN_VALUES } from '../core/alert/alert.js'
import { buildContext } from '../core/alert/context.js'
import { EventSummary } from '../core/event/event.js'
import { listEvents } from '../core/event/event-list.js'
import { findSightings, wantedValue } from '../core/event/sightings.js'
import type { Database } from '../core/platform/database.js'
import { stringifyJson, type Json } from '../core/platform/json.js'
import { PageOf, PageQuery } from '../core/platform/page.js'
import { refTo } from '../core/platform/schema.js'
import { answer } from './answers.js'
import { found, problemResponses } from './problems.js'
import { rangeOf, TimeRange } from './query.js'
import { pathAlone, shownSighting, ValueQuery } from './values.js'

export interface AlertRouteOptions {
  database: Database
}

const Params = Type.Object({ id: Type.String({ minLength: 1, maxLength: 200, description: 'An alert id.' }) })
/** Keeps every digit of a number: these answers hold received values, and Fastify's own serializer rounds large ones. */
const losslessSerializer = () => (answer: unknown) => stringifyJson(answer as Json)
const tags = ['alerts']

export const alertRoutes: FastifyPluginAsyncTypebox<AlertRouteOptions> = async (http, { database }) => {
  http.get(
    '/alerts',
    {
      serializerCompiler: losslessSerializer,
      schema: {
        operationId: 'listAlerts',
        tags,
        summary: 'List alerts',
        description:
          'Those that changed last come first; every parameter given must hold. Times are those of the last change.',
        querystring: Type.Object({
          ...PageQuery,
          severity: Type.Optional(Type.String()),
          table: Type.Optional(Type.String({ description: 'One of its tables.' })),
          title: Type.Optional(
            Type.String({ minLength: 1, description: 'Stands somewhere in the title, in any case.' }),
          ),
          status: Type.Optional(Alert.properties.status),
          ...ValueQuery,
          ...TimeRange,
        }),
        response: {
          200: answer(
            'A page of alerts, those that changed last first; with `value`, what is known of it in each.',
            PageOf(refTo(AlertWithSighting)),
          ),
          ...problemResponses(400, 401),
        },
      },
    },
    async ({ query: { since, until, limit, cursor, value, path, ...filter } }) => {
      if (value === undefined && path !== undefined) throw pathAlone()
      const wanted = value === undefined ? undefined : wantedValue(value, path)
      const conditions = { ...filter, value: wanted, ...rangeOf({ since, until }) }
      const page = await listAlerts(database, conditions, { limit, cursor })
      if (!wanted) return page
      const sightings = await findSightings(
        database,
        page.data.map(({ id }) => id),
        wanted,
      )
      return { ...page, data: page.data.map((alert) => ({ ...alert, value: shownSighting(sightings.get(alert.id)) })) }
    },
  )

  http.get(
    '/alerts/:id',
    {
      serializerCompiler: losslessSerializer,
      schema: {
        operationId: 'getAlert',
        tags,
        summary: 'Show an alert with what was seen in it',
        params: Params,
        response: {
          200: answer('The alert and everything ever seen in it.', refTo(AlertWithContext)),
          ...problemResponses(400, 401, 404),
        },
      },
    },
    async ({ params }) => {
      const alert = found(await findAlert(database, params.id), 'alert')
      const { data: values } = await listAlertValues(database, params.id, { limit: SHOWN_VALUES })
      return { ...alert, context: buildContext(values), values }
    },
  )

  http.get(
    '/alerts/:id/values',
    {
      serializerCompiler: losslessSerializer,
      schema: {
        operationId: 'listAlertValues',
        tags,
        summary: 'List everything ever seen in an alert',
        description: 'In first-seen order.',
        params: Params,
        querystring: Type.Object(PageQuery),
        response: {
          200: answer('A page of values, in first-seen order.', PageOf(refTo(AlertValue))),
          ...problemResponses(400, 401, 404),
        },
      },
    },
    async ({ params, query }) => {
      found(await findAlert(database, params.id), 'alert')
      return listAlertValues(database, params.id, query)
    },
  )

  http.get(
    '/alerts/:id/events',
    {
      schema: {
        operationId: 'listAlertEvents',
        tags,
        summary: "List an alert's changes",
        description: 'Its timeline, newest first.',
        params: Params,
        querystring: Type.Object({ ...PageQuery, ...TimeRange }),
        response: {
          200: answer(
            "A page of the alert's changes, newest first; empty for an alert that is not known.",
            PageOf(refTo(EventSummary)),
          ),
          ...problemResponses(400, 401),
        },
      },
    },
    async ({ params, query: { since, until, limit, cursor } }) =>
      listEvents(database, { alert_id: params.id, ...rangeOf({ since, until }) }, { limit, cursor }),
  )
}
