/**
 * One attempt at one webhook and what it means for the delivery: what the dispatch and retry workers and a test share.
 *
 * Promise: it never throws for anything a receiver does, and no more than `MAX_ATTEMPTS_IN_FLIGHT` attempts are under way
 * in a process; the others wait their turn.
 */
import type { FastifyBaseLogger } from 'fastify'
import pLimit from 'p-limit'
import { recallContext } from '../alert/alert-store.js'
import type { StoredEvent } from '../event/event.js'
import type { Queryable } from '../platform/database.js'
import type { Metrics } from '../platform/metrics.js'
import { formatEvent, type EventContent, type Outgoing } from '../webhook/format.js'
import { claimIndicators, findIndicators } from '../webhook/indicator-store.js'
import { selectIndicators } from '../webhook/once.js'
import { disableWebhook } from '../webhook/webhook-store.js'
import { liveSecrets, type Target } from '../webhook/webhook.js'
import type { Attempt, SendAttempt } from './attempt.js'
import { nextState, RETRY_SCHEDULE_S, saysGone, type DeliveryState } from './policy.js'

const MAX_ATTEMPTS_IN_FLIGHT = 256

export interface DeliverInput {
  target: Target
  event: StoredEvent
  body: Outgoing
  /** 1 for the first attempt of the delivery. */
  number: number
  /** The number of attempts made before the retry schedule last began. */
  scheduleStart: number
}

export interface Delivered {
  attempt: Attempt
  state: DeliveryState
}

export type Deliver = (input: DeliverInput) => Promise<Delivered>

export function createDeliver({
  sendAttempt,
  log,
  metrics,
  now = () => new Date(),
  random = Math.random,
}: {
  sendAttempt: SendAttempt
  log: FastifyBaseLogger
  metrics: Metrics
  now?: () => Date
  random?: () => number
}): Deliver {
  const turn = pLimit(MAX_ATTEMPTS_IN_FLIGHT)
  return async ({ target, event, body, number, scheduleStart }) => {
    const attempt = await turn(() =>
      sendAttempt({
        url: target.url,
        secrets: liveSecrets(target.secrets, now()),
        timeoutMs: target.timeout_ms,
        event,
        number,
        body,
      }),
    )
    const state = nextState({
      result: attempt,
      attemptsInSchedule: number - scheduleStart,
      scheduleS: target.retry_schedule_s ? [0, ...target.retry_schedule_s] : RETRY_SCHEDULE_S,
      now: now(),
      random: random(),
    })
    metrics.countAttempt(attempt.outcome, attempt.durationMs)
    if (state.status === 'succeeded') metrics.observeDelivery((now().getTime() - event.receivedAt.getTime()) / 1000)
    log.info(
      {
        event_id: event.id,
        webhook_id: target.id,
        attempt: number,
        outcome: attempt.outcome,
        status_code: attempt.statusCode,
        error: attempt.error,
        duration_ms: attempt.durationMs,
        delivery_status: state.status,
        next_attempt_at: state.nextAttemptAt,
      },
      'attempt',
    )
    return { attempt, state }
  }
}

/** The content of an event, the same at every call. */
export async function loadContent(db: Queryable, event: StoredEvent): Promise<EventContent> {
  const { alertId, sequence } = event
  const memory = alertId === null || sequence === null ? undefined : await recallContext(db, alertId, sequence)
  return formatEvent(event, memory)
}

/**
 * The body of an event for one webhook. With `once`, the indicators that belong to this event are taken again, or those
 * that are free are claimed for it.
 * @returns undefined when the webhook was sent all of them before: it is to get nothing
 */
export async function bodyFor(
  db: Queryable,
  target: Target,
  event: StoredEvent,
  content: EventContent,
  now: Date,
): Promise<Outgoing | undefined> {
  const { id: webhookId, once } = target
  if (!once) return content.body
  const own = await findIndicators(db, webhookId, event.id)
  if (own.length > 0) return content.bodyWith(own)
  const values = selectIndicators(content.carried, once)
  const claimed = await claimIndicators(db, webhookId, event.id, values, once, now)
  return claimed.length > 0 ? content.bodyWith(claimed) : undefined
}

/** A receiver that answers 410 Gone is left alone until an operator enables its webhook again. */
export async function disableIfGone(db: Queryable, webhookId: string, attempt: Attempt, now: Date): Promise<void> {
  if (saysGone(attempt)) await disableWebhook(db, webhookId, 'the receiver answered 410 Gone', now)
}
