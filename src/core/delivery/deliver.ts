/**
 * One attempt at a delivery and the state that follows from it, for dispatch, delivery queues and tests of a webhook.
 *
 * Guarantee: it never throws for anything a receiver does. It writes no log: its callers know the delivery (attempt-log.ts).
 */
import type { StoredEvent } from '../event/event.js'
import type { Database } from '../platform/database.js'
import type { JsonObject } from '../platform/json.js'
import type { Metrics } from '../platform/metrics.js'
import { tlsMaterialOf } from '../webhook/credentials.js'
import { withIndicators, type Cut, type EventContent } from '../format/body.js'
import type { WebhookOutcome } from '../circuit/transitions.js'
import { claimIndicators, findIndicators } from '../indicator/indicator-store.js'
import { selectIndicators } from '../indicator/once.js'
import type { Renderer } from '../format/render.js'
import { liveSecrets, type Target } from '../webhook/webhook.js'
import type { Authorizer } from './authorization.js'
import { maxBodyBytes, notSent, type Attempt, type SendAttempt } from './attempt.js'
import { secretTexts } from './echo.js'
import {
  failureText,
  nextState,
  requestedWaitS,
  RETRY_SCHEDULE_S,
  saysGone,
  subjectOf,
  type DeliveryState,
} from './policy.js'

/** The least time for the request itself, however long rendering the body and obtaining the token took. */
const MIN_REQUEST_MS = 1000
const UNAUTHORIZED = 401
/** RFC 9110 section 15.5.14: the receiver takes no content of this size. */
const TOO_LARGE = 413

/** An attempt, and how much of the body it left out. */
interface AttemptMade {
  attempt: Attempt
  sent: Cut
}

function more(cut: Cut): Cut {
  return cut === 0 ? 1 : 2
}

export interface DeliverInput {
  target: Target
  event: StoredEvent
  /**
   * The body in the format `change`, from `bodyFor`; it is rendered in the webhook's format. Then it is taken out of the
   * input, and so is the message of the event: they would be held until the answer is there.
   */
  body: JsonObject | undefined
  /** 1 for the first attempt of the delivery. */
  number: number
  /** The number of attempts made before the retry schedule last started. */
  scheduleStart: number
  /** True when the event is sent again by a replay or a recovery. */
  replay?: boolean
  /** How much of the body is left out at least: an earlier attempt was refused as too large. */
  cut?: Cut
  /** Why there is no body to send; set where `body` is undefined. */
  unreadable?: string
}

export interface Delivered {
  attempt: Attempt
  state: DeliveryState
  /** How much of the body the next attempt leaves out at least. */
  cut: Cut
}

export type Deliver = (input: DeliverInput) => Promise<Delivered>

export function createDeliver({
  sendAttempt,
  renderer,
  authorizer,
  metrics,
  now = () => new Date(),
  random = Math.random,
}: {
  sendAttempt: SendAttempt
  renderer: Renderer
  authorizer: Authorizer
  metrics: Metrics
  now?: () => Date
  random?: () => number
}): Deliver {
  async function attemptOnce(input: DeliverInput): Promise<AttemptMade> {
    const { target, number, replay = false, cut = 0, unreadable } = input
    if (input.body === undefined) return { attempt: notSent(number, now(), unreadable ?? 'no body'), sent: cut }
    const startedMs = performance.now()
    const limits = { maxBytes: maxBodyBytes(target, input.event), cut }
    const rendered = await renderer.render(target, input.event, input.body, target.format_options, limits)
    input.body = undefined
    input.event = withoutMessage(input.event)
    if (!rendered.ok) return { attempt: notSent(number, now(), rendered.error), sent: cut }
    const { id, url, headers, auth, tls, timeout_ms: timeoutMs } = target
    const authorization = await authorizer.headersFor(id, auth, timeoutMs)
    if (!authorization.ok) return { attempt: notSent(number, now(), authorization.error), sent: cut }
    const attempt = await sendAttempt({
      url,
      secrets: liveSecrets(target.secrets, now()),
      timeoutMs: Math.max(MIN_REQUEST_MS, Math.round(timeoutMs - (performance.now() - startedMs))),
      event: input.event,
      number,
      replay,
      body: rendered.outgoing,
      headers: { ...headers, ...authorization.headers },
      secretTexts: secretTexts(target, authorization.headers),
      tls: tlsMaterialOf(tls),
      success: target.successCondition,
    })
    if (attempt.statusCode === UNAUTHORIZED) authorizer.forget(id, auth)
    return { attempt, sent: rendered.outgoing.cut }
  }

  return async (input) => {
    const { target, number, scheduleStart, cut = 0 } = input
    const { receivedAt } = input.event
    const { attempt, sent } = await attemptOnce(input)
    const state = nextState({
      result: attempt,
      attemptsInSchedule: number - scheduleStart,
      scheduleS: target.retry_schedule_s ? [0, ...target.retry_schedule_s] : RETRY_SCHEDULE_S,
      now: now(),
      random: random(),
    })
    metrics.countAttempt(attempt.outcome, attempt.durationMs, target)
    if (state.status === 'succeeded') metrics.observeDelivery((now().getTime() - receivedAt.getTime()) / 1000)
    return { attempt, state, cut: attempt.statusCode === TOO_LARGE ? more(sent) : cut }
  }
}

/** An event as it is held while the answer to its attempt is awaited. */
export function withoutMessage(event: StoredEvent): StoredEvent {
  return { ...event, payload: '', change: null }
}

/**
 * The body of an event for one webhook. With `once`, it has the indicators that were claimed for this event before, or
 * claims those that are free.
 * @returns undefined when all its indicators were sent with other events: nothing is to be sent
 */
export async function bodyFor(
  db: Database,
  target: Target,
  event: StoredEvent,
  content: EventContent,
  now: Date,
): Promise<JsonObject | undefined> {
  const { id: webhookId, once } = target
  if (!once) return content.body
  const earlier = await findIndicators(db, webhookId, event.id)
  if (earlier.length > 0) return withIndicators(content.body, earlier)
  const values = selectIndicators(content.carried, once)
  const claimed = await claimIndicators(db, webhookId, event.id, values, once, now)
  return claimed.length > 0 ? withIndicators(content.body, claimed) : undefined
}

/** The outcome of an attempt for the webhook's circuit. */
export function outcomeFor({ id: webhookId, state: health }: Target, attempt: Attempt): WebhookOutcome {
  const { outcome, statusCode, startedAt, durationMs } = attempt
  if (outcome === 'succeeded') return { webhookId, health, failure: null }
  const reason = failureText(attempt)
  const endedAt = new Date(startedAt.getTime() + durationMs)
  const waitS = requestedWaitS(attempt, endedAt)
  const resumeAt = waitS === undefined ? null : new Date(endedAt.getTime() + waitS * 1000)
  const failure = { reason, gone: saysGone({ statusCode }), subject: subjectOf(attempt), resumeAt }
  return { webhookId, health, failure }
}
