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
import { formatBody } from '../webhook/format.js'
import { liveSecrets, type Target } from '../webhook/webhook.js'
import type { Attempt, SendAttempt } from './attempt.js'
import { nextState, type DeliveryState } from './policy.js'

const MAX_ATTEMPTS_IN_FLIGHT = 256

export interface DeliverInput {
  target: Target
  eventId: string
  body: string
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
  now = () => new Date(),
  random = Math.random,
}: {
  sendAttempt: SendAttempt
  log: FastifyBaseLogger
  now?: () => Date
  random?: () => number
}): Deliver {
  const turn = pLimit(MAX_ATTEMPTS_IN_FLIGHT)
  return async ({ target, eventId, body, number, scheduleStart }) => {
    const attempt = await turn(() =>
      sendAttempt({
        url: target.url,
        secrets: liveSecrets(target.secrets, now()),
        timeoutMs: target.timeout_ms,
        eventId,
        number,
        body,
      }),
    )
    const state = nextState({
      outcome: attempt.outcome,
      attemptsInSchedule: number - scheduleStart,
      now: now(),
      random: random(),
    })
    log.info(
      {
        event_id: eventId,
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

/** The body of an event, the same at every call. */
export async function loadBody(db: Queryable, event: StoredEvent): Promise<string> {
  const { alertId, sequence } = event
  const memory = alertId === null || sequence === null ? undefined : await recallContext(db, alertId, sequence)
  return formatBody(event, memory)
}
