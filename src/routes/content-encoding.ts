/**
 * Request bodies with a Content-Encoding: gzip and br are inflated.
 *
 * Guarantee: no more is inflated than the route's bodyLimit and one chunk; a larger body is refused with 413, any other
 * encoding with 415 (RFC 9110 section 15.5.16).
 */
import { finished, Transform, type Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip } from 'node:zlib'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Refusal } from '../core/platform/errors.js'

const INFLATERS = new Map([
  ['gzip', createGunzip],
  // RFC 9110 section 8.4.1.3
  ['x-gzip', createGunzip],
  ['br', createBrotliDecompress],
])
const TAKEN = 'gzip, br'

/** Inflates the bodies of all routes. */
export function takeEncodedBodies(http: FastifyInstance): void {
  http.addHook('preParsing', (request, reply, payload, done) => {
    const encoding = request.headers['content-encoding']?.trim().toLowerCase() || 'identity'
    if (encoding === 'identity' || !hasBody(request)) return done(null, payload)
    const createInflater = INFLATERS.get(encoding)
    if (createInflater) {
      return done(null, inflated(payload, createInflater(), { encoding, limit: request.routeOptions.bodyLimit ?? 0 }))
    }
    reply.header('accept-encoding', TAKEN)
    const detail = `The Content-Encoding is not one of ${TAKEN}: send one of these, or the body as it is.`
    done(new Refusal('unsupported_media_type', detail))
  })
}

export function hasBody({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** The inflated body, with the length of the encoded one, which Fastify compares with the Content-Length. */
type EncodedBody = Transform & { receivedEncodedLength: number }

function inflated(
  payload: Readable,
  inflater: Transform,
  { encoding, limit }: { encoding: string; limit: number },
): EncodedBody {
  let bytes = 0
  const bounded = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      bytes += chunk.length
      if (bytes <= limit) return next(null, chunk)
      stop(new Refusal('payload_too_large', `The body is larger than this route takes: ${limit} bytes when inflated.`))
    },
  })
  const body = Object.assign(bounded, { receivedEncodedLength: 0 })
  const stop = (error: Error) => {
    payload.unpipe(inflater)
    payload.resume() // what else comes is passed over until the connection closes
    inflater.destroy()
    body.destroy(error)
  }
  const detail = `The body is not ${encoding}, as its Content-Encoding says, or its end is missing.`
  inflater.on('error', (cause) => stop(new Refusal('invalid_request', detail, { cause })))
  finished(payload, { writable: false }, (error) => {
    if (error) stop(error)
  })
  payload.on('data', ({ length }: Buffer) => (body.receivedEncodedLength += length))
  payload.pipe(inflater).pipe(body)
  body.on('error', () => {}) // where nobody reads it
  return body
}
