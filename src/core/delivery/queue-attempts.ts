/**
 * The attempts that one process makes at the deliveries of one delivery queue.
 *
 * Guarantee: every attempt that is started ends as one that is to be recorded, as a dropped delivery or as `failure`; its
 * place in the limiter is given back and the worker is signalled.
 */
import type { FastifyBaseLogger } from 'fastify'
import type { StoredEvent } from '../event/event.js'
import type { Database } from '../platform/database.js'
import type { Signal } from '../platform/signal.js'
import type { Target } from '../webhook/webhook.js'
import { logAttempt, type LoggedAttempt } from './attempt-log.js'
import { loadCoalesced } from './coalesce.js'
import { bytesOf, loadContent, type Recall } from './content.js'
import { bodyFor, withoutMessage, type Deliver, type Delivered } from './deliver.js'
import type { DueDelivery } from './delivery-queue-store.js'
import { dropDelivery } from './delivery-store.js'
import type { Limiter, Place } from './limiter.js'
import type { Pacer } from './pacer.js'
import { resultFor } from './policy.js'

/** `event`: without its message. */
export interface EndedDelivery extends Delivered, LoggedAttempt {
  target: Target
  event: StoredEvent
}

export interface QueueAttempts {
  /** How many attempts are in flight. */
  readonly size: number
  /** What an attempt failed with for a reason of this process, not of the receiver; undefined: none did. */
  readonly failure: unknown
  /** Starts an attempt. @returns false when the limiter has no place for it */
  start(target: Target, due: DueDelivery, ratePerSecond: number | null): boolean
  /** The deliveries in flight and those that are not recorded: in the database they are still due. */
  ids(): string[]
  /** Resolves when no attempt is in flight. */
  allEnded(): Promise<void>
  /** Takes the attempts that have ended: the caller records them. */
  takeEnded(): EndedDelivery[]
}

export interface QueueAttemptsOptions {
  database: Database
  recall: Recall
  deliver: Deliver
  limiter: Limiter
  pacer: Pacer
  webhookId: string
  log: FastifyBaseLogger
  /** Sent when an attempt has ended. */
  signal: Signal
}

export function createQueueAttempts(options: QueueAttemptsOptions): QueueAttempts {
  const { limiter, webhookId, signal } = options
  const inFlight = new Map<string, Promise<void>>()
  const ended: EndedDelivery[] = []
  let failure: unknown

  async function follow(
    attempted: Pick<EndedDelivery, 'deliveryId' | 'target' | 'event'>,
    attempt: Promise<Delivered | undefined>,
    place: Place,
  ): Promise<void> {
    try {
      const delivered = await attempt
      const result = delivered ? resultFor(delivered.attempt) : 'failed'
      limiter.release(webhookId, place, { result, latencyMs: delivered?.attempt.durationMs ?? 0 })
      if (delivered) {
        const one = { ...delivered, ...attempted }
        logAttempt(options.log, one)
        ended.push(one)
      }
    } catch (error) {
      limiter.release(webhookId, place, { result: 'failed', latencyMs: 0 })
      failure = error
    }
    inFlight.delete(attempted.deliveryId)
    signal.notify()
  }

  return {
    get size() {
      return inFlight.size
    },
    get failure() {
      return failure
    },
    start(target, due, ratePerSecond) {
      const { id: deliveryId, event } = due
      const place = limiter.tryAcquire(webhookId, bytesOf(target, event), target.max_in_flight)
      if (!place) return false
      const attempted = { deliveryId, target, event: withoutMessage(event) }
      inFlight.set(deliveryId, follow(attempted, attempt(options, target, due, ratePerSecond), place))
      return true
    },
    ids: () => [...inFlight.keys(), ...ended.map(({ deliveryId }) => deliveryId)],
    async allEnded() {
      await Promise.all(inFlight.values())
    },
    takeEnded: () => ended.splice(0),
  }
}

/** @returns undefined when the delivery was dropped and nothing sent */
async function attempt(
  options: QueueAttemptsOptions,
  target: Target,
  due: DueDelivery,
  ratePerSecond: number | null,
): Promise<Delivered | undefined> {
  const { event, attemptCount, scheduleStart, replay, cut } = due
  const input = { target, event, number: attemptCount + 1, scheduleStart, replay, cut }
  try {
    const body = await options.pacer.track(prepare(options, target, due, ratePerSecond))
    return body && options.deliver({ ...input, body })
  } catch (error) {
    // a database that is away concerns every delivery; one whose body cannot be read pays by its own schedule
    await options.database.ping()
    options.log.warn({ err: error, delivery_id: due.id, event_id: event.id }, 'a body could not be read')
    return options.deliver({ ...input, body: undefined, unreadable: 'its body could not be read from the database' })
  }
}

/** Makes the body, then waits for the slot of its attempt, so that the request follows the slot at once. */
async function prepare(
  { database, recall, pacer }: QueueAttemptsOptions,
  target: Target,
  { id, event, carries, spared }: DueDelivery,
  ratePerSecond: number | null,
) {
  const coalesced = carries ? await loadCoalesced(database, id) : undefined
  const content = await loadContent(database, event, { reader: target, coalesced, spared, recall })
  const body = await bodyFor(database, target, event, content, new Date())
  if (body) await pacer.waitForSlot(ratePerSecond)
  else await dropDelivery(database, id, 'its indicators were sent with other events', new Date())
  return body
}
