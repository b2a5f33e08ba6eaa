/** Bodies in memory: bounded over all connections, by platform/body-budget.ts. */
import type { FastifyInstance } from 'fastify'
import type { BodyBudget } from '../core/platform/body-budget.js'
import { Refusal } from '../core/platform/errors.js'
import { hasBody } from './content-encoding.js'

/** Add it after the hook that inflates bodies: what counts is what they take here. */
export function boundBodies(http: FastifyInstance, budget: BodyBudget): void {
  http.addHook('preParsing', (request, reply, payload, done) => {
    if (!hasBody(request)) return done(null, payload)
    const body = budget.open(() => {
      reply.header('connection', 'close')
      const refusal = new Refusal('undecided', 'Too many bytes of requests are under way: send it again.')
      // Fastify, which reads the body, answers with it; a body that nobody reads has its answer.
      if (payload.listenerCount('error') > 0) payload.emit('error', refusal)
    })
    payload.on('data', ({ length }: Buffer) => body.add(length))
    payload.on('end', () => body.complete())
    reply.raw.once('close', () => body.release())
    done(null, payload)
  })
}
