/**
 * Messages of SNS that are posted to another path than /sns: a subscription with a wrong endpoint would fail without a word
 * here, since SNS shows its answers to nobody who does not ask.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { occasionally } from '../core/platform/occasionally.js'

export const SNS_PATH = '/sns'
/** The paths that take messages. */
export const SNS_PATHS: readonly string[] = [SNS_PATH, '/sns/']

const WARNING_EVERY_MS = 60_000
/** Characters of a path in the log. */
const MAX_PATH = 100

/** Warns of such a message, at most once a minute. Add it before hooks that refuse requests. */
export function reportMisdirected(http: FastifyInstance): void {
  const mayWarn = occasionally(WARNING_EVERY_MS)
  http.addHook('onRequest', (request, _reply, done) => {
    if (isMisdirected(request) && mayWarn()) {
      const { url, headers } = request
      request.log.warn(
        {
          path: url.split('?')[0]!.slice(0, MAX_PATH),
          topic_arn: String(headers['x-amz-sns-topic-arn']).slice(0, 400),
        },
        `SNS posts to a path that does not take its messages: subscribe ${SNS_PATH} instead`,
      )
    }
    done()
  })
}

/** True for a POST with SNS's headers on a path without messages. */
export function isMisdirected({ method, headers, routeOptions }: FastifyRequest): boolean {
  if (method !== 'POST' || headers['x-amz-sns-message-type'] === undefined) return false
  return routeOptions.url === undefined || !SNS_PATHS.includes(routeOptions.url)
}
