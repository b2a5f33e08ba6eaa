/**
 * One attempt: sign, send once, say what became of it.
 *
 * Promise: whatever the receiver does is an outcome, never an exception; what is signed is what is sent.
 */
import type { HttpClient } from '../platform/http-client.js'
import { VERSION } from '../platform/version.js'
import { outcomeOfStatus, type AttemptOutcome } from './policy.js'
import { signatureHeaders } from './signature.js'

export interface AttemptInput {
  url: string
  /** The webhook's live secrets (`whsec_...`), one or more. */
  secrets: string[]
  timeoutMs: number
  eventId: string
  /** 1 for the first attempt of a delivery. */
  number: number
  /** The JSON text to send, byte for byte. */
  body: string
}

/** A row of the attempt log. */
export interface Attempt {
  number: number
  startedAt: Date
  durationMs: number
  outcome: AttemptOutcome
  /** The receiver's answer, if there was one. */
  statusCode: number | null
  /** Why there was no answer: one line, no secrets. */
  error: string | null
  /** The first 4 KiB of the answer. */
  responseBody: string | null
}

export type SendAttempt = (input: AttemptInput) => Promise<Attempt>

/**
 * @param options.now the clock for `startedAt` and `webhook-timestamp`
 */
export function createAttempt(options: { http: HttpClient; now?: () => Date }): SendAttempt {
  const { http, now = () => new Date() } = options
  return async ({ url, secrets, timeoutMs, eventId, number, body }) => {
    const startedAt = now()
    const headers = {
      'content-type': 'application/json',
      'user-agent': `alert-relay/${VERSION}`,
      ...signatureHeaders({ id: eventId, timestamp: startedAt, body, secrets }),
      'x-alert-relay-attempt': String(number),
    }
    const result = await http.post(url, { headers, body, timeoutMs })
    const row = { number, startedAt, durationMs: result.durationMs }
    if (result.kind === 'response') {
      const { statusCode, body: responseBody } = result
      return { ...row, outcome: outcomeOfStatus(statusCode), statusCode, error: null, responseBody }
    }
    return { ...row, outcome: result.kind, statusCode: null, error: result.error, responseBody: null }
  }
}
