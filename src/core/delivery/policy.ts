/**
 * When to try again, and when to stop. Pure: what happened, `now` and `random` in, the delivery's next state out.
 *
 * Promise: success is a 2xx and nothing else; a delivery that never succeeds is tried exactly as often as the schedule
 * has slots, then is dead; no retry comes earlier than the schedule says.
 *
 * A delivery (one event for one webhook) is in one of five states:
 *
 *   pending    Not decided yet: its next attempt is due at `next_attempt_at`. When that time has come it is attempted as
 *              soon as its webhook's delivery queue allows: not while the webhook is disabled or its circuit is open (but for one
 *              probe at a time), not beyond its limits, not before an earlier change of the same alert where order is
 *              asked for. Waiting uses up no slot. Entered when the event is dispatched, and again by a retry by hand, a
 *              replay or a recovery, which begin the schedule anew. Left only by an attempt's outcome, by folding, or by
 *              the webhook's deletion.
 *   succeeded  A receiver said 2xx. It may have said so to an earlier try whose answer was lost: at least once.
 *   dead       The schedule is used up. Kept, shown, and taken up again only by a person.
 *   dropped    The webhook was deleted while it was pending: there is nowhere left to send to.
 *   folded     Its change is sent with a later one of the same alert (fold.ts), whose fate it shares.
 *
 *   pending ── 2xx ──────────────▶ succeeded      succeeded ─┐
 *   pending ── failed, slots left ▶ pending, later dead      ├─ retry by hand, replay ▶ pending, now
 *   pending ── failed, last slot ─▶ dead           folded    ┘
 *   pending ── 410 Gone ──────────▶ dead, and the webhook is disabled
 *   pending ── folded ────────────▶ folded         dropped: final
 *   pending ── webhook deleted ───▶ dropped
 *
 * Nearly all failures are alike: a refused target may be mended in the DNS as a 500 may be mended in the receiver. Those
 * from which nobody answered wait twice as long, since there is nobody to answer sooner; a receiver that says when to
 * come again (429 or 503 with Retry-After) is believed within bounds; one that says 410 Gone is left alone for good.
 */

export const DELIVERY_STATUSES = ['pending', 'succeeded', 'dead', 'dropped', 'folded'] as const
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number]

/**
 * What became of one attempt: `rejected` is an answer other than 2xx (a redirect too: none is followed), the next four are no
 * usable answer at all (HttpFailure in platform/http-client.ts says when each is met); `not_sent` is a body that could not be
 * made or credentials that could not be got.
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

/** What an attempt makes of its delivery; `reason` is one line for its record, without secrets. */
export type DeliveryState =
  | { status: 'succeeded'; nextAttemptAt: null; reason: null }
  | { status: 'pending'; nextAttemptAt: Date; reason: null }
  | { status: 'dead'; nextAttemptAt: null; reason: string }

/**
 * Seconds before each attempt, the first included: the example schedule of the Standard Webhooks specification
 * ("Deliverability and reliability"). Ten attempts over a little more than three days.
 */
export const RETRY_SCHEDULE_S: readonly number[] = [0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]

/**
 * A retry comes up to this fraction of its slot late, never early, so that a receiver that was down is not met by
 * everything at once. Late only, because then the schedule is a promise, and with this one waits never shrink:
 * 72000 s and a fifth is 86400 s.
 */
export const JITTER = 0.2

/** An attempt that nobody answered waits so many times its slot. */
export const UNANSWERED_FACTOR = 2

/** A Retry-After is believed up to twice the slot, or up to this long where that is more, in seconds. */
export const RETRY_AFTER_LIMIT_S = 3600

const UNANSWERED: ReadonlySet<AttemptOutcome> = new Set(['timeout', 'connection_failed'])

/** An outcome as the limiter counts it. */
export function resultFor(outcome: AttemptOutcome): 'succeeded' | 'failed' | 'unanswered' {
  if (outcome === 'succeeded') return 'succeeded'
  return UNANSWERED.has(outcome) ? 'unanswered' : 'failed'
}

/** RFC 9110 section 15.5.11 and Standard Webhooks: the receiver is gone and wants nothing more. */
const GONE = 410
/** RFC 6585 section 4 and RFC 9110 section 15.6.4: answers whose Retry-After is about load. */
const OVERLOADED: ReadonlySet<number | null> = new Set([429, 503])

/** Standard Webhooks: 2xx alone says that a receiver has taken the event. */
export function outcomeOfStatus(statusCode: number): 'succeeded' | 'rejected' {
  return statusCode >= 200 && statusCode < 300 ? 'succeeded' : 'rejected'
}

/** True when the receiver said that it wants nothing more: its webhook is to be disabled. */
export function saysGone({ statusCode }: { statusCode: number | null }): boolean {
  return statusCode === GONE
}

/** What an attempt came to. */
export interface Result {
  outcome: AttemptOutcome
  statusCode: number | null
  /** The Retry-After header, if there was one. */
  retryAfter: string | null
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
  const slotS = scheduleS[attemptsInSchedule]
  if (slotS === undefined) {
    const reason = `${attemptsInSchedule} attempts failed, the last one: ${result.outcome}`
    return { status: 'dead', nextAttemptAt: null, reason }
  }
  const waitMs = waitS(result, slotS, now) * 1000
  const delayMs = waitMs + Math.floor(waitMs * JITTER * random)
  return { status: 'pending', nextAttemptAt: new Date(now.getTime() + delayMs), reason: null }
}

/** How long to wait, without jitter: never shorter than the slot. */
function waitS({ outcome, statusCode, retryAfter }: Result, slotS: number, now: Date): number {
  if (UNANSWERED.has(outcome)) return slotS * UNANSWERED_FACTOR
  const askedS = OVERLOADED.has(statusCode) ? retryAfterS(retryAfter, now) : undefined
  if (askedS === undefined) return slotS
  return Math.min(Math.max(askedS, slotS), Math.max(slotS * 2, RETRY_AFTER_LIMIT_S))
}

/** Seconds that a Retry-After asks for (RFC 9110 section 10.2.3): a number of them, or a date; undefined for anything else. */
export function retryAfterS(header: string | null, now: Date): number | undefined {
  const text = header?.trim() ?? ''
  if (/^\d{1,9}$/.test(text)) return Number(text)
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, Math.ceil((at - now.getTime()) / 1000))
}
