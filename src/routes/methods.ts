/** 405: a path that is known, asked with a method that it does not take (RFC 9110 section 15.5.6). */
import { METHODS } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { Refusal } from '../core/platform/errors.js'

/**
 * To be called before the routes are added.
 * @returns what is to be called after: it answers every other method of every path that was added
 */
export function notePaths(http: FastifyInstance): () => void {
  // a method that Fastify does not know would be answered as an unknown path
  for (const method of METHODS.filter((name) => !http.supportedMethods.includes(name))) http.addHttpMethod(method)
  const paths = new Set<string>()
  http.addHook('onRoute', ({ url }) => void paths.add(url))
  return () => {
    for (const path of [...paths]) refuseOtherMethods(http, path)
  }
}

function refuseOtherMethods(http: FastifyInstance, url: string): void {
  const isTaken = (method: string) => http.hasRoute({ method, url })
  const allowed = http.supportedMethods.filter(isTaken).sort().join(', ')
  http.route({
    url,
    method: http.supportedMethods.filter((method) => !isTaken(method)),
    schema: { hide: true },
    exposeHeadRoute: false,
    // before a body is read
    async onRequest({ method }, reply) {
      reply.header('allow', allowed)
      throw new Refusal('method_not_allowed', `There is no ${method} here; this path takes ${allowed}.`)
    },
    handler: () => undefined,
  })
}
