/** Request bodies whose numbers keep every digit, for routes that take documents. */
import type { FastifyInstance } from 'fastify'
import { messageOf, Refusal } from '../core/platform/errors.js'
import { parseJson } from '../core/platform/json.js'

/** For the routes of this plugin. */
export function takeLosslessJson(http: FastifyInstance): void {
  http.removeContentTypeParser('application/json')
  http.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, parseJson(String(body)))
    } catch (error) {
      done(new Refusal('invalid_request', `The body is not JSON: ${messageOf(error)}.`, { cause: error }))
    }
  })
}
