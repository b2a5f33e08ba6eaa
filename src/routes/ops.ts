/** /healthz, /readyz and /metrics: liveness, readiness and Prometheus metrics of the process. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { checkStorable } from '../core/event/storable.js'
import type { Database } from '../core/platform/database.js'
import { withDeadline } from '../core/platform/deadline.js'
import { messageOf } from '../core/platform/errors.js'
import type { Metrics } from '../core/platform/metrics.js'
import type { Queues } from '../core/platform/queues.js'
import { shareAnswer } from '../core/platform/share-answer.js'
import { answer } from './answers.js'

export interface OpsRouteOptions {
  database: Database
  queues: Queues
  metrics: Metrics
}

const CHECK_DEADLINE_MS = 3000
/** Anybody may ask, and a check writes: who asks within this time of its beginning gets the same answer. */
const CHECK_KEPT_MS = 1000
const Health = Type.Object({ status: Type.Literal('ok') })
const Readiness = Type.Object({
  status: Type.Unsafe<'ready' | 'not_ready'>({ type: 'string', enum: ['ready', 'not_ready'] }),
  database: Type.String({ description: '"ok", or what is wrong.' }),
  queue: Type.String({ description: '"ok", or what is wrong.' }),
})
const tags = ['operations']

export const opsRoutes: FastifyPluginAsyncTypebox<OpsRouteOptions> = async (http, { database, queues, metrics }) => {
  const checkDatabase = shareAnswer(() => check(checkStorable(database)), CHECK_KEPT_MS)
  const checkQueue = shareAnswer(() => check(queues.ping()), CHECK_KEPT_MS)

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
        summary: 'Can it take and deliver messages: it stores one, and takes it back',
        security: [],
        response: {
          200: answer('The database and the queue take what a message needs.', Readiness),
          503: answer('The database or the queue does not take it now.', Readiness),
        },
      },
    },
    async (_request, reply) => {
      const [databaseState, queue] = await Promise.all([checkDatabase(), checkQueue()])
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

/** 'ok', or the message of the error; a refusal's cause says more than the refusal, which is for who sent a message. */
async function check(work: Promise<void>): Promise<string> {
  return withDeadline(work, CHECK_DEADLINE_MS, 'the check').then(
    () => 'ok',
    (error: unknown) => messageOf((error as Error).cause ?? error),
  )
}
