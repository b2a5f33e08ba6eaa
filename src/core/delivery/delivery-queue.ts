/**
 * Works one delivery queue: sends what is due at one webhook.
 *
 * Guarantee: while this process holds the lease, it alone applies the webhook's limits, order and circuit. It starts no
 * attempt once the lease may have expired, and releases the lease after the last of its attempts has ended.
 *
 * A round records the attempts that ended, renews the lease, reads the webhook, starts as many attempts as its health and
 * its limits allow, and waits until one ends or the next may start. When nothing is due within a second, a wake-up is
 * queued and the lease is released.
 */
import type { FastifyBaseLogger } from 'fastify'
import type { Signal } from '../platform/signal.js'
import type { Database } from '../platform/database.js'
import type { Metrics } from '../platform/metrics.js'
import { retryWhileUnavailable } from '../platform/retry.js'
import { batchOf, leaveToUpkeep, type Queues } from '../platform/queues.js'
import { outsideTraces } from '../platform/tracing.js'
import { afterDrain, allowanceOf, isUnrestricted, type Allowance } from '../circuit/health.js'
import type { CircuitTransitions } from '../circuit/transitions.js'
import type { Registry } from '../webhook/registry.js'
import { sealsLate } from '../webhook/alert-changes.js'
import { rateOf, type Target } from '../webhook/webhook.js'
import { reportDeaths } from './attempt-log.js'
import type { Recorder } from './attempt-recorder.js'
import { uncountAttempts } from './coalesce.js'
import type { Recall } from './content.js'
import { outcomeFor, type Deliver } from './deliver.js'
import { dropDeliveries } from './delivery-store.js'
import { createDueReader, type DueReader } from './due-reader.js'
import type { Limiter } from './limiter.js'
import { deleteQueue, nextDueAt, postponeBlocked, releaseNext } from './delivery-queue-store.js'
import { createPacer, type Pacer } from './pacer.js'
import { createQueueAttempts, type QueueAttempts } from './queue-attempts.js'
import { forgetWebhook } from './webhook-alert-store.js'
import { takeQueueLease, type QueueLease } from './queue-lease.js'

export interface QueueWorkerOptions {
  database: Database
  queues: Pick<Queues, 'addDispatches' | 'addWakes'>
  registry: Registry
  deliver: Deliver
  circuit: CircuitTransitions
  limiter: Limiter
  recall: Recall
  record: Recorder
  metrics: Pick<Metrics, 'countDead'>
  log: FastifyBaseLogger
  /** Identifies this process in the leases that it holds. */
  holder: string
  /** True once the process stops: no attempt is started any more. */
  isClosing: () => boolean
}

/** A delivery queue that this process works. */
export interface WorkedQueue {
  webhookId: string
  /** Sent when a delivery may have become due, or when an attempt has ended. */
  signal: Signal
}

/** The lease is kept while the next attempt may start within this time. */
const MAX_IDLE_MS = 1_000
/** Until what is due is tried again when it waits for the dispatch of an earlier change, or for a slot of the limiter. */
const BLOCKED_MS = 100
/** Rows that one statement changes. */
const BATCH = 1_000

/**
 * Works a delivery queue until nothing is due, unless another process holds its lease. Its attempts belong to the traces of
 * their events, not to the caller's.
 */
export function workQueue(options: QueueWorkerOptions, queue: WorkedQueue): Promise<void> {
  return outsideTraces(() => workUntraced(options, queue))
}

async function workUntraced(options: QueueWorkerOptions, queue: WorkedQueue): Promise<void> {
  const target = (await options.registry.current()).byId.get(queue.webhookId)
  const lease = await takeQueueLease(options, queue.webhookId, target)
  if (!lease) return
  const worker = new QueueWorker(options, queue, lease)
  try {
    while (!options.isClosing() && (await worker.round()));
  } finally {
    await worker.end()
  }
}

class QueueWorker {
  private readonly pacer: Pacer
  private readonly attempts: QueueAttempts
  private readonly due: DueReader
  private readonly webhookId: string
  private readonly signal: Signal

  constructor(
    private readonly options: QueueWorkerOptions,
    { webhookId, signal }: WorkedQueue,
    private readonly lease: QueueLease,
  ) {
    this.webhookId = webhookId
    this.signal = signal
    this.pacer = createPacer(lease.nextSendAt)
    this.attempts = createQueueAttempts({ ...options, webhookId, signal, pacer: this.pacer })
    this.due = createDueReader(options.database)
  }

  /** @returns false when the lease is released or lost */
  async round(): Promise<boolean> {
    const { database, registry } = this.options
    if (this.attempts.failure !== undefined) throw this.attempts.failure
    await this.recordEnded()
    const target = (await registry.current()).byId.get(this.webhookId)
    if (this.isLeaseOld(target) && !(await this.renew())) return false
    if (!target) return this.dropAll()
    if (target.status === 'disabled') return this.release(undefined)
    this.lease.adjustTo(target)
    const now = new Date()
    const limits = { maxInFlight: target.max_in_flight, ratePerSecond: rateOf(target) }
    await this.settle({ empty: false })
    const allowance = allowanceOf(this.lease.health, limits, now)
    if (allowance.kind === 'wait') return this.waitUntil(allowance.until)
    const stoppedBy = await this.start(target, allowance, now)
    if (this.attempts.size > 0) return this.waitForSignal(this.due.pauseMs ?? MAX_IDLE_MS)
    if (stoppedBy === 'limit') return this.waitUntil(new Date(now.getTime() + BLOCKED_MS))
    if (stoppedBy === 'pace') return this.waitUntil(this.pacer.nextSendAt ?? now)
    if (target.order === 'alert' && (await postponeBlocked(database, this.webhookId, now, BATCH)) > 0) return true
    const next = await nextDueAt(database, this.webhookId)
    // It is due, but an earlier change of its alert is not dispatched yet.
    if (next && next <= now) return this.waitUntil(new Date(now.getTime() + BLOCKED_MS))
    await this.settle({ empty: true })
    return this.waitUntil(next)
  }

  /** Waits for the attempts in flight, records them and releases the lease. */
  async end(): Promise<void> {
    await this.attempts.allEnded()
    // The first release keeps a lease that is wanted; the second does not. Upkeep finds what has become due meanwhile.
    if (await this.release(undefined)) await this.release(undefined)
  }

  /** Starts as many attempts as may start now. @returns why it started no more */
  private async start(
    target: Target,
    allowance: Exclude<Allowance, { kind: 'wait' }>,
    now: Date,
  ): Promise<'limit' | 'pace' | 'nothing due'> {
    const { database, limiter } = this.options
    const isProbe = allowance.kind === 'probe'
    const max = (isProbe ? 1 : allowance.maxInFlight) - this.attempts.size
    const room = Math.min(max, limiter.available(this.webhookId, target.max_in_flight))
    if (room <= 0) return 'limit'
    const ratePerSecond = isProbe ? rateOf(target) : allowance.ratePerSecond
    const slots = this.pacer.available(ratePerSecond, now)
    if (slots <= 0 || (this.pacer.nextSendAt ?? now).getTime() - now.getTime() > MAX_IDLE_MS) return 'pace'
    const skip = this.attempts.ids()
    const { state } = this.lease.health
    const due = await this.due.take(target, { state, isProbe, skip, limit: Math.min(room, slots), now })
    for (const [i, delivery] of due.entries()) {
      if (!this.lease.mayHaveExpired() && this.attempts.start(target, delivery, ratePerSecond)) continue
      const rest = due.slice(i)
      this.due.putBack(rest)
      const ids = rest.map(({ id }) => id)
      if (sealsLate(target)) await uncountAttempts(database, ids)
      return 'limit'
    }
    return 'nothing due'
  }

  private async recordEnded(): Promise<void> {
    const { database, circuit, record } = this.options
    const ended = this.attempts.takeEnded()
    if (ended.length === 0) return
    const now = new Date()
    await Promise.all(ended.map((one) => record(one)))
    reportDeaths(this.options, ended)
    const { health } = this.lease
    const outcomes = ended.map(({ target, attempt }) => ({ ...outcomeFor(target, attempt), health }))
    await this.dispatch(await retryWhileUnavailable(() => circuit.record(outcomes)))
    // Each of these may have changed the webhook's health, which the lease holds a copy of.
    if (!isUnrestricted(health) || outcomes.some(({ failure }) => failure !== null)) await this.renew()
    const final = ended.filter((one) => one.target.order === 'alert' && one.state.status !== 'pending')
    const alertIds = final.flatMap(({ event }) => event.alertId ?? [])
    if (alertIds.length > 0) await releaseNext(database, this.webhookId, alertIds, now)
  }

  /** True when the lease is due, or when another process has changed the webhook's health since it was renewed. */
  private isLeaseOld(target: Target | undefined): boolean {
    const { state, resumeAt } = this.lease.health
    const isSame = !target || (target.state.state === state && (target.state.resumeAt === null) === (resumeAt === null))
    return !isSame || this.lease.isDue()
  }

  /** Renews the lease and reads the webhook's health with it. @returns false when another process holds the lease */
  private renew(): Promise<boolean> {
    return this.lease.renew(this.pacer.nextSendAt)
  }

  /** Ends the recovery of a webhook whose ramp is over, or for which nothing waits any more. */
  private async settle(drain: { empty: boolean }): Promise<void> {
    if (!afterDrain(this.lease.health, { ...drain, now: new Date() })) return
    await this.dispatch(await this.options.circuit.settle(this.webhookId, drain))
    await this.renew()
  }

  /** Queues the dispatch of notices, which are stored: upkeep queues them if that fails. */
  private async dispatch(eventIds: string[]): Promise<void> {
    await leaveToUpkeep(this.options.queues.addDispatches(eventIds.map(batchOf)), this.options.log)
  }

  private async waitForSignal(ms: number): Promise<true> {
    await this.signal.wait(ms)
    return true
  }

  /** Waits until `at` if that is soon; otherwise queues a wake-up and releases the lease. */
  private async waitUntil(at: Date | undefined): Promise<boolean> {
    const waitMs = at ? at.getTime() - Date.now() : Infinity
    if (waitMs > MAX_IDLE_MS) return this.release(at)
    return this.waitForSignal(Math.max(0, waitMs))
  }

  /** @returns true when the lease is kept, since the delivery queue was woken meanwhile */
  private async release(wakeAt: Date | undefined): Promise<boolean> {
    const { queues, log } = this.options
    await this.attempts.allEnded()
    await this.recordEnded()
    const isReleased = await this.lease.release(this.pacer.nextSendAt)
    if (isReleased && wakeAt) {
      await leaveToUpkeep(queues.addWakes([{ webhookId: this.webhookId, at: wakeAt }]), log)
    }
    return !isReleased
  }

  /** Drops what waits for a deleted webhook, a batch at a time, and then the delivery queue. */
  private async dropAll(): Promise<boolean> {
    const { database } = this.options
    await this.attempts.allEnded()
    this.attempts.takeEnded()
    if ((await dropDeliveries(database, this.webhookId, new Date(), { limit: BATCH })) === BATCH) return true
    await forgetWebhook(database, this.webhookId)
    await deleteQueue(database, this.webhookId)
    return false
  }
}
