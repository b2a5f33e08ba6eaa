/** /healthz, /readyz and /metrics: liveness, readiness and Prometheus metrics of the process. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Database } from '../core/platform/database.js'
import { withDeadline } from '../core/platform/deadline.js'
import { messageOf } from '../core/platform/errors.js'
import type { Metrics } from '../core/platform/metrics.js'
import type { Queues } from '../core/platform/queues.js'
import { answer } from './answers.js'

export interface OpsRouteOptions {
  database: Database
  queues: Queues
  metrics: Metrics
}

const CHECK_DEADLINE_MS = 3000
const Health = Type.Object({ status: Type.Literal('ok') })
const Readiness = Type.Object({
  status: Type.Unsafe<'ready' | 'not_ready'>({ type: 'string', enum: ['ready', 'not_ready'] }),
  database: Type.String({ description: '"ok", or what is wrong.' }),
  queue: Type.String({ description: '"ok", or what is wrong.' }),
})
const tags = ['operations']

export const opsRoutes: FastifyPluginAsyncTypebox<OpsRouteOptions> = async (http, { database, queues, metrics }) => {
  http.get(
    '/healthz',
    {
      logLevel: 'warn',
      schema: {
        operationId: 'getHealth',
        tags,
        summary: 'Is the process alive',
        security: [],
        response: { 200: answer('The process is alive.', Health) },
      },
    },
    async () => ({ status: 'ok' as const }),
  )

  http.get(
    '/readyz',
    {
      logLevel: 'warn',
      schema: {
        operationId: 'getReadiness',
        tags,
        summary: 'Can it take and deliver messages',
        security: [],
        response: {
          200: answer('The database and the queue answer.', Readiness),
          503: answer('The database or the queue does not answer.', Readiness),
        },
      },
    },
    async (_request, reply) => {
      const [databaseState, queue] = await Promise.all([check(database.ping()), check(queues.ping())])
      const ready = databaseState === 'ok' && queue === 'ok'
      return reply
        .code(ready ? 200 : 503)
        .send({ status: ready ? 'ready' : 'not_ready', database: databaseState, queue })
    },
  )

  http.get(
    '/metrics',
    {
      logLevel: 'warn',
      schema: {
        operationId: 'getMetrics',
        tags,
        summary: 'Metrics for Prometheus',
        security: [],
        response: {
          200: {
            description: 'The metrics in the text format of Prometheus.',
            content: { 'text/plain': { schema: Type.String() } },
          },
        },
      },
    },
    async (_request, reply) => {
      const text = await metrics.scrape()
      return reply.type(metrics.contentType).send(text)
    },
  )
}

/** 'ok', or the message of the error. */
async function check(ping: Promise<void>): Promise<string> {
  return withDeadline(ping, CHECK_DEADLINE_MS, 'the check').then(
    () => 'ok',
    (error: unknown) => messageOf(error),
  )
}
