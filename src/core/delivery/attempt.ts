/**
 * One attempt: signs the body, sends it once, returns the outcome.
 *
 * Guarantee: whatever the receiver does is an outcome, never an exception; the bytes that are signed are the bytes that are
 * sent.
 */
import type { StoredEvent } from '../event/event.js'
import { KEPT_BODY_BYTES, MAX_BODY_BYTES, type HttpClient, type HttpOutcome } from '../platform/http-client.js'
import type { TlsMaterial } from '../platform/tls-agents.js'
import { newId } from '../platform/id.js'
import type { SnsClient } from '../platform/sns-client.js'
import { inSpan, type NewSpan, type OpenSpan } from '../platform/tracing.js'
import { VERSION } from '../platform/version.js'
import type { Outgoing } from '../format/render.js'
import { explainFailure, type SuccessCondition } from '../webhook/success.js'
import { isTopicUrl, type Webhook } from '../webhook/webhook.js'
import { createConverse, type Conversed, type ConverseInput } from './converse.js'
import { hideSecrets } from './echo.js'
import { mayBeTaken, outcomeOfStatus, type AttemptOutcome } from './policy.js'
import { signatureHeaders } from './signature.js'
import { MAX_SUBJECT_LENGTH, snsSubject } from './sns-subject.js'

export interface AttemptInput {
  url: string
  /** The webhook's live secrets (`whsec_...`), one or more. */
  secrets: string[]
  timeoutMs: number
  event: Pick<StoredEvent, 'id' | 'type' | 'severity' | 'alertId'> &
    Partial<Pick<StoredEvent, 'title' | 'subject' | 'traceparent'>>
  /** 1 for the first attempt of a delivery. */
  number: number
  /** True when the event is sent again by a replay or a recovery. */
  replay: boolean
  body: Pick<Outgoing, 'contentType' | 'bytes' | 'conversation'>
  /** The webhook's own request headers, its credentials among them. */
  headers: Record<string, string>
  /** What the receiver may quote and the log must not show. */
  secretTexts?: readonly string[]
  /** Its client certificate and the authorities it trusts; undefined: no certificate, the public authorities. */
  tls?: TlsMaterial
  /** What the body of a 2xx answer must fulfil; undefined: every 2xx is a success. */
  success?: SuccessCondition
}

/** A row of the attempt log. */
export interface Attempt {
  id: string
  number: number
  startedAt: Date
  durationMs: number
  outcome: AttemptOutcome
  /** The status of the answer, if there was one. */
  statusCode: number | null
  /** The Retry-After header of the answer, unparsed. */
  retryAfter: string | null
  /** Why there was no answer, or why a 2xx is no success: one line, no secrets. */
  error: string | null
  /** The first 4 KiB of the answer, without secrets of the webhook. */
  responseBody: string | null
  /** Why the same request can never succeed: one line, no secrets; undefined: it may. */
  final?: string
  /** True unless the receiver certainly did not take the request. */
  mayBeTaken: boolean
}

export type SendAttempt = (input: AttemptInput) => Promise<Attempt>

/** AWS: a message and its attributes are at most 256 KiB. */
const SNS_MAX_BYTES = 256 * 1024

/** The largest body that may be sent, in bytes: the webhook's own limit, and SNS's for a topic. */
export function maxBodyBytes(
  { url, max_body_bytes: own }: Pick<Webhook, 'url' | 'max_body_bytes'>,
  event: AttemptInput['event'],
): number {
  if (!isTopicUrl(url)) return own
  return Math.min(own, SNS_MAX_BYTES - MAX_SUBJECT_LENGTH - Buffer.byteLength(JSON.stringify(attributesOf(event))))
}

/**
 * @param options.now the clock for `startedAt` and `webhook-timestamp`
 */
export function createAttempt(options: { http: HttpClient; sns: SnsClient; now?: () => Date }): SendAttempt {
  const { http, sns, now = () => new Date() } = options
  const converse = createConverse()
  const exchange = (input: AttemptInput, startedAt: Date, traceparent: string | null): Promise<Conversed> => {
    const { url, timeoutMs, number, replay } = input
    const { conversation } = input.body
    if (isTopicUrl(url)) return publish(sns, input)
    if (!conversation) return post(http, input, startedAt, traceparent)
    const send = requestsOf(http, input, startedAt, traceparent)
    return converse({ conversation, url, timeoutMs, isRepeat: number > 1 || replay, send })
  }
  const send = async (input: AttemptInput, span: OpenSpan): Promise<Attempt> => {
    const startedAt = now()
    const result = await exchange(input, startedAt, span.traceparent)
    const row = { id: newId('att'), number: input.number, startedAt, durationMs: result.durationMs }
    const { answerLost } = result
    const shown = (text: string) => hideSecrets(text, input.secretTexts ?? [])
    if (result.kind === 'response') {
      const { statusCode, retryAfter, body, final } = result
      const { outcome, error: why } = outcomeOfAnswer(result, input.success)
      const reason = why ?? (result.step === undefined ? null : `${result.step}: status ${statusCode}`)
      const error = reason === null ? null : shown(reason)
      const taken = { mayBeTaken: mayBeTaken({ outcome, statusCode, answerLost }) }
      return {
        ...row,
        outcome,
        statusCode,
        retryAfter,
        error,
        final: final && shown(final),
        responseBody: beginningOf(shown(body)),
        ...taken,
      }
    }
    const noAnswer = { statusCode: null, retryAfter: null, responseBody: null }
    const error = result.step === undefined ? result.error : `${result.step}: ${result.error}`
    return { ...row, outcome: result.kind, error: shown(error), ...noAnswer, mayBeTaken: answerLost }
  }
  return (input) =>
    inSpan(spanOf(input), async (span) => {
      const attempt = await send(input, span)
      const { id, outcome, statusCode } = attempt
      span.set({
        'alert_relay.attempt.id': id,
        ...(statusCode === null ? {} : { 'http.response.status_code': statusCode }),
      })
      const isOfStatus = statusCode !== null && outcomeOfStatus(statusCode) === outcome
      if (outcome !== 'succeeded') span.fail(isOfStatus ? String(statusCode) : outcome)
      return attempt
    })
}

/** The outcome of an answer; `error` says why it is no success where the status does not. */
function outcomeOfAnswer(
  { statusCode, body, final }: { statusCode: number; body: string; final?: string },
  success: SuccessCondition | undefined,
): Pick<Attempt, 'outcome' | 'error'> {
  const outcome = outcomeOfStatus(statusCode)
  const failure = outcome === 'succeeded' && success ? explainFailure(body, success) : final
  return failure === undefined ? { outcome, error: null } : { outcome: 'rejected', error: failure }
}

/** What the attempt log keeps of an answer. */
function beginningOf(body: string): string {
  const bytes = Buffer.from(body)
  return bytes.length <= KEPT_BODY_BYTES ? body : bytes.subarray(0, KEPT_BODY_BYTES).toString('utf8')
}

/**
 * Attributes by OpenTelemetry's conventions for HTTP clients and messaging. A URL's path and query are left out: they may
 * hold secrets. https://opentelemetry.io/docs/specs/semconv/http/http-spans/
 */
function spanOf({ url, event, number }: AttemptInput): NewSpan {
  const ids = { 'alert_relay.event.id': event.id, 'alert_relay.attempt.number': number }
  const parent = event.traceparent
  if (isTopicUrl(url)) {
    const topic = {
      'messaging.system': 'aws.sns',
      'messaging.operation.type': 'send',
      'messaging.destination.name': url,
    }
    return { name: 'publish', kind: 'producer', parent, attributes: () => ({ ...topic, ...ids }) }
  }
  const target = () => {
    const { protocol, hostname, port } = new URL(url)
    return {
      'http.request.method': 'POST',
      'http.request.resend_count': number - 1,
      'url.scheme': protocol.slice(0, -1),
      'server.address': hostname,
      'server.port': Number(port || (protocol === 'https:' ? 443 : 80)),
    }
  }
  return { name: 'POST', kind: 'client', parent, attributes: () => ({ ...target(), ...ids }) }
}

function post(
  http: HttpClient,
  input: AttemptInput,
  startedAt: Date,
  traceparent: string | null,
): Promise<HttpOutcome> {
  const { url, timeoutMs, body, tls, success } = input
  const headers = { ...requestHeaders(input, startedAt), ...(traceparent === null ? {} : { traceparent }) }
  const keepBytes = success && MAX_BODY_BYTES
  return http.post(url, { headers, body: body.bytes, timeoutMs, tls, keepBytes })
}

/** Sends a request of a conversation as an attempt with its own body is sent. */
function requestsOf(
  http: HttpClient,
  input: AttemptInput,
  startedAt: Date,
  traceparent: string | null,
): ConverseInput['send'] {
  return ({ method, url, body: text, timeoutMs, writes }) => {
    const body = { ...input.body, bytes: Buffer.from(text) }
    const headers = {
      ...requestHeaders({ ...input, body }, startedAt),
      ...(traceparent === null ? {} : { traceparent }),
    }
    const request = { headers, timeoutMs, tls: input.tls, keepBytes: MAX_BODY_BYTES, sendOnce: writes }
    return method === 'GET' ? http.get(url, request) : http.post(url, { ...request, body: body.bytes })
  }
}

/** The headers of a request: the webhook's own, then ours, which override them. */
export function requestHeaders(
  { secrets, event, number, replay, body, headers }: Omit<AttemptInput, 'url' | 'timeoutMs' | 'tls'>,
  startedAt: Date,
): Record<string, string> {
  return {
    ...headers,
    'content-type': body.contentType,
    'user-agent': `alert-relay/${VERSION}`,
    ...signatureHeaders({ id: event.id, timestamp: startedAt, body: body.bytes, secrets }),
    'x-alert-relay-attempt': String(number),
    ...(replay ? { 'x-alert-relay-replay': 'true' } : {}),
  }
}

/** Publishes to a topic, with the attributes that SNS filter policies select by. */
function publish(sns: SnsClient, { url: topicArn, timeoutMs, event, body }: AttemptInput): Promise<HttpOutcome> {
  const { id, alertId } = event
  const content = { message: body.bytes.toString('utf8'), subject: snsSubject(event), attributes: attributesOf(event) }
  return sns.publish({ topicArn, ...content, groupId: alertId ?? id, deduplicationId: id, timeoutMs })
}

function attributesOf({ id, type, severity, alertId }: AttemptInput['event']): Record<string, string> {
  return { event_id: id, type, ...(severity ? { severity } : {}), ...(alertId ? { alert_id: alertId } : {}) }
}

/** An attempt that failed before a request was sent. */
export function notSent(number: number, startedAt: Date, error: string): Attempt {
  const noAnswer = { statusCode: null, retryAfter: null, responseBody: null }
  return {
    id: newId('att'),
    number,
    startedAt,
    durationMs: 0,
    outcome: 'not_sent',
    error,
    ...noAnswer,
    mayBeTaken: false,
  }
}
