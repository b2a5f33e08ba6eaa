/**
 * The dispatch of one event to one webhook: a first attempt now where that is allowed, otherwise a delivery that waits in
 * the webhook's delivery queue.
 */
import { isUnrestricted } from '../core/circuit/health.js'
import { bodyFor, type Deliver, type Delivered } from '../core/delivery/deliver.js'
import type { Dispatched } from '../core/delivery/delivery-store.js'
import { bytesOf } from '../core/delivery/content.js'
import type { Limiter } from '../core/delivery/limiter.js'
import { resultFor } from '../core/delivery/policy.js'
import type { StoredEvent } from '../core/event/event.js'
import type { EventContent } from '../core/format/body.js'
import type { Database } from '../core/platform/database.js'
import { newId } from '../core/platform/id.js'
import { sealsLate } from '../core/webhook/alert-changes.js'
import { rateOf, type Target } from '../core/webhook/webhook.js'

/** After its timeout and this long, an attempt is taken for lost with its process. */
const MARGIN_MS = 5_000

export interface TargetDispatch {
  target: Target
  event: StoredEvent
  deliveryId: string
  /** Undefined: the delivery waits in its queue. */
  attempt: Promise<Delivered> | undefined
  /** The result of the attempt, once it has ended. */
  delivered: Delivered | undefined
}

export interface TargetDispatchOptions {
  database: Database
  deliver: Deliver
  limiter: Limiter
}

export interface AttemptHooks {
  /** False: no attempt may begin any more. */
  mayStart(): boolean
  /** Called at the start and at the end of an attempt. */
  onStart(): void
  onEnd(): void
}

/**
 * Starts an attempt if one may be made now.
 * @returns undefined when every indicator in the event was sent to the webhook before: there is no delivery
 */
export async function dispatchToTarget(
  { database, deliver, limiter }: TargetDispatchOptions,
  { target, event, content }: { target: Target; event: StoredEvent; content: EventContent },
  { mayStart, onStart, onEnd }: AttemptHooks,
): Promise<TargetDispatch | undefined> {
  const body = await bodyFor(database, target, event, content, new Date())
  if (!body) return undefined
  const ids = { target, event, deliveryId: newId('dlv') }
  const dispatch: TargetDispatch = { ...ids, attempt: undefined, delivered: undefined }
  const place = isFree(target) && mayStart() ? await limiter.acquire(target.id, bytesOf(target, event)) : undefined
  if (!place) return dispatch
  onStart()
  dispatch.attempt = deliver({ target, event, body, number: 1, scheduleStart: 0 }).then((delivered) => {
    const { attempt } = delivered
    limiter.release(target.id, place, { result: resultFor(attempt), latencyMs: attempt.durationMs })
    onEnd()
    return (dispatch.delivered = delivered)
  })
  return dispatch
}

/** True for a webhook that any process may send to at any time, since no limit, order, hold or circuit applies to it. */
function isFree(target: Target): boolean {
  const isLimited = target.max_in_flight !== null || rateOf(target) !== null
  return !isLimited && target.order === 'none' && !sealsLate(target) && isUnrestricted(target.state)
}

/** What is recorded of a dispatch while its attempt has ended, is in flight, or waits. */
export function recordOf({ target, deliveryId, attempt, delivered }: TargetDispatch, now: Date): Dispatched {
  const ids = { deliveryId, webhookId: target.id }
  if (delivered) return { ...ids, ...delivered, sealed: true }
  const dueInMs = attempt ? target.timeout_ms + MARGIN_MS : 0
  const state = { status: 'pending' as const, nextAttemptAt: new Date(now.getTime() + dueInMs), reason: null }
  // what a delivery that waits carries or counts is not final yet, if its webhook asks for that
  return { ...ids, state, attempt: undefined, sealed: attempt !== undefined || !sealsLate(target) }
}
