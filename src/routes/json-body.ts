/** Request bodies in JSON. An empty one is no body, whatever its content-type says. */
import type { FastifyInstance } from 'fastify'
import { messageOf, Refusal } from '../core/platform/errors.js'
import { parseJson } from '../core/platform/json.js'

/** For the routes of this plugin: numbers become JavaScript's, and keys into prototypes are refused. */
export function takeJson(http: FastifyInstance): void {
  const parse = http.getDefaultJsonParser('error', 'error')
  http.removeContentTypeParser('application/json')
  http.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body.length === 0) done(null, undefined)
    else parse(request, String(body), done)
  })
}

/** For the routes of this plugin that take documents: numbers keep every digit. */
export function takeLosslessJson(http: FastifyInstance): void {
  http.removeContentTypeParser('application/json')
  http.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, body.length === 0 ? undefined : parseJson(String(body)))
    } catch (error) {
      done(new Refusal('invalid_request', `The body is not JSON: ${messageOf(error)}.`, { cause: error }))
    }
  })
}
