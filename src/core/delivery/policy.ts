/**
 * When a delivery is attempted again, and when it is given up. Pure: the result of an attempt, `now` and `random` in, the
 * delivery's next state out.
 *
 * Guarantee: only a 2xx that meets the webhook's condition is success; a delivery that never succeeds is attempted exactly as
 * often as its schedule has slots, and is then dead; no retry comes earlier than the schedule says, unless the receiver itself
 * asks for an earlier one.
 *
 * A delivery (one event for one webhook) is in one of five states:
 *
 *   pending    An attempt is ahead, due at `next_attempt_at`. It is made when the webhook's delivery queue allows: not while
 *              the webhook is disabled or its circuit is open (except for one probe at a time), not beyond its limits, not
 *              before an earlier change of the same alert where the webhook asks for order. Waiting uses up no slot of the
 *              schedule. Entered when the event is dispatched, and again by a retry by hand, a replay or a recovery, which
 *              restart the schedule. Left by the outcome of an attempt, by coalescing, or by the deletion of the webhook.
 *   succeeded  The receiver answered 2xx. It may have done so before, in an answer that was lost: delivery is at least once.
 *   dead       The schedule is used up, the receiver answered 410, or SNS can never take the message. Kept and listed; only an API request restarts it.
 *   dropped    The webhook was deleted while the delivery was pending, or it asks for news alone and the event has none.
 *   folded     Its change is sent with a later one of the same alert (coalesce.ts); that delivery's outcome counts for both.
 *
 *   pending ── 2xx ──────────────▶ succeeded      succeeded ─┐
 *   pending ── failed, slots left ▶ pending, later dead      ├─ retry by hand, replay ▶ pending, now
 *   pending ── failed, last slot ─▶ dead           folded    ┘
 *   pending ── 410 Gone ──────────▶ dead, and the webhook is disabled
 *   pending ── refused for good ──▶ dead
 *   pending ── coalesced ─────────▶ folded         dropped: final
 *   pending ── webhook deleted ───▶ dropped
 *
 * For a delivery nearly all failures are treated alike: a refused target may be corrected in the DNS just as a 500 may be
 * corrected in the receiver. An attempt without an answer waits twice its slot, since the receiver is probably down. After a
 * 410 nothing is sent any more. The Retry-After of a 429 or 503 is followed, up to a day. When it is longer than the slot, it
 * takes the place of the slot. When it is shorter, the attempt uses up no slot, so that a receiver which asks for one second
 * ten times does not make a delivery dead; the circuit limits how many such attempts there are, since these answers count as
 * failures of the receiver.
 *
 * For a webhook failures differ by their subject (`subjectOf`):
 *
 *   receiver   It did not answer, or with a status that other deliveries would get too. Counts towards opening the circuit.
 *   body       It refused this request for its content. It is up and may take others: only this delivery is delayed.
 *   relay      Nothing was sent: there was no body or no credentials, or the address may not be reached. This says nothing
 *              about the receiver.
 */

import type { FailureSubject } from '../circuit/health.js'
import { parseHttpDate } from '../platform/http-date.js'
import type { AttemptResult } from './window.js'

export const DELIVERY_STATUSES = ['pending', 'succeeded', 'dead', 'dropped', 'folded'] as const
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number]

/**
 * The outcomes of an attempt. `rejected` is an answer other than 2xx, or a 2xx whose body fails the webhook's `success`;
 * redirects are not followed, so they are rejections too.
 * The next four are attempts without a usable answer (HttpFailure in platform/http-client.ts defines them). `not_sent`: the
 * body could not be rendered or the credentials could not be obtained.
 */
export const ATTEMPT_OUTCOMES = [
  'succeeded',
  'rejected',
  'timeout',
  'connection_failed',
  'target_refused',
  'invalid_response',
  'not_sent',
] as const
export type AttemptOutcome = (typeof ATTEMPT_OUTCOMES)[number]

/** The state of a delivery after an attempt; `reason` is one line without secrets. `keepsSlot`: it used up no slot. */
export type DeliveryState =
  | { status: 'succeeded'; nextAttemptAt: null; reason: null }
  | { status: 'pending'; nextAttemptAt: Date; reason: null; keepsSlot?: true }
  | { status: 'dead'; nextAttemptAt: null; reason: string }

/**
 * Seconds before each attempt, the first included: the example schedule of the Standard Webhooks specification
 * ("Deliverability and reliability"). Ten attempts over a little more than three days.
 */
export const RETRY_SCHEDULE_S: readonly number[] = [0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]

/**
 * A retry is delayed by up to this fraction of its slot, so that retries do not arrive all at once at a receiver that was
 * down. With this fraction waits never shrink: 72000 s and a fifth is 86400 s.
 */
export const JITTER = 0.2

/** The slot is multiplied by this after an attempt without an answer. */
export const UNANSWERED_FACTOR = 2

/** A Retry-After is followed up to this many seconds; a longer one counts as this. */
export const RETRY_AFTER_LIMIT_S = 24 * 3600
/** A shorter one, or a date in the past, counts as this many seconds. */
const RETRY_AFTER_LEAST_S = 1

const UNANSWERED: ReadonlySet<AttemptOutcome> = new Set(['timeout', 'connection_failed'])

/** What an attempt says of how many its receiver takes at once. */
export function resultFor({ outcome, statusCode }: Pick<Result, 'outcome' | 'statusCode'>): AttemptResult {
  if (outcome === 'succeeded') return 'succeeded'
  if (UNANSWERED.has(outcome)) return 'unanswered'
  return OVERLOADED.has(statusCode) ? 'overloaded' : 'failed'
}

/** RFC 9110 section 15.5.11 and Standard Webhooks: the receiver is gone and no more events are to be sent. */
const GONE = 410
/** RFC 6585 section 4 and RFC 9110 section 15.6.4: answers that are about load, and so is their Retry-After. */
const OVERLOADED: ReadonlySet<number | null> = new Set([429, 503])

/** Statuses that refuse a request for its content: of RFC 9110 section 15.5, and 431 of RFC 6585 section 5. */
const BODY_REFUSED: ReadonlySet<number | null> = new Set([400, 405, 406, 409, 411, 413, 414, 415, 422, 431])

/** What a failed attempt says something about. */
export function subjectOf({ outcome, statusCode, final }: Omit<Result, 'retryAfter'>): FailureSubject {
  if (outcome === 'not_sent' || outcome === 'target_refused') return 'relay'
  const isRefused = final !== undefined || BODY_REFUSED.has(statusCode)
  return outcome === 'rejected' && isRefused ? 'body' : 'receiver'
}

/** What a failed attempt failed with, in one line without secrets. */
export function failureText(attempt: {
  outcome: AttemptOutcome
  statusCode: number | null
  error: string | null
}): string {
  const { outcome, statusCode, error } = attempt
  const detail = error ?? (statusCode === null ? '' : `status ${statusCode}`)
  return detail === '' ? outcome : `${outcome}: ${detail}`
}

/** Standard Webhooks: only a 2xx acknowledges an event; `success` of a webhook may ask for more. */
export function outcomeOfStatus(statusCode: number): 'succeeded' | 'rejected' {
  return statusCode >= 200 && statusCode < 300 ? 'succeeded' : 'rejected'
}

/** RFC 9110 sections 15.6.3 and 15.6.5: a gateway's answer when it got none, or no valid one, from the receiver behind it. */
const GATEWAY_ANSWERS: ReadonlySet<number | null> = new Set([502, 504])

/** True unless the receiver certainly did not take the request: it was not sent, or was refused. */
export function mayBeTaken(attempt: {
  outcome: AttemptOutcome
  statusCode: number | null
  answerLost: boolean
}): boolean {
  return attempt.outcome === 'succeeded' || attempt.answerLost || GATEWAY_ANSWERS.has(attempt.statusCode)
}

/** True when the answer asks for no more events: the webhook is to be disabled. */
export function saysGone({ statusCode }: { statusCode: number | null }): boolean {
  return statusCode === GONE
}

/** The result of an attempt, as far as it decides about the next. */
export interface Result {
  outcome: AttemptOutcome
  statusCode: number | null
  /** The Retry-After header, if there was one. */
  retryAfter: string | null
  /** Why the same request can never succeed; undefined: it may. */
  final?: string
}

/**
 * The state of a delivery after an attempt.
 * @param attempt.attemptsInSchedule attempts since the schedule began, this one included (1 or more)
 * @param attempt.scheduleS seconds before each attempt, the first included
 * @param attempt.now when the attempt ended: slots are counted from there
 * @param attempt.random in [0, 1)
 */
export function nextState(attempt: {
  result: Result
  attemptsInSchedule: number
  scheduleS: readonly number[]
  now: Date
  random: number
}): DeliveryState {
  const { result, attemptsInSchedule, scheduleS, now, random } = attempt
  if (result.outcome === 'succeeded') return { status: 'succeeded', nextAttemptAt: null, reason: null }
  if (saysGone(result)) return { status: 'dead', nextAttemptAt: null, reason: 'the receiver answered 410 Gone' }
  if (result.final !== undefined) return { status: 'dead', nextAttemptAt: null, reason: result.final }
  const slotS = scheduleS[attemptsInSchedule]
  if (slotS === undefined) {
    const reason = `${attemptsInSchedule} attempts failed, the last one: ${result.outcome}`
    return { status: 'dead', nextAttemptAt: null, reason }
  }
  const requestedS = requestedWaitS(result, now)
  const waitMs = (requestedS ?? (UNANSWERED.has(result.outcome) ? slotS * UNANSWERED_FACTOR : slotS)) * 1000
  const nextAttemptAt = new Date(now.getTime() + waitMs + Math.floor(waitMs * JITTER * random))
  const keepsSlot = requestedS !== undefined && requestedS < slotS
  return { status: 'pending', nextAttemptAt, reason: null, ...(keepsSlot ? { keepsSlot } : {}) }
}

/** The seconds, 1 to `RETRY_AFTER_LIMIT_S`, that an overloaded receiver asks to be left alone; undefined when it does not. */
export function requestedWaitS({ statusCode, retryAfter }: Omit<Result, 'outcome'>, now: Date): number | undefined {
  const requestedS = OVERLOADED.has(statusCode) ? retryAfterS(retryAfter, now) : undefined
  if (requestedS === undefined) return undefined
  return Math.min(Math.max(requestedS, RETRY_AFTER_LEAST_S), RETRY_AFTER_LIMIT_S)
}

/**
 * The seconds that a Retry-After header asks for (RFC 9110 section 10.2.3: delay or date), not bounded; undefined when it is
 * neither.
 */
export function retryAfterS(header: string | null, now: Date): number | undefined {
  const text = header?.trim() ?? ''
  if (/^\d+$/.test(text)) return Number(text)
  const at = parseHttpDate(text, now)
  return at && Math.max(0, Math.ceil((at.getTime() - now.getTime()) / 1000))
}
