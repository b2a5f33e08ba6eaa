/** What the log says of an attempt that ended, and of a delivery that died. */
import type { FastifyBaseLogger } from 'fastify'
import type { StoredEvent } from '../event/event.js'
import type { Metrics } from '../platform/metrics.js'
import { traceFields } from '../platform/tracing.js'
import type { Webhook } from '../webhook/webhook.js'
import type { Attempt } from './attempt.js'
import { failureText, type DeliveryState } from './policy.js'

/** An attempt that ended, and the state that its delivery has since. */
export interface LoggedAttempt {
  deliveryId: string
  target: Pick<Webhook, 'id' | 'name'>
  event: Pick<StoredEvent, 'id' | 'traceparent'>
  attempt: Attempt
  state: DeliveryState
}

/** Writes the line of an attempt. @param level `debug` for one that another line tells of */
export function logAttempt(log: FastifyBaseLogger, one: LoggedAttempt, level: 'info' | 'debug' = 'info'): void {
  const { attempt, state } = one
  const { number, outcome, statusCode, error, durationMs } = attempt
  log[level](
    {
      ...idsOf(one),
      attempt: number,
      outcome,
      status_code: statusCode,
      error,
      duration_ms: durationMs,
      delivery_status: state.status,
      next_attempt_at: state.nextAttemptAt,
      ...(state.reason === null ? {} : { reason: state.reason }),
    },
    'attempt',
  )
}

/** Counts the deliveries that died with their last attempts, and warns of each: nothing sends them again by itself. */
export function reportDeaths(
  { log, metrics }: { log: FastifyBaseLogger; metrics: Pick<Metrics, 'countDead'> },
  recorded: readonly LoggedAttempt[],
): void {
  for (const one of recorded) {
    const { target, attempt, state } = one
    if (state.status !== 'dead') continue
    metrics.countDead(target)
    const last = { attempts: attempt.number, reason: state.reason, last_failure: failureText(attempt) }
    log.warn({ ...idsOf(one), ...last }, 'delivery is dead')
  }
}

function idsOf({ deliveryId, target, event }: LoggedAttempt) {
  return {
    event_id: event.id,
    delivery_id: deliveryId,
    webhook_id: target.id,
    webhook: target.name,
    ...traceFields(event.traceparent),
  }
}
