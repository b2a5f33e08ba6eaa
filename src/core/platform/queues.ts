/**
 * The queues: an alarm clock for work that is stored in the database.
 *
 * Promise: a job carries ids, never the only copy of anything; ids of jobs are derived, so queueing a thing twice is
 * harmless; a job that is done or failed leaves no trace, so its id is free for upkeep to queue again.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Job, JobsOptions, Queue, Worker } from 'bullmq'
import type { FastifyBaseLogger } from 'fastify'
import type { Database } from './database.js'
import { withDeadline } from './deadline.js'
import { messageOf, SettingError } from './errors.js'
import {
  embeddedBackend,
  postgresBackend,
  PRODUCER_TIMEOUT_MS,
  redisBackend,
  type QueueBackend,
  type Tuning,
} from './queue-backends.js'

/** Events that are dispatched by one job. */
export interface Batch {
  batchId: string
  /** How many they are, or were when they were stored. */
  size: number
}

/** A batch of one event has its id. */
export function batchOf(eventId: string): Batch {
  return { batchId: eventId, size: 1 }
}

/** When something is due in a webhook's delivery queue. */
export interface Wake {
  webhookId: string
  at: Date
}

export type WakeJob = Omit<Wake, 'at'>
export type Handler<Data> = (data: Data) => Promise<void>

export interface QueueWorker {
  /** Takes no new job and waits for those under way. */
  close(): Promise<void>
}

export interface Queues {
  /**
   * Queues one job per batch; a batch that is queued or being dispatched already is left alone. A queue that holds many
   * takes no more: what it leaves out waits in the database, and upkeep queues it when there is room.
   */
  addDispatches(batches: readonly Batch[]): Promise<void>
  /**
   * Queues delayed jobs, one per webhook and second. What is due later than in a minute is left to upkeep, so that the
   * queue holds little of the future.
   */
  addWakes(wakes: readonly Wake[]): Promise<void>
  startDispatch(handler: Handler<Batch>, concurrency: number): QueueWorker
  startWake(handler: Handler<WakeJob>, concurrency: number): QueueWorker
  /** How many jobs are in each queue, by state. */
  counts(): Promise<{ queue: string; state: string; count: number }[]>
  /** Rejects within seconds when the queues' store does not answer. */
  ping(): Promise<void>
  /** Closes the producers, after the workers were closed. */
  close(): Promise<void>
}

export interface QueuesOptions {
  database: Database
  redisUrls: string[]
  /** The first part of every key in Redis. */
  prefix?: string
  /** Told of trouble in the background; what is told is tried again. */
  onError: (error: unknown) => void
}

/**
 * For work that is stored already and told to be taken: a queue that does not take the job is no reason to refuse it,
 * since upkeep queues it again.
 */
export async function leaveToUpkeep(queued: Promise<void>, log: FastifyBaseLogger): Promise<void> {
  await queued.catch((error: unknown) => log.warn({ err: error }, 'not queued now: upkeep will'))
}

/**
 * A stalled job (its process died) comes back after about this long. Stalling is no fault of the job: it may happen any
 * number of times. A retry is upkeep's matter, so a failed job is not tried again by the queue.
 */
const TUNING: Tuning = {
  lockDuration: 15_000,
  stalledInterval: 5000,
  // an idle worker looks again after a second, should a wake-up have been lost
  drainDelay: 1,
  maxStalledCount: 1_000_000,
  removeOnComplete: { count: 0 },
  removeOnFail: { count: 0 },
}
const JOB_OPTIONS = { removeOnComplete: true, removeOnFail: true, attempts: 1 }

/**
 * A worker is asked to close; once no handler runs any more it is given this long. While its store is away BullMQ would wait
 * for ever; the job that it could not end comes back as stalled, and is found done.
 */
const CLOSE_PATIENCE_MS = 3_000

/** What could not begin, since its store was away, begins anew: a worker until it can, a producer so many times. */
const OPEN_AGAIN_AFTER_MS = 1000
const MOST_TRIES = 5

/** The dispatch queue takes no more than about so many jobs, counted now and then. */
const MOST_DISPATCHES = 20_000
const COUNT_EVERY_MS = 500
/** Wake-ups further ahead are left to upkeep. */
const WAKE_HORIZON_MS = 60_000

export async function openQueues(options: QueuesOptions): Promise<Queues> {
  const { onError } = options
  const backend = await openBackend(options)
  const [dispatch, wake] = await openProducers(backend, onError)
  const soon = <T>(work: Promise<T>) => withDeadline(work, PRODUCER_TIMEOUT_MS, 'the queue')
  const isFull = createFullness(dispatch)

  return {
    async addDispatches(batches) {
      if (batches.length === 0 || isFull()) return
      await soon(add(dispatch, batches.map(dispatchJob)))
    },
    async addWakes(wakes) {
      const near = wakes.filter(({ at }) => at.getTime() < Date.now() + WAKE_HORIZON_MS)
      if (near.length > 0) await soon(add(wake, near.map(wakeJob)))
    },
    startDispatch: (handler, concurrency) => startWorker(backend, 'dispatch', handler, concurrency, onError),
    startWake: (handler, concurrency) => startWorker(backend, 'wake', handler, concurrency, onError),
    counts: async () => (await soon(Promise.all([dispatch, wake].map(countJobs)))).flat(),
    ping: () => soon(backend.ping()),
    async close() {
      await Promise.all([dispatch, wake].map((queue) => soon(queue.close()).catch(onError)))
      await soon(backend.close()).catch(onError)
    },
  }
}

async function openProducers(backend: QueueBackend, onError: (error: unknown) => void): Promise<[Queue, Queue]> {
  try {
    return await Promise.all([openProducer(backend, 'dispatch', onError), openProducer(backend, 'wake', onError)])
  } catch (error) {
    await backend.close().catch(onError)
    throw new SettingError(`the queue cannot be used: ${messageOf(error)}`, { cause: error })
  }
}

/** A producer whose store did not answer when it began stays without it: it is made anew. */
async function openProducer(backend: QueueBackend, name: string, onError: (error: unknown) => void): Promise<Queue> {
  for (let tries = 1; ; tries++) {
    const queue = backend.queue(name)
    queue.on('error', onError)
    try {
      await queue.waitUntilReady()
      return queue
    } catch (error) {
      if (tries === MOST_TRIES) throw error
      onError(error)
      await queue.close().catch(onError)
      await pause(OPEN_AGAIN_AFTER_MS)
    }
  }
}

async function countJobs(queue: Queue) {
  const counts = await queue.getJobCounts('waiting', 'active', 'delayed')
  return Object.entries(counts).map(([state, count]) => ({ queue: queue.name, state, count }))
}

function openBackend({ database, redisUrls, prefix = '{alert-relay}', onError }: QueuesOptions) {
  if (redisUrls.length > 0) return redisBackend(redisUrls, prefix, onError)
  if (database.embedded) return embeddedBackend(database.embedded)
  if (database.url !== undefined) return postgresBackend(database.url)
  throw new Error('a database is a server or embedded')
}

interface NewJob {
  name: string
  data: object
  opts: JobsOptions
}

function dispatchJob(batch: Batch): NewJob {
  return { name: 'dispatch', data: batch, opts: { ...JOB_OPTIONS, jobId: batch.batchId } }
}

/** PostgreSQL makes temporary tables for a bulk: dear for the one job that is nearly always added. */
async function add(queue: Queue, jobs: readonly NewJob[]): Promise<void> {
  const [first] = jobs
  if (jobs.length === 1 && first) await queue.add(first.name, first.data, first.opts)
  else await queue.addBulk([...jobs])
}

/** In one second a delivery queue is woken once: a job of that second is early for nothing that is due in it. */
function wakeJob({ webhookId, at }: Wake): NewJob {
  const now = Date.now()
  const second = Math.ceil(Math.max(at.getTime(), now) / 1000)
  const delay = Math.max(0, at.getTime() - now)
  return { name: 'wake', data: { webhookId }, opts: { ...JOB_OPTIONS, jobId: `${webhookId}.${second}`, delay } }
}

/** Whether the queue holds many jobs: counted in the background, so that nobody waits for it. */
function createFullness(queue: Queue): () => boolean {
  let full = false
  let countedMs = -Infinity
  const count = async () => {
    full = (await queue.getWaitingCount()) >= MOST_DISPATCHES
  }
  return () => {
    const nowMs = performance.now()
    if (nowMs - countedMs > COUNT_EVERY_MS) {
      countedMs = nowMs
      // A queue that does not answer is not full: that it is away shall be seen.
      count().catch(() => (full = false))
    }
    return full
  }
}

function startWorker<Data>(
  backend: QueueBackend,
  name: string,
  handler: Handler<Data>,
  concurrency: number,
  onError: (error: unknown) => void,
): QueueWorker {
  const underWay = new Set<Promise<void>>()
  const handle = (job: Job<Data>) => {
    const work = handler(job.data).finally(() => underWay.delete(work))
    underWay.add(work)
    return work
  }
  let isClosing = false
  let worker = open()

  function open(): Worker<Data> {
    const opened = backend.worker<Data>(name, handle, { ...TUNING, concurrency, autorun: false })
    opened.on('error', onError)
    opened.on('failed', (_job, error) => onError(error))
    void run(opened)
    return opened
  }

  /** A worker whose store was away when it began stays without it, and asks it without a pause. */
  async function run(opened: Worker<Data>): Promise<void> {
    try {
      await opened.waitUntilReady()
    } catch (error) {
      onError(error)
      await pause(OPEN_AGAIN_AFTER_MS, undefined, { ref: false })
      if (isClosing) return
      void opened.close().catch(onError)
      worker = open()
      return
    }
    await opened.run().catch(onError)
  }

  return {
    async close() {
      isClosing = true
      const closed = worker.close().catch(onError)
      const idle = Promise.allSettled(underWay).then(() => pause(CLOSE_PATIENCE_MS, undefined, { ref: false }))
      await Promise.race([closed, idle])
    },
  }
}
