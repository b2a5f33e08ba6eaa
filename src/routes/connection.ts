/** Problem documents for the requests that Node or Fastify would otherwise refuse without one. */
import { STATUS_CODES, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { ConnectionError, FastifyInstance } from 'fastify'
import { Refusal } from '../core/platform/errors.js'
import { REQUEST_ID_HEADER, requestIdOf } from '../core/platform/request-id.js'
import { PROBLEM_TYPE, problemOf } from './problems.js'

/** Answers input that is not a valid HTTP request and closes the connection, as Fastify's `clientErrorHandler`. */
export function answerUnreadable(this: FastifyInstance, error: ConnectionError, socket: Socket): void {
  if (socket.writable && !isAnswered(socket)) {
    const requestId = requestIdOf(undefined)
    const problem = problemOf(refusalOf(error))
    this.log.debug({ request_id: requestId, code: error.code, status_code: problem.status }, 'no request')
    socket.write(responseOf(problem.status, JSON.stringify(problem), requestId))
  }
  socket.destroy()
}

/**
 * Whether the headers of an answer were sent already: anything written now would be read as a part of its body. Node itself
 * checks the same private field.
 */
function isAnswered(socket: Socket & { _httpMessage?: ServerResponse }): boolean {
  return socket._httpMessage?.headersSent === true
}

function refusalOf({ code }: ConnectionError): Refusal {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new Refusal('headers_too_large', 'The URL and the headers are larger than 16 KiB together: shorten them.')
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new Refusal('payload_too_large', 'The extensions of the body are too large: leave them out.')
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Refusal('request_timeout', 'The request did not arrive in time: send it again.')
    default:
      return new Refusal('invalid_request', 'This is no HTTP request.')
  }
}

function responseOf(status: number, body: string, requestId: string): string {
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    `${REQUEST_ID_HEADER}: ${requestId}`,
    'connection: close',
    '',
    body,
  ].join('\r\n')
}

/**
 * Handles two kinds of requests that Node would refuse without a body. A request without a Host header (RFC 9112 section
 * 3.2) is refused with a problem; an Expect header other than 100-continue is ignored (RFC 9110 section 10.1.1 allows it).
 */
export function answerOddRequests(http: FastifyInstance): void {
  http.server.on('checkExpectation', (request, response) => void http.server.emit('request', request, response))
  http.addHook('onRequest', ({ raw }, _reply, done) => {
    const isHostless = raw.headers.host === undefined && raw.httpVersion === '1.1'
    done(isHostless ? new Refusal('invalid_request', 'There is no Host header: send one.') : undefined)
  })
}

/** Refuses requests on open connections with 503 while the process stops, so that clients retry them. */
export function refuseWhileClosing(http: FastifyInstance): void {
  let isClosing = false
  http.addHook('preClose', async () => void (isClosing = true))
  http.addHook('onRequest', (_request, _reply, done) => {
    done(isClosing ? new Refusal('undecided', 'This process is stopping: try again.') : undefined)
  })
}
