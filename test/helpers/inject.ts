import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import { until } from './until.js'

/** Repeats a request that gets 503 with Retry-After: on a busy machine the test's process may lag for seconds. */
export function injectUntilAccepted(http: FastifyInstance, request: InjectOptions): Promise<LightMyRequestResponse> {
  return until(
    () => http.inject(request),
    ({ headers }) => headers['retry-after'] === undefined,
  )
}
