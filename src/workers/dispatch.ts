/**
 * Dispatches batches of events: those of the jobs of the dispatch queue, and those that this process has claimed.
 *
 * Guarantee: when a batch is done, every enabled webhook that wants an event of its batch has a delivery of it in the database,
 * attempted or pending. A job whose process dies is done again from the start: a receiver may get an event twice, but never
 * misses it. A claimed batch whose process dies gets a job. An event that cannot be dispatched now delays no other; upkeep queues it again.
 *
 * A healthy webhook without limits is attempted at once. Deliveries for a webhook with limits, an order or an open circuit,
 * or without a free slot of the limiter, wait in its delivery queue. An attempt that gets no answer soon is recorded as
 * pending, due when it must have ended, and its outcome is recorded when it ends.
 */
import { Semaphore } from 'async-mutex'
import type { FastifyBaseLogger } from 'fastify'
import { logAttempt, reportDeaths, type LoggedAttempt } from '../core/delivery/attempt-log.js'
import { outcomeFor, withoutMessage, type Deliver, type Delivered } from '../core/delivery/deliver.js'
import type { Recorder } from '../core/delivery/attempt-recorder.js'
import type { ClaimedBatch, ClaimWorker } from '../core/event/claims.js'
import { recordDispatches } from '../core/delivery/delivery-store.js'
import { recordSpared, type SparedChange } from '../core/delivery/webhook-alert-store.js'
import type { Limiter } from '../core/delivery/limiter.js'
import type { DeliveryQueues } from '../core/delivery/delivery-queues.js'
import { createBatcher } from '../core/platform/batcher.js'
import type { Database } from '../core/platform/database.js'
import type { Metrics } from '../core/platform/metrics.js'
import { createDeadline, type Deadline } from '../core/platform/deadline.js'
import { retryWhileUnavailable } from '../core/platform/retry.js'
import { batchOf, leaveToUpkeep, type Batch, type Queues } from '../core/platform/queues.js'
import { inSpan } from '../core/platform/tracing.js'
import { isSpared, wantsBody } from '../core/webhook/selection.js'
import { formatEvent } from '../core/format/body.js'
import type { CircuitTransitions } from '../core/circuit/transitions.js'
import type { Registry } from '../core/webhook/registry.js'
import {
  leaveUndispatched,
  loadEvents,
  loadMemories,
  splitIntoSteps,
  weightOf,
  type DispatchedBatch,
  type EventDispatch,
} from './event-dispatch.js'
import { dispatchToTarget, recordOf, type TargetDispatch } from './target-dispatch.js'

export interface DispatchOptions {
  database: Database
  queues: Pick<Queues, 'addDispatches' | 'addWakes'>
  registry: Registry
  deliver: Deliver
  circuit: CircuitTransitions
  limiter: Limiter
  deliveryQueues: Pick<DeliveryQueues, 'wake'>
  /** Records the attempts that outlast their jobs. */
  record: Recorder
  metrics: Pick<Metrics, 'observeDispatch' | 'countDead'>
  log: FastifyBaseLogger
}

export interface Dispatcher extends ClaimWorker {
  /** Dispatches the batch of a job. */
  dispatch(batch: Batch): Promise<void>
  /** Waits for the attempts that outlast their jobs. */
  close(): Promise<void>
}

/**
 * A job waits this long for answers after its last attempt began; most outcomes are then recorded with their event. It does not
 * wait for receivers that take longer at present.
 */
const ANSWERS_MS = 150
/** When no attempt has started or ended for this long, the next step starts beside those that wait. */
const STEP_MS = 15

/** Batches that arrive together are dispatched in one round of at most this many events; two rounds run at once. */
const ROUNDS = { maxWeight: 64, concurrency: 2 }
/** Deliveries in all steps that run; beyond them no further step starts. */
const MAX_WEIGHT_IN_FLIGHT = 512

export function createDispatcher(options: DispatchOptions): Dispatcher {
  const { database, metrics, log } = options
  /** Attempts that outlast their jobs. */
  const late = new Set<Promise<void>>()
  const inFlight = new Semaphore(MAX_WEIGHT_IN_FLIGHT)
  let eventsOfJobs = 0
  const startRound = createBatcher(
    async (batches: DispatchedBatch[]) => {
      const steps: Promise<void>[] = []
      for (const step of splitIntoSteps(await loadEvents(options, batches))) {
        // A step heavier than the semaphore, an event that many webhooks want, takes all of it.
        const weight = Math.min(weightOf(step), MAX_WEIGHT_IN_FLIGHT)
        await inFlight.acquire(weight)
        const deadline = createDeadline(STEP_MS)
        const ended = runStep(step, deadline).finally(() => inFlight.release(weight))
        steps.push(ended)
        await deadline.race(ended)
        deadline.end()
      }
      const finished = Promise.all(steps)
      return batches.map(() => ({ finished }))
    },
    { ...ROUNDS, weightOf: ({ size }) => size },
  )

  /** Dispatches events and records them in one statement. @param stepDeadline is extended by each attempt */
  async function runStep(step: readonly EventDispatch[], stepDeadline: Deadline): Promise<void> {
    const events = (await loadMemories(options, step)).filter(mayStart)
    const answers = createDeadline(ANSWERS_MS)
    const results = await Promise.all(events.map((event) => dispatchEvent(event, answers, stepDeadline)))
    answers.end()
    const done = results.filter((result) => result !== undefined)
    const now = new Date()
    const all = done.flatMap(({ dispatches }) => dispatches)
    const ended = all.flatMap(loggedOf)
    const others = all.filter(({ delivered }) => !delivered)
    // the line of the dispatch tells of successes
    for (const one of ended) logAttempt(log, one, one.state.status === 'succeeded' ? 'debug' : 'info')
    const records = done.map(({ event, dispatches }) => ({
      event,
      results: dispatches.map((one) => recordOf(one, now)),
    }))
    const spared = done.flatMap(({ spared }) => spared)
    // first: an event counts as dispatched once all its deliveries are recorded
    if (spared.length > 0) await retryWhileUnavailable(() => recordSpared(database, spared, now))
    await retryWhileUnavailable(() => recordDispatches(database, records, now))
    reportDeaths({ log, metrics }, ended)
    for (const { event } of done) metrics.observeDispatch((Date.now() - event.receivedAt.getTime()) / 1000)
    if (all.length > 0) {
      const wanted = done.filter(({ dispatches }) => dispatches.length > 0)
      const succeeded = ended.filter(({ state }) => state.status === 'succeeded').length
      const inFlight = others.filter(({ attempt }) => attempt).length
      const waiting = others.length - inFlight
      const failed = ended.length - succeeded
      const counts = { deliveries: all.length, succeeded, failed, in_flight: inFlight, waiting }
      log.info({ event_ids: wanted.map(({ event }) => event.id), ...counts }, 'dispatched')
    }
    for (const dispatch of others) {
      if (dispatch.attempt) recordWhenEnded(dispatch, dispatch.attempt)
      else options.deliveryQueues.wake(dispatch.target.id)
    }
    await applyOutcomes(options, ended)
  }

  /**
   * Dispatches one event to the webhooks that want it, and waits for answers until the deadline.
   * @returns undefined when that failed for a reason of this process, not of a receiver
   */
  async function dispatchEvent(work: EventDispatch, answers: Deadline, stepDeadline: Deadline) {
    const { event, wanted, claim } = work
    const attributes = () => ({ 'alert_relay.event.id': event.id })
    const hooks = {
      mayStart: () => claim?.mayStart() ?? true,
      onStart() {
        answers.extend()
        stepDeadline.extend()
      },
      onEnd: () => stepDeadline.extend(),
    }
    const spared: SparedChange[] = []
    try {
      const dispatches = await inSpan({ name: 'dispatch event', parent: event.traceparent, attributes }, async () => {
        if (wanted.length === 0) return []
        const content = formatEvent(event, work.memory)
        // It may be large and is not needed while the attempts are in flight.
        work.memory = undefined
        const matching = wanted.filter((target) => wantsBody(target, content))
        const targets = matching.filter((target) => !isSpared(target, event, content))
        for (const { id: webhookId } of matching.filter((target) => !targets.includes(target))) {
          spared.push({ event, webhookId })
        }
        const results = await Promise.all(
          targets.map((target) => dispatchToTarget(options, { target, event, content }, hooks)),
        )
        const dispatches = results.filter((result) => result !== undefined)
        const quick = dispatches.filter(({ target }) => options.limiter.latencyMs(target.id) < ANSWERS_MS)
        await answers.race(Promise.all(quick.map(({ attempt }) => attempt)))
        return dispatches
      })
      return { event, dispatches, spared }
    } catch (error) {
      await leaveUndispatched(options, work, error)
      return undefined
    }
  }

  /** Records the outcome of an attempt that outlasts its job, and writes its line: that of the dispatch could not tell of it. */
  function recordWhenEnded(dispatch: TargetDispatch, attempt: Promise<Delivered>): void {
    const { deliveryId } = dispatch
    dispatch.event = withoutMessage(dispatch.event)
    const recorded = attempt
      .then(async (delivered) => {
        const ended = { ...dispatch, ...delivered }
        logAttempt(log, ended)
        await options.record({ deliveryId, ...delivered })
        reportDeaths({ log, metrics }, [ended])
        await applyOutcomes(options, [ended])
      })
      .catch((error: unknown) => log.warn({ err: error, delivery_id: deliveryId }, 'not recorded; attempted again'))
      .finally(() => late.delete(recorded))
    late.add(recorded)
  }

  async function dispatchBatch(batch: DispatchedBatch): Promise<void> {
    const { finished } = await startRound(batch)
    await finished
  }

  return {
    eventsOfJobs: () => eventsOfJobs,
    dispatchClaimed: (batch: ClaimedBatch) => dispatchBatch(batch),
    async dispatch(batch) {
      eventsOfJobs += batch.size
      await dispatchBatch(batch).finally(() => (eventsOfJobs -= batch.size))
    },
    async close() {
      await Promise.all(late)
    },
  }
}

/** False: it is too late for a claimed event, which is left to a job. */
function mayStart({ claim }: EventDispatch): boolean {
  const isInTime = claim?.mayStart() ?? true
  if (!isInTime) claim?.leave()
  return isInTime
}

/** A dispatch whose attempt has ended. */
type EndedDispatch = LoggedAttempt & Pick<TargetDispatch, 'target'>

function loggedOf({ delivered, ...dispatch }: TargetDispatch): EndedDispatch[] {
  return delivered ? [{ ...dispatch, ...delivered }] : []
}

/** Applies ended attempts to the circuits of their webhooks, and queues wake-ups for the retries. */
async function applyOutcomes(
  { queues, circuit, log }: DispatchOptions,
  ended: readonly EndedDispatch[],
): Promise<void> {
  const notices = await retryWhileUnavailable(() =>
    circuit.record(ended.map(({ target, attempt }) => outcomeFor(target, attempt))),
  )
  await leaveToUpkeep(queues.addDispatches(notices.map(batchOf)), log)
  const wakes = ended.flatMap(({ target, state: { nextAttemptAt: at } }) => (at ? [{ webhookId: target.id, at }] : []))
  await leaveToUpkeep(queues.addWakes(wakes), log)
}
