/** Parsers of JSON request bodies. An empty body counts as no body, whatever the content-type. */
import type { FastifyInstance } from 'fastify'
import { messageOf, Refusal } from '../core/platform/errors.js'
import { parseJson } from '../core/platform/json.js'

/** Parses bodies for the routes of this plugin: numbers become JavaScript numbers, keys such as `__proto__` are refused. */
export function takeJson(http: FastifyInstance): void {
  const parse = http.getDefaultJsonParser('error', 'error')
  http.removeContentTypeParser('application/json')
  http.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body.length === 0) done(null, undefined)
    else parse(request, String(body), done)
  })
}

/** Parses bodies for the routes of this plugin without loss: numbers keep every digit. */
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
