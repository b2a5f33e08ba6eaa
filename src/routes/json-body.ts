/**
 * Parsers of JSON request bodies. An empty body counts as no body, whatever the content-type.
 *
 * Guarantee: a body that is not UTF-8 is refused; a byte order mark before it is passed over.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { messageOf, Refusal } from '../core/platform/errors.js'
import { parseJson } from '../core/platform/json.js'
import { utf8Text } from '../core/platform/text.js'

/** Parses bodies for the routes of this plugin: numbers become JavaScript numbers, keys such as `__proto__` are refused. */
export function takeJson(http: FastifyInstance): void {
  const parse = http.getDefaultJsonParser('error', 'error')
  addTextParser(http, 'application/json', (text, request, done) => {
    if (text.length === 0) done(null, undefined)
    else parse(request, text, done)
  })
  addTextParser(http, 'text/plain', (text, _request, done) => done(null, text))
}

/** Parses bodies for the routes of this plugin without loss: numbers keep every digit. */
export function takeLosslessJson(http: FastifyInstance): void {
  addTextParser(http, 'application/json', (text, _request, done) => {
    try {
      done(null, text.length === 0 ? undefined : parseJson(text))
    } catch (error) {
      done(new Refusal('invalid_request', `The body is not JSON: ${messageOf(error)}.`, { cause: error }))
    }
  })
}

type Done = (error: Error | null, body?: unknown) => void

function addTextParser(
  http: FastifyInstance,
  contentType: string,
  parse: (text: string, request: FastifyRequest, done: Done) => void,
): void {
  http.removeContentTypeParser(contentType)
  http.addContentTypeParser<Buffer>(contentType, { parseAs: 'buffer' }, (request, bytes, done) => {
    let text: string
    try {
      text = utf8Text(bytes)
    } catch (cause) {
      return done(new Refusal('invalid_request', 'The body is not UTF-8: send JSON in UTF-8.', { cause }))
    }
    parse(text, request, done)
  })
}
