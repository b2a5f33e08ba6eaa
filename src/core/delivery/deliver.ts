/**
 * One attempt at one webhook and what it means for the delivery: what dispatch, delivery queues and a test share.
 *
 * Promise: it never throws for anything a receiver does.
 */
import type { FastifyBaseLogger } from 'fastify'
import { recallContext, type ChangeRef } from '../alert/alert-store.js'
import type { StoredEvent } from '../event/event.js'
import type { Queryable } from '../platform/database.js'
import type { JsonObject } from '../platform/json.js'
import type { Metrics } from '../platform/metrics.js'
import { tlsMaterialOf } from '../webhook/credentials.js'
import { formatEvent, withIndicators, type EventContent, type Coalesced } from '../format/body.js'
import type { WebhookOutcome } from '../circuit/transitions.js'
import { claimIndicators, findIndicators } from '../indicator/indicator-store.js'
import { selectIndicators } from '../indicator/once.js'
import type { Renderer } from '../format/render.js'
import { liveSecrets, type Target } from '../webhook/webhook.js'
import type { Authorizer } from './authorization.js'
import { notSent, type Attempt, type SendAttempt } from './attempt.js'
import { nextState, RETRY_SCHEDULE_S, saysGone, type DeliveryState } from './policy.js'

/** What is left of a try's time after a token was got, at least. */
const SHORTEST_TRY_MS = 1000
const UNAUTHORIZED = 401

export interface DeliverInput {
  target: Target
  event: StoredEvent
  /** The body of the format `change`, as `bodyFor` gives it. */
  body: JsonObject
  /** 1 for the first attempt of the delivery. */
  number: number
  /** The number of attempts made before the retry schedule last began. */
  scheduleStart: number
  /** True when somebody asked for the event to be sent again. */
  replay?: boolean
}

export interface Delivered {
  attempt: Attempt
  state: DeliveryState
}

export type Deliver = (input: DeliverInput) => Promise<Delivered>

export function createDeliver({
  sendAttempt,
  renderer,
  authorizer,
  log,
  metrics,
  now = () => new Date(),
  random = Math.random,
}: {
  sendAttempt: SendAttempt
  renderer: Renderer
  authorizer: Authorizer
  log: FastifyBaseLogger
  metrics: Metrics
  now?: () => Date
  random?: () => number
}): Deliver {
  async function tryOnce({ target, event, body, number, replay = false }: DeliverInput): Promise<Attempt> {
    const startedMs = performance.now()
    const rendered = await renderer.render(target, event, body, target.format_options)
    if (!rendered.ok) return notSent(number, now(), rendered.error)
    const { id, url, headers, auth, tls, timeout_ms: timeoutMs } = target
    const authorization = await authorizer.headersFor(id, auth, timeoutMs)
    if (!authorization.ok) return notSent(number, now(), authorization.error)
    const attempt = await sendAttempt({
      url,
      secrets: liveSecrets(target.secrets, now()),
      timeoutMs: Math.max(SHORTEST_TRY_MS, Math.round(timeoutMs - (performance.now() - startedMs))),
      event,
      number,
      replay,
      body: rendered.outgoing,
      headers: { ...headers, ...authorization.headers },
      tls: tlsMaterialOf(tls),
    })
    if (attempt.statusCode === UNAUTHORIZED) authorizer.forget(id, auth)
    return attempt
  }

  return async ({ target, event, body, number, scheduleStart, replay = false }) => {
    const attempt = await tryOnce({ target, event, body, number, scheduleStart, replay })
    const state = nextState({
      result: attempt,
      attemptsInSchedule: number - scheduleStart,
      scheduleS: target.retry_schedule_s ? [0, ...target.retry_schedule_s] : RETRY_SCHEDULE_S,
      now: now(),
      random: random(),
    })
    metrics.countAttempt(attempt.outcome, attempt.durationMs)
    if (state.status === 'succeeded') metrics.observeDelivery((now().getTime() - event.receivedAt.getTime()) / 1000)
    // that a first attempt succeeded is what is expected: the line of its dispatch is enough
    log[attempt.outcome === 'succeeded' && number === 1 ? 'debug' : 'info'](
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

/** The content of an event, and of earlier changes that are sent with it; the same at every call. */
export async function loadContent(db: Queryable, event: StoredEvent, folded?: Coalesced): Promise<EventContent> {
  const change = changeOf(event)
  const memory = change && (await recallContext(db, { ...change, earlier: folded?.sequences }))
  return formatEvent(event, memory, folded)
}

/** The change of an alert that an event is; undefined when it is none. */
export function changeOf({ alertId, sequence }: StoredEvent): ChangeRef | undefined {
  return alertId === null || sequence === null ? undefined : { alertId, sequence }
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
): Promise<JsonObject | undefined> {
  const { id: webhookId, once } = target
  if (!once) return content.body
  const own = await findIndicators(db, webhookId, event.id)
  if (own.length > 0) return withIndicators(content.body, own)
  const values = selectIndicators(content.carried, once)
  const claimed = await claimIndicators(db, webhookId, event.id, values, once, now)
  return claimed.length > 0 ? withIndicators(content.body, claimed) : undefined
}

/** What an attempt says of its webhook. */
export function outcomeFor(target: Target, { outcome, statusCode, error }: Attempt): WebhookOutcome {
  const said = error ?? (statusCode === null ? '' : `status ${statusCode}`)
  const failure =
    outcome === 'succeeded'
      ? null
      : { reason: said === '' ? outcome : `${outcome}: ${said}`, gone: saysGone({ statusCode }) }
  return { webhookId: target.id, state: target.state.state, failure }
}
