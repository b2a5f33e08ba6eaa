/**
 * A delivery queue at work: one process sends what waits for one webhook.
 *
 * Promise: while this process holds the delivery queue, the webhook's limits, its order and its circuit are kept here and nowhere
 * else; it begins no attempt when it may have lost the delivery queue, and what it began is over before another may take it.
 *
 * A round: write down what ended, see whether the delivery queue is still ours and the webhook still wanted, begin as many attempts as
 * its health and limits allow, wait until something ends or the next may begin. When nothing is due within a second it
 * leaves a wake-up behind and lets go.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Signal } from '../platform/signal.js'
import type { Database } from '../platform/database.js'
import { retryWhileUnavailable } from '../platform/retry.js'
import { batchOf, leaveToUpkeep, type Queues } from '../platform/queues.js'
import { outsideTraces } from '../platform/tracing.js'
import { afterDrain, allowanceOf, type Allowance } from '../circuit/health.js'
import type { CircuitTransitions } from '../circuit/transitions.js'
import type { Registry } from '../webhook/registry.js'
import type { Target } from '../webhook/webhook.js'
import { bodyFor, loadContent, outcomeFor, type Deliver, type Delivered } from './deliver.js'
import { dropDeliveries, dropDelivery, recordAttempts } from './delivery-store.js'
import { loadCoalesced, takeDue } from './coalesce.js'
import type { Limiter } from './limiter.js'
import {
  deleteQueue,
  nextDueAt,
  postponeBlocked,
  releaseLease,
  releaseNext,
  renewLease,
  acquireLease,
  type DueDelivery,
  type Lease,
} from './delivery-queue-store.js'
import { placeAfter } from './pace.js'
import { resultFor } from './policy.js'

export interface QueueWorkerOptions {
  database: Database
  queues: Pick<Queues, 'addDispatches' | 'addWakes'>
  registry: Registry
  deliver: Deliver
  circuit: CircuitTransitions
  limiter: Limiter
  log: FastifyBaseLogger
  /** This process, among all. */
  holder: string
  /** True once the process is to stop: nothing new is begun. */
  isClosing: () => boolean
}

/** Where a delivery queue is worked: rung when there may be something new for it. */
export interface QueueSite {
  webhookId: string
  signal: Signal
}

/** A delivery queue is held for this long, and renewed well before. */
const HELD_MS = 15_000
const RENEW_AFTER_MS = 5_000
/** An attempt is over within its timeout and this long: its place in the pace, its body, its connection. */
const ATTEMPT_MARGIN_MS = 3_000
/** What comes within this time is waited for, holding the delivery queue. */
const LINGER_MS = 1_000
/** A webhook without a limit of its own, in its delivery queue. */
const MOST_IN_FLIGHT = 32
/** Looked at again soon: another change must be dispatched, or a place at the limiter become free. */
const BLOCKED_MS = 100
const BATCH = 1_000

interface Ended extends Delivered {
  target: Target
  due: DueDelivery
}

/** Works a delivery queue until nothing is due, if it is free. Its attempts belong to the traces of their events. */
export function workQueue(options: QueueWorkerOptions, site: QueueSite): Promise<void> {
  return outsideTraces(() => workUntraced(options, site))
}

async function workUntraced(options: QueueWorkerOptions, site: QueueSite): Promise<void> {
  const target = (await options.registry.current()).byId.get(site.webhookId)
  const heldMs = heldFor(target)
  const lease = await acquireLease(options.database, site.webhookId, options.holder, heldMs)
  if (!lease) return
  const work = new QueueWorker(options, site, lease, heldMs)
  try {
    while (!options.isClosing() && (await work.round()));
  } finally {
    await work.end()
  }
}

/** Where attempts must not overlap with another holder's, the delivery queue is held until the last one is over. */
function heldFor(target: Target | undefined): number {
  if (!target) return HELD_MS
  const isStrict = target.max_in_flight !== null || target.rate_per_second !== null || target.order === 'alert'
  return isStrict || target.coalesce ? HELD_MS + target.timeout_ms + ATTEMPT_MARGIN_MS : HELD_MS
}

class QueueWorker {
  private readonly inFlight = new Map<string, Promise<void>>()
  private readonly ended: Ended[] = []
  private failure: unknown
  private lease: Lease
  private heldSinceMs = performance.now()
  /** With a rate: the first free place, in milliseconds since 1970. */
  private nextPlace: number
  /** Attempts that were begun and have not sent anything yet, and the last of them to get its place. */
  private waiting = 0
  private turn: Promise<void> = Promise.resolve()
  private readonly webhookId: string
  private readonly signal: Signal

  constructor(
    private readonly options: QueueWorkerOptions,
    { webhookId, signal }: QueueSite,
    lease: Lease,
    private heldMs: number,
  ) {
    this.webhookId = webhookId
    this.signal = signal
    this.lease = lease
    this.nextPlace = lease.nextSendAt?.getTime() ?? 0
  }

  /** @returns false when the delivery queue is let go */
  async round(): Promise<boolean> {
    const { database, registry } = this.options
    if (this.failure !== undefined) throw this.failure
    await this.recordEnded()
    if (performance.now() - this.heldSinceMs > RENEW_AFTER_MS && !(await this.renew())) return false
    const target = (await registry.current()).byId.get(this.webhookId)
    if (!target) return this.dropAll()
    if (target.status === 'disabled') return this.letGo(undefined)
    this.heldMs = heldFor(target)
    const now = new Date()
    const limits = { maxInFlight: target.max_in_flight, ratePerSecond: target.rate_per_second }
    await this.settle({ empty: false })
    const allowance = allowanceOf(this.lease.health, limits, MOST_IN_FLIGHT, now)
    if (allowance.kind === 'wait') return this.waitUntil(allowance.until)
    const begun = await this.begin(target, allowance, now)
    if (this.inFlight.size > 0) return this.listen(LINGER_MS)
    if (begun === 'full') return this.waitUntil(new Date(now.getTime() + BLOCKED_MS))
    if (begun === 'paced') return this.waitUntil(new Date(this.nextPlace))
    if (target.order === 'alert' && (await postponeBlocked(database, this.webhookId, now, BATCH)) > 0) return true
    const next = await nextDueAt(database, this.webhookId)
    // due, but behind a change that is not dispatched yet
    if (next && next <= now) return this.waitUntil(new Date(now.getTime() + BLOCKED_MS))
    await this.settle({ empty: true })
    return this.waitUntil(next)
  }

  /** Waits for what was begun, writes it down, and lets go of what is still held. */
  async end(): Promise<void> {
    await Promise.all(this.inFlight.values())
    // asked for again: what is there is found by upkeep
    if (await this.letGo(undefined)) await this.letGo(undefined)
  }

  /** Begins as many attempts as may begin now. @returns what kept it from beginning more */
  private async begin(target: Target, allowance: Exclude<Allowance, { kind: 'wait' }>, now: Date) {
    const isProbe = allowance.kind === 'probe'
    const most = (isProbe ? 1 : allowance.maxInFlight) - this.inFlight.size
    const room = Math.min(most, this.options.limiter.available(this.webhookId))
    if (room <= 0) return 'full'
    const ratePerSecond = isProbe ? target.rate_per_second : allowance.ratePerSecond
    // no more than a second's worth waits for its place here
    const places = ratePerSecond === null ? room : Math.ceil(ratePerSecond) - this.waiting
    // one further ahead than the interval was left by another clock
    this.nextPlace = Math.min(this.nextPlace, placeAfter(this.nextPlace, now.getTime(), ratePerSecond).at)
    if (places <= 0 || this.nextPlace - now.getTime() > LINGER_MS) return 'paced'
    // what has ended is not written down yet: to the database it is still due
    const skip = [...this.inFlight.keys(), ...this.ended.map(({ due }) => due.id)]
    const { state } = this.lease.health
    const due = await takeDue(this.options.database, target, { state, skip, limit: Math.min(room, places), now })
    for (const delivery of due) {
      // another process may hold the delivery queue soon
      if (performance.now() - this.heldSinceMs > HELD_MS) return 'full'
      if (!this.options.limiter.tryAcquire(this.webhookId)) return 'full'
      this.start(target, delivery, ratePerSecond)
    }
    return 'nothing is due'
  }

  private start(target: Target, due: DueDelivery, ratePerSecond: number | null): void {
    const { limiter } = this.options
    const work = this.attempt(target, due, ratePerSecond).then(
      (delivered) => {
        limiter.release(this.webhookId, delivered ? resultFor(delivered.attempt.outcome) : 'failed')
        if (delivered) this.ended.push({ ...delivered, target, due })
      },
      (error: unknown) => {
        limiter.release(this.webhookId, 'failed')
        this.failure = error
      },
    )
    const over = work.then(() => {
      this.inFlight.delete(due.id)
      this.signal.notify()
    })
    this.inFlight.set(due.id, over)
  }

  /** @returns undefined when nothing was sent */
  private async attempt(target: Target, due: DueDelivery, rate: number | null): Promise<Delivered | undefined> {
    const { database, deliver } = this.options
    const { event, attemptCount, scheduleStart, replay } = due
    this.waiting++
    try {
      const folded = due.carries ? await loadCoalesced(database, due.id) : undefined
      const content = await loadContent(database, event, folded)
      const body = await bodyFor(database, target, event, content, new Date())
      if (!body) {
        await dropDelivery(database, due.id, 'its indicators were sent with other events', new Date())
        return undefined
      }
      await this.place(rate)
      return deliver({ target, event, body, number: attemptCount + 1, scheduleStart, replay })
    } finally {
      this.waiting--
    }
  }

  /**
   * Waits for the next place: the last thing before the request. One after the other, each from when the one before was
   * really sent, so that a process that was slow for a moment does not catch up in a burst.
   */
  private place(ratePerSecond: number | null): Promise<void> {
    if (ratePerSecond === null) return Promise.resolve()
    this.turn = this.turn.then(async () => {
      const { at } = placeAfter(this.nextPlace, Date.now(), ratePerSecond)
      if (at > Date.now()) await pause(Math.ceil(at - Date.now()))
      this.nextPlace = placeAfter(this.nextPlace, Date.now(), ratePerSecond).next
    })
    return this.turn
  }

  private async recordEnded(): Promise<void> {
    const { database, circuit } = this.options
    const ended = this.ended.splice(0)
    if (ended.length === 0) return
    const now = new Date()
    const records = ended.map(({ due, attempt, state }) => ({ deliveryId: due.id, attempt, state }))
    await retryWhileUnavailable(() => recordAttempts(database, records, now))
    const state = this.lease.health.state
    const outcomes = ended.map(({ target, attempt }) => ({ ...outcomeFor(target, attempt), state }))
    await this.dispatch(await retryWhileUnavailable(() => circuit.record(outcomes)))
    if (state !== 'healthy' || outcomes.some(({ failure }) => failure !== null)) await this.renew()
    const over = ended.filter((one) => one.target.order === 'alert' && one.state.status !== 'pending')
    const alertIds = over.flatMap(({ due: { event } }) => event.alertId ?? [])
    if (alertIds.length > 0) await releaseNext(database, this.webhookId, alertIds, now)
  }

  /** @returns false when another process holds the delivery queue */
  private async renew(): Promise<boolean> {
    const startedMs = performance.now()
    const lease = await renewLease(this.options.database, this.webhookId, this.options.holder, this.held())
    this.heldSinceMs = lease ? startedMs : -Infinity
    if (lease) this.lease = lease
    return lease !== undefined
  }

  private held() {
    const nextSendAt = this.nextPlace > 0 ? new Date(this.nextPlace) : null
    return { heldMs: this.heldMs, nextSendAt }
  }

  /** A recovering webhook is well when its ramp is over or nothing waits any more. */
  private async settle(drain: { empty: boolean }): Promise<void> {
    if (!afterDrain(this.lease.health, { ...drain, now: new Date() })) return
    await this.dispatch(await this.options.circuit.settle(this.webhookId, drain))
    await this.renew()
  }

  /** Notices are stored: a queue that does not take them now is no reason to stop. */
  private async dispatch(eventIds: string[]): Promise<void> {
    await leaveToUpkeep(this.options.queues.addDispatches(eventIds.map(batchOf)), this.options.log)
  }

  private async listen(ms: number): Promise<true> {
    await this.signal.wait(ms)
    return true
  }

  /** Holds the delivery queue for a short time, or leaves a wake-up and lets go. */
  private async waitUntil(at: Date | undefined): Promise<boolean> {
    const waitMs = at ? at.getTime() - Date.now() : Infinity
    if (waitMs > LINGER_MS) return this.letGo(at)
    return this.listen(Math.max(0, waitMs))
  }

  /** @returns true when somebody asked for the delivery queue meanwhile: there is something to look at */
  private async letGo(wakeAt: Date | undefined): Promise<boolean> {
    const { database, holder, queues, log } = this.options
    await Promise.all(this.inFlight.values())
    await this.recordEnded()
    const wanted = await releaseLease(database, this.webhookId, holder, this.held())
    if (wanted) this.lease = wanted
    else if (wakeAt) await leaveToUpkeep(queues.addWakes([{ webhookId: this.webhookId, at: wakeAt }]), log)
    return wanted !== undefined
  }

  private async dropAll(): Promise<boolean> {
    const { database } = this.options
    await Promise.all(this.inFlight.values())
    this.ended.length = 0
    if ((await dropDeliveries(database, this.webhookId, new Date(), BATCH)) === BATCH) return true
    await deleteQueue(database, this.webhookId)
    return false
  }
}
