/** 405 answers for requests to a known path with a method that it does not support (RFC 9110 section 15.5.6). */
import { METHODS } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { Refusal } from '../core/platform/errors.js'

/**
 * Records the paths of routes; call it before the routes are added.
 * @returns a function to call after the routes are added: it answers all other methods of their paths with 405
 */
export function notePaths(http: FastifyInstance): () => void {
  // Fastify would answer a method that it does not know as an unknown path
  for (const method of METHODS.filter((name) => !http.supportedMethods.includes(name))) http.addHttpMethod(method)
  const paths = new Set<string>()
  http.addHook('onRoute', ({ url }) => void paths.add(url))
  return () => {
    for (const path of [...paths]) refuseOtherMethods(http, path)
  }
}

function refuseOtherMethods(http: FastifyInstance, url: string): void {
  const isSupported = (method: string) => http.hasRoute({ method, url })
  const allowed = http.supportedMethods.filter(isSupported).sort().join(', ')
  http.route({
    url,
    method: http.supportedMethods.filter((method) => !isSupported(method)),
    schema: { hide: true },
    exposeHeadRoute: false,
    // refuses before the body is read
    async onRequest({ method }, reply) {
      reply.header('allow', allowed)
      throw new Refusal('method_not_allowed', `There is no ${method} here; this path takes ${allowed}.`)
    },
    handler: () => undefined,
  })
}
