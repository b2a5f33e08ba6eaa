/** /v1/audit: lists the audit log. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { AuditEntry } from '../core/access/audit.js'
import { listAuditEntries } from '../core/access/audit-store.js'
import type { Database } from '../core/platform/database.js'
import { stringifyJson, type Json } from '../core/platform/json.js'
import { PageOf, PageQuery } from '../core/platform/page.js'
import { refTo } from '../core/platform/schema.js'
import { answer } from './answers.js'
import { problemResponses } from './problems.js'
import { rangeOf, TimeRange } from './query.js'

export interface AuditRouteOptions {
  database: Database
}

const { action } = AuditEntry.properties

export const auditRoutes: FastifyPluginAsyncTypebox<AuditRouteOptions> = async (http, { database }) => {
  http.get(
    '/audit',
    {
      // keeps every digit of the numbers in `changes`; Fastify's own serializer rounds large ones
      serializerCompiler: () => (answer) => stringifyJson(answer as Json),
      schema: {
        operationId: 'listAuditEntries',
        tags: ['audit'],
        summary: 'List changes',
        description:
          'Who changed what, newest first; every parameter given must hold. Entries are kept for a year. A request that was ' +
          'refused or failed changed nothing, and is not here; of keys that were refused one entry a minute is.',
        querystring: Type.Object({
          ...PageQuery,
          actor: Type.Optional(Type.String({ description: 'Who did it.' })),
          action: Type.Optional(action),
          target: Type.Optional(Type.String({ description: 'The id or ARN of what was changed.' })),
          ...TimeRange,
        }),
        response: {
          200: answer('A page of changes, newest first.', PageOf(refTo(AuditEntry))),
          ...problemResponses(400, 401, 403),
        },
      },
    },
    async ({ query: { since, until, limit, cursor, ...filter } }) =>
      listAuditEntries(database, { ...filter, ...rangeOf({ since, until }) }, { limit, cursor }),
  )
}
