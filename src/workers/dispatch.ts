/**
 * The dispatch queue: one job per batch of events.
 *
 * Promise: when a job is done, every enabled webhook that wants an event of it was tried or has a delivery that waits in its
 * delivery queue, and that is written. A job that dies half-way is done again from the start: a receiver may get an event twice,
 * never not at all. An event that cannot be dispatched now holds up no other: upkeep brings it back.
 *
 * A webhook that is well and has no limits of its own is tried at once. What has a limit, an order, an open circuit or finds
 * no place at the limiter soon waits in its delivery queue. A receiver that does not answer soon keeps nobody waiting: its delivery is
 * written as under way, until the attempt must be over, and the outcome follows when it is there.
 */
import { Semaphore } from 'async-mutex'
import type { FastifyBaseLogger } from 'fastify'
import { recallContexts, type AlertMemory } from '../core/alert/alert-store.js'
import { bodyFor, changeOf, outcomeFor, type Deliver, type Delivered } from '../core/delivery/deliver.js'
import {
  recordAttempts,
  recordDispatches,
  type Dispatched,
  type EndedAttempt,
} from '../core/delivery/delivery-store.js'
import type { Limiter } from '../core/delivery/limiter.js'
import type { DeliveryQueues } from '../core/delivery/delivery-queues.js'
import { resultFor } from '../core/delivery/policy.js'
import type { StoredEvent } from '../core/event/event.js'
import { findUndispatched } from '../core/event/event-store.js'
import { createBatcher } from '../core/platform/batcher.js'
import type { Database } from '../core/platform/database.js'
import { newId } from '../core/platform/id.js'
import type { Metrics } from '../core/platform/metrics.js'
import { createDeadline, type Deadline } from '../core/platform/deadline.js'
import { retryWhileUnavailable } from '../core/platform/retry.js'
import { batchOf, leaveToUpkeep, type Batch, type Queues } from '../core/platform/queues.js'
import { inSpan } from '../core/platform/tracing.js'
import { wantsBody, wantsEvent } from '../core/webhook/selection.js'
import { formatEvent, type EventContent } from '../core/format/body.js'
import type { CircuitTransitions } from '../core/circuit/transitions.js'
import type { Registry } from '../core/webhook/registry.js'
import type { Target } from '../core/webhook/webhook.js'

export interface DispatchOptions {
  database: Database
  queues: Pick<Queues, 'addDispatches' | 'addWakes'>
  registry: Registry
  deliver: Deliver
  circuit: CircuitTransitions
  limiter: Limiter
  deliveryQueues: Pick<DeliveryQueues, 'wake'>
  metrics: Pick<Metrics, 'observeDispatch'>
  log: FastifyBaseLogger
}

export interface Dispatcher {
  dispatch(batch: Batch): Promise<void>
  /** Waits for the attempts whose jobs did not wait for them. */
  close(): Promise<void>
}

/** A job waits so long for answers: most receivers have answered by then, and their outcome is written with the event. */
const ANSWERS_MS = 150
/** When no attempt began or ended for so long, the next step begins beside those that wait. */
const STEP_MS = 15
/** After its timeout and this long an attempt is given up: its process died. */
const MARGIN_MS = 5_000

/** Small batches that came meanwhile are worked on together: so many events; so many such rounds are begun at once. */
const ROUNDS = { maxWeight: 64, concurrency: 2 }
/** Deliveries that are begun, and written, together: the events of a round that many webhooks want go in several steps. */
const MOST_PARTS = 256
/** Events and deliveries under way, in all steps: beyond them no other step begins. */
const MOST_UNDER_WAY = 512
const WRITES = { maxWeight: 100, concurrency: 2 }

/** One webhook's part in a dispatch. */
interface Part {
  target: Target
  deliveryId: string
  /** Undefined: it waits in its delivery queue. */
  attempt: Promise<Delivered> | undefined
  /** Once it is there. */
  delivered: Delivered | undefined
}

/** An event that is to be dispatched, and the webhooks that may want it. */
interface Work {
  event: StoredEvent
  wanted: Target[]
  /** Until the body is made of it. */
  memory: AlertMemory | undefined
}

export function createDispatcher(options: DispatchOptions): Dispatcher {
  const { database, metrics, log } = options
  const late = new Set<Promise<void>>()
  const underWay = new Semaphore(MOST_UNDER_WAY)
  const begin = createBatcher(
    async (batches: Batch[]) => {
      const works = await loadWork(
        options,
        batches.map(({ batchId }) => batchId),
      )
      const steps: Promise<void>[] = []
      for (const step of stepsOf(works)) {
        // an event that more webhooks want than may be under way has the semaphore to itself
        const weight = Math.min(sizeOf(step), MOST_UNDER_WAY)
        await underWay.acquire(weight)
        const deadline = createDeadline(STEP_MS)
        const ended = dispatchTogether(step, deadline).finally(() => underWay.release(weight))
        steps.push(ended)
        await deadline.race(ended)
        deadline.end()
      }
      const finished = Promise.all(steps)
      return batches.map(() => ({ finished }))
    },
    { ...ROUNDS, weightOf: ({ size }) => size },
  )
  const writeLate = createBatcher(async (ended: EndedAttempt[]) => {
    await retryWhileUnavailable(() => recordAttempts(database, ended, new Date()))
    return ended
  }, WRITES)

  async function dispatchTogether(works: readonly Work[], step: Deadline): Promise<void> {
    const answers = createDeadline(ANSWERS_MS)
    const begun = await Promise.all(works.map((work) => tryEvent(work, answers, step)))
    answers.end()
    const done = begun.filter((dispatch) => dispatch !== undefined)
    const now = new Date()
    const records = done.map(({ event, parts }) => ({ event, results: parts.map((part) => dispatched(part, now)) }))
    const parts = done.flatMap(({ parts }) => parts)
    const ended = parts.filter(({ delivered }) => delivered)
    const others = parts.filter(({ delivered }) => !delivered)
    await retryWhileUnavailable(() => recordDispatches(database, records, now))
    for (const { event } of done) metrics.observeDispatch((Date.now() - event.receivedAt.getTime()) / 1000)
    if (parts.length > 0) {
      const events = done.filter(({ parts }) => parts.length > 0)
      const succeeded = ended.filter(({ delivered }) => delivered?.state.status === 'succeeded').length
      log.info({ event_ids: events.map(({ event }) => event.id), deliveries: parts.length, succeeded }, 'dispatched')
    }
    for (const part of others) {
      if (part.attempt) follow(part, part.attempt)
      else options.deliveryQueues.wake(part.target.id)
    }
    await conclude(options, ended)
  }

  /** Tries the webhooks that want an event. @returns undefined when that failed for a reason of ours */
  async function tryEvent(work: Work, answers: Deadline, step: Deadline) {
    const { event, wanted } = work
    const attributes = () => ({ 'alert_relay.event.id': event.id })
    const on = {
      begin() {
        answers.extend()
        step.extend()
      },
      end: () => step.extend(),
    }
    try {
      const parts = await inSpan({ name: 'dispatch event', parent: event.traceparent, attributes }, async () => {
        if (wanted.length === 0) return []
        const content = formatEvent(event, work.memory)
        work.memory = undefined
        const targets = wanted.filter((target) => wantsBody(target, content))
        const parts = await Promise.all(targets.map((target) => tryTarget(options, target, event, content, on)))
        const begun = parts.filter((part) => part !== undefined)
        await answers.race(Promise.all(begun.map(({ attempt }) => attempt)))
        return begun
      })
      return { event, parts }
    } catch (error) {
      log.warn({ err: error, event_id: event.id }, 'not dispatched now: upkeep brings it back')
      return undefined
    }
  }

  /** Writes what an attempt came to that its job did not wait for. */
  function follow(part: Part, attempt: Promise<Delivered>): void {
    const work = attempt
      .then(async (delivered) => {
        await writeLate({ deliveryId: part.deliveryId, ...delivered })
        await conclude(options, [{ ...part, delivered }])
      })
      .catch((error: unknown) => log.warn({ err: error, delivery_id: part.deliveryId }, 'not recorded: tried again'))
      .finally(() => late.delete(work))
    late.add(work)
  }

  return {
    async dispatch(batch) {
      const { finished } = await begin(batch)
      await finished
    },
    async close() {
      await Promise.all(late)
    },
  }
}

/** Loads what the dispatch of several batches needs: of their events, those that are not dispatched. */
async function loadWork({ database, registry }: DispatchOptions, batchIds: string[]): Promise<Work[]> {
  const [{ enabled }, events] = await Promise.all([registry.current(), findUndispatched(database, batchIds)])
  const works = events.map(({ event, recorded }) => ({
    event,
    wanted: enabled.filter((target) => wantsEvent(target, event) && !recorded.includes(target.id)),
  }))
  const changes = works.flatMap(({ event, wanted }) => (wanted.length > 0 ? (changeOf(event) ?? []) : []))
  const memories = changes.length === 0 ? [] : await recallContexts(database, changes)
  return works.map((work) => ({
    ...work,
    memory: work.wanted.length > 0 && changeOf(work.event) ? memories.shift() : undefined,
  }))
}

/** Works in their order, so many at a time that their parts are few enough. */
function stepsOf(works: readonly Work[]): Work[][] {
  const steps: Work[][] = []
  let parts = Infinity
  for (const work of works) {
    parts += sizeOf([work])
    if (parts > MOST_PARTS) {
      steps.push([])
      parts = sizeOf([work])
    }
    steps.at(-1)!.push(work)
  }
  return steps
}

/** An event that nobody wants is something to do too. */
function sizeOf(works: readonly Work[]): number {
  return works.reduce((sum, { wanted }) => sum + Math.max(1, wanted.length), 0)
}

/** Begins an attempt, if it may be made now. Undefined when every indicator in the event was sent to the webhook before. */
async function tryTarget(
  { database, deliver, limiter }: DispatchOptions,
  target: Target,
  event: StoredEvent,
  content: EventContent,
  on: { begin(): void; end(): void },
): Promise<Part | undefined> {
  const body = await bodyFor(database, target, event, content, new Date())
  if (!body) return undefined
  const part: Part = { target, deliveryId: newId('dlv'), attempt: undefined, delivered: undefined }
  if (!isFree(target) || !(await limiter.acquire(target.id))) return part
  on.begin()
  part.attempt = deliver({ target, event, body, number: 1, scheduleStart: 0 }).then((delivered) => {
    limiter.release(target.id, resultFor(delivered.attempt.outcome))
    on.end()
    return (part.delivered = delivered)
  })
  return part
}

/** True for a webhook that may be tried from anywhere at any time: nothing is to be kept between its deliveries. */
function isFree({ max_in_flight: maxInFlight, rate_per_second: rate, order, coalesce, state }: Target): boolean {
  return maxInFlight === null && rate === null && order === 'none' && !coalesce && state.state === 'healthy'
}

function dispatched({ target, deliveryId, attempt, delivered }: Part, now: Date): Dispatched {
  const part = { deliveryId, webhookId: target.id }
  if (delivered) return { ...part, ...delivered, sealed: true }
  // What a webhook that coalesces waits with may yet become part of another delivery.
  const overMs = attempt ? target.timeout_ms + MARGIN_MS : 0
  const state = { status: 'pending' as const, nextAttemptAt: new Date(now.getTime() + overMs), reason: null }
  return { ...part, state, attempt: undefined, sealed: attempt !== undefined || !target.coalesce }
}

/** What ended attempts mean beyond their deliveries: the health of their webhooks, and when their delivery queues look again. */
async function conclude({ queues, circuit, log }: DispatchOptions, parts: readonly Part[]): Promise<void> {
  const ended = parts.flatMap(({ target, delivered }) => (delivered ? [{ target, ...delivered }] : []))
  const notices = await retryWhileUnavailable(() =>
    circuit.record(ended.map(({ target, attempt }) => outcomeFor(target, attempt))),
  )
  await leaveToUpkeep(queues.addDispatches(notices.map(batchOf)), log)
  const wakes = ended.flatMap(({ target, state: { nextAttemptAt: at } }) => (at ? [{ webhookId: target.id, at }] : []))
  await leaveToUpkeep(queues.addWakes(wakes), log)
}
