/**
 * POST /sns: the endpoint of SNS subscriptions.
 *
 * Guarantee: 200 means that the message is stored durably, now or before. 400 and 403 mean that it can never be accepted.
 * 503 with the code topic_pending means that an operator may approve its topic. Every other failure is answered with 503 within
 * 10 s, because SNS waits 15 s and retries after a 5xx but never after a 4xx.
 * There is no rate limit on this route.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Unread } from '../core/alert/change.js'
import type { Accept } from '../core/event/accept.js'
import { withDeadline } from '../core/platform/deadline.js'
import { messageOf, Refusal } from '../core/platform/errors.js'
import type { Metrics } from '../core/platform/metrics.js'
import { parseSnsMessage, type SnsMessage } from '../core/sns/message.js'
import { topicNotListed, type Arrival, type Subscriptions } from '../core/sns/subscriptions.js'
import type { Verifier } from '../core/sns/verify.js'
import { answer } from './answers.js'
import { SNS_PATH, SNS_PATHS } from './misdirected.js'
import { problemResponse, problemResponses } from './problems.js'
import { DEADLINE_MS, lineOf, logTaken, Receipt, receiptOf, undecidedUnlessRefused } from './receipts.js'

export interface SnsRouteOptions {
  subscriptions: Subscriptions
  verifier: Verifier
  accept: Accept
  metrics: Metrics
}

/** An SNS message has at most 256 KiB; the envelope's JSON escapes it again. */
const BODY_LIMIT = 2 * 1024 * 1024
/** Characters in the log of anything that a stranger wrote; the longest topic ARN has fewer. */
const MAX_LOGGED = 400

/** The result of handling a message: the answer, the other fields of its log line, and why it is no alert change. */
interface Handled {
  receipt: Receipt
  log: Record<string, unknown>
  unread?: Unread | undefined
}

export async function snsRoutes(http: FastifyInstance, options: SnsRouteOptions): Promise<void> {
  // SNS sends text/plain, or application/json under a delivery policy: the content-type is ignored
  http.removeAllContentTypeParsers()
  http.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))

  http.addHook('onRequest', async (request, reply) => {
    const { 'x-amz-sns-topic-arn': topicArn } = request.headers
    if (typeof topicArn !== 'string' || options.subscriptions.mayTake(topicArn)) return
    // its body need not be read: whoever sends it may have many of them
    reply.header('connection', 'close')
    const refusal = topicNotListed()
    refused(request, options, refusal)
    throw refusal
  })
  for (const path of SNS_PATHS) addRoute(http, path, options)
}

function addRoute(http: FastifyInstance, path: string, options: SnsRouteOptions): void {
  http.post(
    path,
    {
      bodyLimit: BODY_LIMIT,
      // the security headers are for browsers
      helmet: false,
      schema: {
        hide: path !== SNS_PATH,
        operationId: 'receiveSnsMessage',
        tags: ['sns'],
        summary: 'Take a message from SNS',
        description:
          'The endpoint of an SNS HTTPS subscription. SNS alone can use it: every message is signed. Raw message delivery ' +
          'must be off. `own` is a message that this relay published itself, to a topic that it is subscribed to.',
        security: [],
        response: {
          200: answer(
            'The message is stored durably, was stored before, or needs nothing more: SNS must not send it again.',
            Receipt,
          ),
          400: problemResponse('The message is malformed, or its delivery is raw: it can never be taken.'),
          403: problemResponse(
            'The topic, the certificate, the signature or the age is not allowed, or too many relays passed it on: it can ' +
              'never be taken.',
          ),
          415: problemResponse('The Content-Encoding is not one of gzip and br.'),
          ...problemResponses(413, 431),
          503: problemResponse('It could not be decided now, or its topic waits for approval: SNS sends it again.'),
        },
      },
    },
    async (request) => {
      const claim: Claim = { topicArn: request.headers['x-amz-sns-topic-arn'] }
      const work = receive(request, options, claim).catch(undecidedUnlessRefused)
      const { receipt, log, unread } = await withDeadline(work, DEADLINE_MS, 'taking the message').catch(
        (error: unknown) => {
          refused(request, options, error)
          if (error instanceof Refusal) options.subscriptions.refused(claim.topicArn, error.code)
          throw error
        },
      )
      options.metrics.countMessage(receipt.result)
      logTaken(request.log, options.metrics, { line: { ...receipt, ...log }, unread, name: 'sns message' })
      return receipt
    },
  )
}

/** The topic that a message says it is from, verified or not. */
interface Claim {
  topicArn: unknown
}

/** Verifies a message, then handles it. */
async function receive(request: FastifyRequest, options: SnsRouteOptions, claim: Claim): Promise<Handled> {
  if (request.headers['x-amz-sns-rawdelivery'] === 'true') {
    throw new Refusal('raw_delivery', 'Raw message delivery has no signature: turn it off for this subscription.')
  }
  const message = parseSnsMessage(request.body instanceof Buffer ? request.body : Buffer.alloc(0))
  claim.topicArn = message.TopicArn
  const standing = await options.subscriptions.checkTopic(message)
  await options.verifier.verify(message, standing)
  if (standing === 'new' && message.Type === 'Notification') await options.subscriptions.hold(message, request.log)
  const arrival = { log: request.log, subscriptionArn: request.headers['x-amz-sns-subscription-arn'] }
  const { receipt, log, unread } = await handle(message, arrival, options)
  const { Type: snsType, MessageId: messageId, TopicArn: topicArn, Timestamp: sentAt } = message
  const origin = { sns_type: snsType, message_id: messageId, topic_arn: topicArn, sent_at: sentAt }
  return { receipt, log: { ...origin, ...log }, unread }
}

/** Handles a verified message by its type. */
async function handle(
  message: SnsMessage,
  arrival: Arrival,
  { subscriptions, accept }: SnsRouteOptions,
): Promise<Handled> {
  switch (message.Type) {
    case 'SubscriptionConfirmation':
      return { receipt: { result: await subscriptions.begin(message, arrival.log) }, log: {} }
    case 'UnsubscribeConfirmation':
      await subscriptions.end(message, arrival)
      return { receipt: { result: 'unsubscribed' }, log: {} }
    case 'Notification': {
      const taken = await accept({
        messageId: message.MessageId,
        topicArn: message.TopicArn,
        subject: message.Subject || undefined,
        message: message.Message,
        sentAt: new Date(message.Timestamp),
      })
      subscriptions.received(message, arrival)
      return { receipt: receiptOf(taken), log: lineOf(taken, message.Message.length), unread: taken.unread }
    }
  }
}

/** Counts and logs a message that is refused. What its sender wrote is cut. */
function refused(request: FastifyRequest, { metrics }: SnsRouteOptions, error: unknown): void {
  const code = error instanceof Refusal ? error.code : 'internal_error'
  metrics.countMessage(code)
  const { ip: client, headers } = request
  request.log.warn(
    {
      ...{ result: 'refused', code, client },
      detail: messageOf(error).slice(0, MAX_LOGGED),
      message_id: cut(headers['x-amz-sns-message-id']),
      topic_arn: cut(headers['x-amz-sns-topic-arn']),
    },
    'sns message',
  )
}

function cut(header: string | string[] | undefined): string | undefined {
  return header === undefined ? undefined : String(header).slice(0, MAX_LOGGED)
}
