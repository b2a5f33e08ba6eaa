/** What becomes of a message, whatever road it came by: the answer to its sender, and its line in the log. */
import type { FastifyBaseLogger } from 'fastify'
import { Type, type Static } from 'typebox'
import type { Accepted } from '../core/event/accept.js'
import { Refusal } from '../core/platform/errors.js'
import type { Metrics } from '../core/platform/metrics.js'

/** Within this time a sender has its answer: below the 10 s that are guaranteed, to leave time for the answer itself. */
export const DEADLINE_MS = 9000

export const Receipt = Type.Object({
  result: Type.String({ description: 'stored, duplicate, own, confirmed, pending or unsubscribed.' }),
  event_id: Type.Optional(Type.String({ description: 'The event that it became, the first of several.' })),
  event_ids: Type.Optional(
    Type.Array(Type.String(), { description: 'All of its events, where it holds several findings.' }),
  ),
})
export type Receipt = Static<typeof Receipt>

export function receiptOf({ result, event, eventIds }: Accepted): Receipt {
  return { result, event_id: event.id, ...(eventIds.length > 1 ? { event_ids: eventIds } : {}) }
}

/** The fields of a taken message's line. @param chars its length */
export function lineOf({ event, newValues }: Accepted, chars: number): Record<string, unknown> {
  const { type, source, alertId, sequence } = event
  return {
    ...{ type, source, alert_id: alertId },
    ...{ sequence: sequence === null ? null : Number(sequence), new_values: newValues, chars },
  }
}

/** Counts and logs why a message that was meant as a change is none. */
export function logTaken(
  log: FastifyBaseLogger,
  metrics: Pick<Metrics, 'countUnread'>,
  { line, unread, name }: { line: Record<string, unknown>; unread: Accepted['unread']; name: string },
): void {
  if (unread) metrics.countUnread(unread.reason)
  log[unread ? 'warn' : 'info']({ ...line, ...(unread ? { unread } : {}) }, name)
}

/** Turns an internal error into a 503, so that the sender repeats its message. */
export function undecidedUnlessRefused(error: unknown): never {
  if (error instanceof Refusal) throw error
  throw new Refusal('undecided', 'The message could not be stored now; send it again.', { cause: error })
}
