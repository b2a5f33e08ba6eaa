/**
 * When to try again, and when to stop. Pure: what happened, `now` and `random` in, the delivery's next state out.
 *
 * Promise: success is a 2xx and nothing else; a delivery that never succeeds is tried exactly as often as the schedule
 * has slots, then is dead; no retry comes earlier than the schedule says.
 *
 * A delivery (one event for one webhook) is in one of four states:
 *
 *   pending    Not decided yet. With a `next_attempt_at` it waits for that time. Without one it is held: its webhook is
 *              disabled, nothing is tried and no slot is used up, until the webhook is enabled and a time is set.
 *              Entered when the event is dispatched, and again by a retry by hand or a replay, which begin the schedule
 *              anew. Left only by an attempt's outcome or the webhook's deletion.
 *   succeeded  A receiver said 2xx. It may have said so to an earlier try whose answer was lost: at least once.
 *   dead       The schedule is used up. Kept, shown, and taken up again only by a person's retry or replay.
 *   dropped    The webhook was deleted while it was pending: there is nowhere left to send to.
 *
 *   pending ── 2xx ──────────────▶ succeeded      succeeded ─┐
 *   pending ── failed, slots left ▶ pending, later dead      ├─ retry by hand, replay ▶ pending, now
 *   pending ── failed, last slot ─▶ dead          dropped: final
 *   pending ── webhook deleted ───▶ dropped
 *
 * All failures are alike here: a refused target may be mended in the DNS as a 500 may be mended in the receiver.
 */

export const DELIVERY_STATUSES = ['pending', 'succeeded', 'dead', 'dropped'] as const
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number]

/**
 * What became of one attempt: `rejected` is an answer other than 2xx (a redirect too: none is followed), the last four
 * are no usable answer at all (HttpFailure in platform/http-client.ts says when each is met).
 */
export const ATTEMPT_OUTCOMES = [
  'succeeded',
  'rejected',
  'timeout',
  'connection_failed',
  'target_refused',
  'invalid_response',
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

/** Standard Webhooks: 2xx alone says that a receiver has taken the event. */
export function outcomeOfStatus(statusCode: number): 'succeeded' | 'rejected' {
  return statusCode >= 200 && statusCode < 300 ? 'succeeded' : 'rejected'
}

/**
 * The state of a delivery after an attempt.
 * @param attempt.attemptsInSchedule attempts since the schedule began, this one included (1 or more)
 * @param attempt.now when the attempt ended: slots are counted from there
 * @param attempt.random in [0, 1)
 */
export function nextState(attempt: {
  outcome: AttemptOutcome
  attemptsInSchedule: number
  now: Date
  random: number
}): DeliveryState {
  const { outcome, attemptsInSchedule, now, random } = attempt
  if (outcome === 'succeeded') return { status: 'succeeded', nextAttemptAt: null, reason: null }
  const slotS = RETRY_SCHEDULE_S[attemptsInSchedule]
  if (slotS === undefined) {
    const reason = `${attemptsInSchedule} attempts failed, the last one: ${outcome}`
    return { status: 'dead', nextAttemptAt: null, reason }
  }
  const slotMs = slotS * 1000
  const delayMs = slotMs + Math.floor(slotMs * JITTER * random)
  return { status: 'pending', nextAttemptAt: new Date(now.getTime() + delayMs), reason: null }
}
