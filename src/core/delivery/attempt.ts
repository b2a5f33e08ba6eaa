/**
 * One attempt: sign, send once, say what became of it.
 *
 * Promise: whatever the receiver does is an outcome, never an exception; what is signed is what is sent.
 */
import type { StoredEvent } from '../event/event.js'
import type { HttpClient, HttpOutcome } from '../platform/http-client.js'
import type { SnsClient } from '../platform/sns-client.js'
import { VERSION } from '../platform/version.js'
import type { Outgoing } from '../webhook/format.js'
import { isTopicUrl } from '../webhook/webhook.js'
import { outcomeOfStatus, type AttemptOutcome } from './policy.js'
import { signatureHeaders } from './signature.js'

export interface AttemptInput {
  url: string
  /** The webhook's live secrets (`whsec_...`), one or more. */
  secrets: string[]
  timeoutMs: number
  event: Pick<StoredEvent, 'id' | 'type' | 'severity' | 'alertId'>
  /** 1 for the first attempt of a delivery. */
  number: number
  body: Outgoing
}

/** A row of the attempt log. */
export interface Attempt {
  number: number
  startedAt: Date
  durationMs: number
  outcome: AttemptOutcome
  /** The receiver's answer, if there was one. */
  statusCode: number | null
  /** The receiver's Retry-After header, as it came. */
  retryAfter: string | null
  /** Why there was no answer: one line, no secrets. */
  error: string | null
  /** The first 4 KiB of the answer. */
  responseBody: string | null
}

export type SendAttempt = (input: AttemptInput) => Promise<Attempt>

/** AWS: a message and its attributes are at most 256 KiB. */
const SNS_MAX_BYTES = 256 * 1024

/**
 * @param options.now the clock for `startedAt` and `webhook-timestamp`
 */
export function createAttempt(options: { http: HttpClient; sns: SnsClient; now?: () => Date }): SendAttempt {
  const { http, sns, now = () => new Date() } = options
  return async (input) => {
    const startedAt = now()
    const result = await (isTopicUrl(input.url) ? publish(sns, input) : post(http, input, startedAt))
    const row = { number: input.number, startedAt, durationMs: result.durationMs }
    if (result.kind === 'response') {
      const { statusCode, retryAfter, body: responseBody } = result
      return { ...row, outcome: outcomeOfStatus(statusCode), statusCode, retryAfter, error: null, responseBody }
    }
    return { ...row, outcome: result.kind, statusCode: null, retryAfter: null, error: result.error, responseBody: null }
  }
}

function post(http: HttpClient, input: AttemptInput, startedAt: Date): Promise<HttpOutcome> {
  const { url, secrets, timeoutMs, event, number, body } = input
  const headers = {
    'content-type': 'application/json',
    'user-agent': `alert-relay/${VERSION}`,
    ...signatureHeaders({ id: event.id, timestamp: startedAt, body: body.text, secrets }),
    'x-alert-relay-attempt': String(number),
  }
  return http.post(url, { headers, body: body.text, timeoutMs })
}

/** Publishes to a topic; the attributes are what SNS subscribers filter by. What is too large is cut, and says so. */
function publish(sns: SnsClient, { url: topicArn, timeoutMs, event, body }: AttemptInput): Promise<HttpOutcome> {
  const { id, type, severity, alertId } = event
  const attributes: Record<string, string> = {
    event_id: id,
    type,
    ...(severity ? { severity } : {}),
    ...(alertId ? { alert_id: alertId } : {}),
  }
  const attributeBytes = Buffer.byteLength(JSON.stringify(attributes))
  const fits = Buffer.byteLength(body.text) + attributeBytes <= SNS_MAX_BYTES
  const message = fits ? body.text : body.cut()
  return sns.publish({ topicArn, message, attributes, groupId: alertId ?? id, deduplicationId: id, timeoutMs })
}
