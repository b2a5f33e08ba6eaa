/**
 * Turns errors into RFC 9457 problem documents.
 *
 * Guarantee: every thrown error is answered with a problem document. A validation problem lists the invalid fields. An
 * internal error is logged in full, and its details are not sent to the client.
 */
import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type, type Static } from 'typebox'
import { Refusal, type FieldError, type RefusalCode } from '../core/platform/errors.js'
import { REQUEST_ID_HEADER } from '../core/platform/request-id.js'
import { refTo } from '../core/platform/schema.js'
import { isMisdirected, SNS_PATH } from './misdirected.js'
import { validationRefusal } from './validation.js'

const ProblemField = Type.Object({
  path: Type.String({ description: 'A JSON pointer into the body, or / and the name of a parameter.' }),
  message: Type.String({ description: 'What is wrong there, and what would do.' }),
  detail: Type.String({ deprecated: true, description: 'The same as message, under the name that it had first.' }),
})

export const Problem = Type.Object(
  {
    type: Type.String({ description: 'urn:alert-relay:problem: and a code to match on.' }),
    title: Type.String({ description: "The status's name." }),
    status: Type.Integer(),
    detail: Type.String({ description: 'What was wrong and how to mend it.' }),
    errors: Type.Optional(
      Type.Array(ProblemField, { description: 'The fields and parameters at fault: all of them, up to twenty.' }),
    ),
  },
  { $id: 'Problem', description: 'RFC 9457' },
)
export type Problem = Static<typeof Problem>

export const PROBLEM_TYPE = 'application/problem+json'

/** The description of each status in the OpenAPI document, unless a route has its own. */
const MEANINGS = {
  400: 'The request is wrong: `errors` names each field or parameter at fault.',
  401: 'There is no key in the request, or none that is valid.',
  403: 'The key does not have the scope that this needs, or is bound to other things.',
  404: 'There is nothing of this id.',
  409: 'This cannot be done as things are; `detail` says what stands in the way.',
  413: 'The body is larger than this takes, inflated if it was sent so.',
  414: 'A part of the path is longer than any id or ARN.',
  415: 'The body is not sent as application/json, or in another Content-Encoding than gzip and br.',
  422: 'The Idempotency-Key was used with another body.',
  429: 'Too many keys of this address were not known: `Retry-After` says how long it waits.',
  431: 'The URL and the headers are larger than 16 KiB together.',
  503: 'This could not be decided now: try again.',
}

/** The response schemas of a route's refusals, by status. */
export function problemResponses<Status extends keyof typeof MEANINGS>(...statuses: Status[]) {
  const responses = statuses.map((status) => [status, problemResponse(MEANINGS[status])])
  return Object.fromEntries(responses) as Record<Status, ReturnType<typeof problemResponse>>
}

/** The response schema of a refusal. */
export function problemResponse(description: string) {
  return { description, content: { [PROBLEM_TYPE]: { schema: refTo(Problem) } } }
}

/** Documents what any route that is added to `http` may answer before its handler runs, unless the route says it itself. */
export function documentRefusals(http: FastifyInstance): void {
  http.addHook('onRoute', (route) => {
    const { response, ...schema } = route.schema ?? {}
    const refusals = {
      ...problemResponses(431, 503),
      ...(route.url.includes(':') ? problemResponses(414) : {}),
      ...(schema.body === undefined ? {} : problemResponses(413)),
    }
    route.schema = { ...schema, response: { ...refusals, ...(response as object) } }
  })
}

export function registerProblems(http: FastifyInstance): void {
  http.addSchema(Problem)
  http.setErrorHandler((error: FastifyError, request, reply) => answerError(error, request, reply))
  // plugins call this, such as the one that serves the files of /docs
  http.setNotFoundHandler((request, reply) => answerError(notFound(request), request, reply))
}

/** Refuses a request that matches no route, before its body is read. */
export function refuseUnknownPaths(http: FastifyInstance): void {
  http.addHook('onRequest', (request, _reply, done) => done(request.is404 ? notFound(request) : undefined))
}

/** Answers a URL that the router cannot parse, as Fastify's `frameworkErrors`. No hook runs, so the request id is set here. */
export function answerUnroutable(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  reply.header(REQUEST_ID_HEADER, request.id)
  void answerError(error, request, reply)
}

function notFound(request: FastifyRequest): Refusal {
  const hint = isMisdirected(request) ? ` Messages of SNS are taken at POST ${SNS_PATH}.` : ''
  return new Refusal('not_found', `There is no ${request.method} ${request.url.split('?')[0]}.${hint}`)
}

function answerError(error: FastifyError | Refusal, request: FastifyRequest, reply: FastifyReply) {
  const refusal = refusalOf(error, request)
  if (refusal === undefined) request.log.error({ err: error }, 'request failed')
  else if (refusal.status >= 500) request.log.warn({ err: error }, 'request not decided')
  const problem = problemOf(refusal)
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer')
  return reply.code(problem.status).type(PROBLEM_TYPE).serializer(JSON.stringify).send(problem)
}

/** The problem document of a refusal. @param refusal undefined: an internal error */
export function problemOf(refusal: Refusal | undefined): Problem {
  const code: RefusalCode | 'internal_error' = refusal?.code ?? 'internal_error'
  const { status, message, errors } = refusal ?? INTERNAL_ERROR
  return {
    type: `urn:alert-relay:problem:${code}`,
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail: message,
    ...(errors.length > 0 ? { errors: errors.map(toProblemField) } : {}),
  }
}

const INTERNAL_ERROR = { status: 500, message: 'Something went wrong here; the log says what.', errors: [] }

/** `detail` repeats `message`: the first versions had only `detail`, and clients depend on it. */
function toProblemField({ path, detail }: FieldError): Static<typeof ProblemField> {
  return { path, message: detail, detail }
}

/** Maps an error of Fastify or its plugins to a refusal; undefined for an internal error. */
function refusalOf(error: FastifyError | Refusal, request: FastifyRequest): Refusal | undefined {
  if (error instanceof Refusal) return error
  if (error.validation) return validationRefusal(error, request)
  switch (error.statusCode) {
    case 413:
      return new Refusal('payload_too_large', 'The body is larger than this route takes.')
    case 414:
      return new Refusal('uri_too_long', 'A part of the URL is longer than any id or ARN: shorten it.')
    case 415:
      return new Refusal('unsupported_media_type', 'Send the body as application/json.')
    case 503:
      return new Refusal('undecided', 'The service is under pressure; try again.', { cause: error })
  }
  if (error.code === 'FST_ERR_BAD_URL') {
    return new Refusal('invalid_request', 'The URL cannot be decoded: each % must begin the escape of a byte of UTF-8.')
  }
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    return new Refusal('invalid_request', error.message)
  }
  return undefined
}

/**
 * Returns a value that was looked up by id.
 * @throws Refusal 'not_found' if it is undefined
 */
export function found<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Refusal('not_found', `There is no such ${name}.`)
  return value
}
