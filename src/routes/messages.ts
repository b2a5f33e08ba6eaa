/**
 * POST /v1/messages: any message over HTTP with a key, for producers that do not publish to SNS.
 *
 * Guarantee: that of /sns. 200 means that the message is stored durably, now or before; it is read as SNS's Message would be, and
 * a repeat with its Idempotency-Key changes nothing.
 */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { AcceptNamed } from '../core/event/accept-named.js'
import { withDeadline } from '../core/platform/deadline.js'
import { Refusal } from '../core/platform/errors.js'
import type { Metrics } from '../core/platform/metrics.js'
import { utf8Text } from '../core/platform/text.js'
import { answer } from './answers.js'
import { IdempotencyHeaders, idempotencyOf } from './idempotency.js'
import { problemResponse, problemResponses } from './problems.js'
import { DEADLINE_MS, lineOf, logTaken, Receipt, receiptOf, undecidedUnlessRefused } from './receipts.js'

export interface MessageRouteOptions {
  acceptNamed: AcceptNamed
  metrics: Metrics
}

const BODY_LIMIT = 1024 * 1024
/** JSON of any kind, and plain text. */
const CONTENT_TYPE = /^(application\/json|application\/[\w.+-]+\+json|text\/plain)\s*(;|$)/i

export async function messageRoutes(
  http: FastifyInstance,
  { acceptNamed, metrics }: MessageRouteOptions,
): Promise<void> {
  http.removeAllContentTypeParsers()
  http.addContentTypeParser<Buffer>(CONTENT_TYPE, { parseAs: 'buffer' }, (_request, body, done) => done(null, body))

  http.post(
    '/messages',
    {
      bodyLimit: BODY_LIMIT,
      schema: {
        operationId: 'createMessage',
        tags: ['messages'],
        summary: 'Bring a message in',
        description:
          'Any JSON, or plain text, is taken as the Message of an SNS notification would be: an alert change as Matano publishes ' +
          'it, findings of a known producer, or a notification. It is of no topic. A repeated EventBridge event is a duplicate; so is ' +
          'a request repeated with its Idempotency-Key. The scope ingest is enough.',
        headers: IdempotencyHeaders,
        body: {
          content: {
            'application/json': { schema: Type.Unknown({ description: 'Any JSON.' }) },
            'text/plain': { schema: Type.String({ description: 'A notification.' }) },
          },
        },
        response: {
          200: answer('The message is stored durably, or was stored before.', Receipt),
          ...problemResponses(400, 401, 413, 415, 422),
          403: problemResponse('The key has not the scope ingest, or too many relays passed the message on.'),
          503: problemResponse('It could not be stored now: send it again.'),
        },
      },
      // any document is one: nothing is validated but the headers
      validatorCompiler: ({ schema, httpPart }) =>
        httpPart === 'body' ? () => true : http.validatorCompiler!({ schema, httpPart } as never),
    },
    async (request, reply) => {
      const { body, log } = request
      const message = textOf(body)
      const work = acceptNamed(message, idempotencyOf(request)).catch(undecidedUnlessRefused)
      // the check of the key, which reads the database, counts too
      const taken = await withDeadline(work, DEADLINE_MS - reply.elapsedTime, 'taking the message')
      const receipt = receiptOf(taken)
      const line = { ...receipt, ...lineOf(taken, message.length) }
      logTaken(log, metrics, { line, unread: taken.unread, name: 'message' })
      return receipt
    },
  )
}

function textOf(body: unknown): string {
  if (!(body instanceof Buffer) || body.length === 0) {
    const detail = 'is empty: send the message as JSON or as plain text'
    throw new Refusal('invalid_request', `The body ${detail}.`, { errors: [{ path: '', detail }] })
  }
  try {
    return utf8Text(body)
  } catch (cause) {
    throw new Refusal('invalid_request', 'The body is not UTF-8: send the message in UTF-8.', { cause })
  }
}
