/** /healthz, /readyz and /metrics: liveness, readiness and Prometheus metrics of the process. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger } from 'fastify'
import { Type } from 'typebox'
import { checkStorable } from '../core/event/storable.js'
import type { Database } from '../core/platform/database.js'
import { withDeadline } from '../core/platform/deadline.js'
import { messageOf } from '../core/platform/errors.js'
import type { Metrics } from '../core/platform/metrics.js'
import { occasionally } from '../core/platform/occasionally.js'
import type { Queues } from '../core/platform/queues.js'
import { oneOf } from '../core/platform/schema.js'
import { shareAnswer } from '../core/platform/share-answer.js'
import { answer } from './answers.js'
import type { Guard } from './guard.js'
import { problemResponses } from './problems.js'

export interface OpsRouteOptions {
  database: Database
  queues: Queues
  metrics: Metrics
  guard: Guard
  /** True: /metrics needs no key. */
  metricsPublic: boolean
  log: Pick<FastifyBaseLogger, 'warn'>
}

const CHECK_DEADLINE_MS = 3000
/** Anybody may ask, and a check writes: who asks within this time of its beginning gets the same answer. */
const CHECK_KEPT_MS = 1000
const Health = Type.Object({ status: Type.Literal('ok') })
const WARNING_EVERY_MS = 60_000
const Part = oneOf(['ok', 'failed'] as const, { description: 'The log says why it failed.' })
const Readiness = Type.Object({ status: oneOf(['ready', 'not_ready'] as const), database: Part, queue: Part })
const tags = ['operations']

export const HEALTH_PATH = '/healthz'

export const healthRoutes: FastifyPluginAsyncTypebox = async (http) => {
  http.get(
    HEALTH_PATH,
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
}

export const opsRoutes: FastifyPluginAsyncTypebox<OpsRouteOptions> = async (http, options) => {
  const { database, queues, metrics, guard, metricsPublic, log } = options
  const mayWarn = occasionally(WARNING_EVERY_MS)
  /** Anybody may ask, so the reason, which has names and addresses, is for the log alone. */
  const check = (part: string, work: () => Promise<void>) =>
    shareAnswer(
      () =>
        withDeadline(work(), CHECK_DEADLINE_MS, 'the check').then(
          () => 'ok' as const,
          (error: unknown) => {
            // a refusal's cause says more than the refusal, which is for who sent a message
            if (mayWarn()) log.warn({ part, detail: messageOf((error as Error).cause ?? error) }, 'not ready')
            return 'failed' as const
          },
        ),
      CHECK_KEPT_MS,
    )
  const checkDatabase = check('database', () => checkStorable(database))
  const checkQueue = check('queue', () => queues.ping())

  await http.register(healthRoutes)
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
        description: 'With METRICS_PUBLIC it needs no key.',
        security: [{ key: ['read'] }],
        response: {
          ...problemResponses(401, 403, 429, 431, 503),
          200: {
            description: 'The metrics in the text format of Prometheus.',
            content: { 'text/plain': { schema: Type.String() } },
          },
        },
      },
    },
    async (request, reply) => {
      if (!metricsPublic) await guard.check(request, reply, 'read')
      const text = await metrics.scrape()
      return reply.type(metrics.contentType).send(text)
    },
  )
}
