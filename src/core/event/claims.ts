/**
 * Claims: a process that accepts events, and works too, dispatches them itself and without a job, while it has room.
 *
 * Guarantee: a claimed batch is dispatched by this process, or by a job, never by both. The statement that stores a batch
 * claims it for `TERM_S` (`undispatched.not_before`, by the database's clock); no job works it before that time. The process
 * begins its dispatches within `START_MS` of a moment before it sent the statement, and what it does not begin or cannot
 * finish is released and gets a job. When it dies, upkeep has queued a job for the end of the term.
 *
 * A claim is taken before the statement is sent, and held until the batch is dispatched. It is lost when a part of the batch
 * was left undispatched, or when the statement failed: its answer may be what failed, and then nobody works the batch. Lost
 * claims are released as soon as the database answers; no new one is taken before.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Queryable } from '../platform/database.js'
import { isUndecided } from '../platform/errors.js'
import { leaveToUpkeep, type Batch, type Queues } from '../platform/queues.js'
import type { RegistryVersion } from './audience.js'
import type { StoredEvent } from './event.js'
import { releaseClaims } from './event-store.js'
import type { BatchClaim, StoredBatch } from './message-store.js'

/** Bounds of what a process has claimed, so that what it cannot begin soon is left to others. */
const MAX_EVENTS = 128
const MAX_BYTES = 16 * 1024 * 1024
/** Long enough to record what was begun in time; short, since so long nobody else dispatches what a dead process claimed. */
const TERM_S = 4
const START_MS = 1000
/** The time between two tries to release lost claims. */
const RELEASE_MS = 500

/** A claimed batch that is stored. */
export interface ClaimedBatch extends Batch {
  events: readonly StoredEvent[]
  /** The registry's version when they were stored. */
  registry: RegistryVersion
  /** False once it is too late to begin a dispatch. */
  mayStart(): boolean
  /** An event of it is left undispatched. */
  leave(): void
}

/** Dispatches claimed batches, beside those of jobs. */
export interface ClaimWorker {
  /** How many events it dispatches for jobs at present. */
  eventsOfJobs(): number
  /** Resolves when every event of the batch is dispatched, postponed, or left. */
  dispatchClaimed(batch: ClaimedBatch): Promise<void>
}

/** A claim of a batch that is about to be stored; `work` or `fail` must follow. */
export interface Claim extends BatchClaim {
  /** What it covers was stored: this process begins to dispatch it. */
  work(stored: StoredBatch): void
  /** It was not stored, or the answer was lost. */
  fail(error: unknown): void
}

export interface Claims {
  /** From now on claims can be taken. */
  start(worker: ClaimWorker): void
  /** @returns undefined when the process has no room for so much */
  take(size: Size): Claim | undefined
  /** Adds jobs for batches, without those that this process works; those whose claim it has lost it releases first. */
  queue(batches: readonly Batch[]): Promise<void>
  /** From now on no claim can be taken. */
  stop(): void
  /** Stops, and waits for the batches that are being dispatched. */
  close(): Promise<void>
}

export interface ClaimsOptions {
  database: Queryable
  queues: Pick<Queues, 'addDispatches'>
  log: FastifyBaseLogger
  /** Milliseconds of a monotonic clock. */
  now?: () => number
  /** Seconds. */
  termS?: number
}

/** How much is claimed, at most. */
interface Size {
  events: number
  /** Of the messages. */
  bytes: number
}

/** A claim that is taken; `batchId`: of the statement that was sent. */
interface Held extends Size {
  batchId: string | undefined
}

interface Lost {
  /** False: the statement may be carried out later. */
  isCarriedOut: boolean
  /** Since the database has answered: when the term of any such claim is over. */
  untilMs?: number
}

export function createClaims(options: ClaimsOptions): Claims {
  const { database, queues, log, now = () => performance.now(), termS = TERM_S } = options
  let worker: ClaimWorker | undefined
  let isStopped = false
  const held = new Set<Held>()
  const lost = new Map<string, Lost>()
  const works = new Set<Promise<void>>()
  const closing = new AbortController()
  let releasing: Promise<void> | undefined

  function hasRoom({ events, bytes }: Size, { eventsOfJobs }: ClaimWorker): boolean {
    for (const claim of held) [events, bytes] = [events + claim.events, bytes + claim.bytes]
    return events + eventsOfJobs() <= MAX_EVENTS && bytes <= MAX_BYTES
  }

  /** Dispatches a batch. What is left of it then gets a job. */
  async function workBatch(
    { dispatchClaimed }: ClaimWorker,
    batch: ClaimedBatch,
    isLeft: () => boolean,
  ): Promise<void> {
    try {
      await dispatchClaimed(batch)
      if (isLeft()) lose(batch.batchId, { isCarriedOut: true })
    } catch (error) {
      log.warn({ err: error, batch_id: batch.batchId }, 'not dispatched now; it gets a job')
      lose(batch.batchId, { isCarriedOut: true })
    }
  }

  function lose(batchId: string, loss: Lost): void {
    lost.set(batchId, loss)
    releasing ??= releaseLost().finally(() => (releasing = undefined))
  }

  /** Releases what is lost, until the database has answered and no statement can be carried out any more. */
  async function releaseLost(): Promise<void> {
    while (lost.size > 0 && !closing.signal.aborted) {
      const all = [...lost]
      try {
        await release(all.map(([batchId]) => batchId))
        for (const [batchId, loss] of all) {
          loss.untilMs ??= loss.isCarriedOut ? now() : now() + termS * 1000
          if (now() >= loss.untilMs) lost.delete(batchId)
        }
      } catch (error) {
        if (!isUndecided(error)) log.warn({ err: error }, 'claims are not released yet')
      }
      if (lost.size > 0) await pause(RELEASE_MS, undefined, { signal: closing.signal }).catch(() => {})
    }
  }

  async function release(batchIds: string[]): Promise<void> {
    await leaveToUpkeep(queues.addDispatches(await releaseClaims(database, batchIds)), log)
  }

  function newClaim(size: Size, by: ClaimWorker): Claim {
    const takenMs = now()
    const claim: Held = { ...size, batchId: undefined }
    held.add(claim)
    return {
      termS,
      cover: (batchId) => void (claim.batchId = batchId),
      work(stored) {
        const events = stored.messages.flatMap(({ result, event }) =>
          result === 'stored' && event.dispatchedAt === null ? [event] : [],
        )
        if (claim.batchId === undefined || events.length === 0 || !stored.registry) return void held.delete(claim)
        let isLeft = false
        const batch: ClaimedBatch = {
          ...{ batchId: claim.batchId, size: events.length, events, registry: stored.registry },
          mayStart: () => now() - takenMs < START_MS,
          leave: () => void (isLeft = true),
        }
        const work = workBatch(by, batch, () => isLeft).finally(() => {
          held.delete(claim)
          works.delete(work)
        })
        works.add(work)
      },
      fail(error) {
        held.delete(claim)
        if (claim.batchId !== undefined) lose(claim.batchId, { isCarriedOut: !isUndecided(error) })
      },
    }
  }

  const stop = () => void (isStopped = true)

  return {
    start: (started) => void (worker = started),
    stop,
    take: (size) =>
      worker && !isStopped && lost.size === 0 && hasRoom(size, worker) ? newClaim(size, worker) : undefined,
    async queue(batches) {
      const mine = new Set([...held].map(({ batchId }) => batchId))
      const others = batches.filter(({ batchId }) => !mine.has(batchId))
      const free = others.filter(({ batchId }) => lost.has(batchId)).map(({ batchId, size }) => ({ batchId, size }))
      if (free.length > 0) await release(free.map(({ batchId }) => batchId))
      await queues.addDispatches([...free, ...others.filter(({ batchId }) => !lost.has(batchId))])
    },
    async close() {
      stop()
      await Promise.all(works)
      closing.abort()
      await releasing
      // the last chance; the term of what remains is soon over
      if (lost.size > 0) await release([...lost.keys()]).catch(() => {})
    },
  }
}
