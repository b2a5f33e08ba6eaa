/**
 * Problems: every answer that is no success is an RFC 9457 problem document.
 *
 * Promise: bad input is named field by field; an error of our own is logged in full and told in general.
 */
import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify'
import { Type, type Static } from 'typebox'
import { Refusal, type FieldError, type RefusalCode } from '../core/platform/errors.js'
import { refTo } from '../core/platform/schema.js'

export const Problem = Type.Object(
  {
    type: Type.String({ description: 'urn:alert-relay:problem: and a code to match on.' }),
    title: Type.String({ description: "The status's name." }),
    status: Type.Integer(),
    detail: Type.String({ description: 'What was wrong and how to mend it.' }),
    errors: Type.Optional(
      Type.Array(Type.Object({ path: Type.String({ description: 'A JSON pointer.' }), detail: Type.String() }), {
        description: 'The fields at fault.',
      }),
    ),
  },
  { $id: 'Problem', description: 'RFC 9457' },
)
export type Problem = Static<typeof Problem>

const PROBLEM_TYPE = 'application/problem+json'

/** The response schemas of a route's refusals, by status. */
export function problemResponses<Status extends number>(...statuses: Status[]) {
  const response = { description: 'A problem.', content: { [PROBLEM_TYPE]: { schema: refTo(Problem) } } }
  return Object.fromEntries(statuses.map((status) => [status, response])) as Record<Status, typeof response>
}

export function registerProblems(http: FastifyInstance): void {
  http.addSchema(Problem)
  http.setErrorHandler((error: FastifyError, request, reply) => {
    const refusal = refusalOf(error)
    if (refusal === undefined) {
      request.log.error({ err: error }, 'request failed')
      return sendProblem(reply, 500, 'internal_error', 'Something went wrong here; the log says what.')
    }
    if (refusal.status >= 500) request.log.warn({ err: error }, 'request not decided')
    if (refusal.status === 401) reply.header('www-authenticate', 'Bearer')
    return sendProblem(reply, refusal.status, refusal.code, refusal.message, refusal.errors)
  })
  http.setNotFoundHandler((request, reply) =>
    sendProblem(reply, 404, 'not_found', `There is no ${request.method} ${request.url.split('?')[0]}.`),
  )
}

function sendProblem(
  reply: FastifyReply,
  status: number,
  code: RefusalCode | 'internal_error',
  detail: string,
  errors: FieldError[] = [],
) {
  const problem: Problem = {
    type: `urn:alert-relay:problem:${code}`,
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail,
    ...(errors.length > 0 ? { errors } : {}),
  }
  return reply.code(status).type(PROBLEM_TYPE).serializer(JSON.stringify).send(problem)
}

/** What Fastify and its plugins refuse, in our words; undefined for an error of our own. */
function refusalOf(error: FastifyError): Refusal | undefined {
  if (error instanceof Refusal) return error
  if (error.validation) return validationRefusal(error)
  switch (error.statusCode) {
    case 413:
      return new Refusal('payload_too_large', 'The body is larger than this route takes.')
    case 415:
      return new Refusal('unsupported_media_type', 'Send the body as application/json.')
    case 503:
      return new Refusal('undecided', 'The service is under pressure; try again.', { cause: error })
  }
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    return new Refusal('invalid_request', error.message)
  }
  return undefined
}

function validationRefusal(error: FastifyError): Refusal {
  const errors = (error.validation ?? []).map(({ instancePath, message, keyword, params }) => {
    if (keyword === 'additionalProperties') {
      return { path: `${instancePath}/${String(params.additionalProperty)}`, detail: 'is not a known field' }
    }
    if (keyword === 'required') {
      return { path: `${instancePath}/${String(params.missingProperty)}`, detail: 'is required' }
    }
    const allowed = Array.isArray(params.allowedValues) ? `: ${params.allowedValues.join(', ')}` : ''
    return { path: instancePath, detail: `${message ?? 'is wrong'}${allowed}` }
  })
  const where = error.validationContext ?? 'request'
  const detail = errors.map(({ path, detail }) => `${where}${path} ${detail}`).join('; ')
  return new Refusal('invalid_request', detail, { errors })
}

/** Refuses unless there is a value: for what a route looked up by id. */
export function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Refusal('not_found', `There is no such ${what}.`)
  return value
}
