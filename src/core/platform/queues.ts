/**
 * The queues: their jobs start work that is stored in the database.
 *
 * Guarantee: a job carries ids, never the only copy of anything. Job ids are derived from the work, so adding a job
 * twice is harmless; a job that is done or failed is removed, so that upkeep can add its id again.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { JobsOptions, Queue } from 'bullmq'
import type { FastifyBaseLogger } from 'fastify'
import type { Database } from './database.js'
import { withDeadline } from './deadline.js'
import { messageOf, SettingError } from './errors.js'
import { createMemoryQueue, type MemoryQueue } from './memory-queue.js'
import { postgresBackend, PRODUCER_TIMEOUT_MS, redisBackend, type QueueBackend } from './queue-backends.js'
import { REOPEN_DELAY_MS, startWorker, type Handler, type QueueWorker } from './queue-worker.js'

/** Events that one job dispatches. */
export interface Batch {
  batchId: string
  /** How many events it has, or had when they were stored. */
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

export interface Queues {
  /**
   * Adds one job per batch; a batch that is queued or being dispatched keeps its job. A full queue takes no jobs: the
   * batches wait in the database, and upkeep queues them when there is room.
   */
  addDispatches(batches: readonly Batch[]): Promise<void>
  /**
   * Adds delayed jobs, one per webhook and second. What is due in more than a minute is left to upkeep, so that the
   * queue stays small.
   */
  addWakes(wakes: readonly Wake[]): Promise<void>
  startDispatch(handler: Handler<Batch>, concurrency: number): QueueWorker
  startWake(handler: Handler<WakeJob>, concurrency: number): QueueWorker
  /** How many jobs are in each queue, by state. */
  counts(): Promise<{ queue: string; state: string; count: number }[]>
  /** Rejects within seconds when the queues' store takes no job now. */
  ping(): Promise<void>
  /** Closes the producers, after the workers were closed. */
  close(): Promise<void>
}

export interface QueuesOptions {
  database: Database
  redisUrls: string[]
  /** The first part of every key in Redis. */
  prefix?: string
  /** Called with errors in the background; the work is tried again. */
  onError: (error: unknown) => void
}

/** Logs a failure to queue work that is stored and was answered as accepted: upkeep queues it again. */
export async function leaveToUpkeep(queued: Promise<void>, log: FastifyBaseLogger): Promise<void> {
  await queued.catch((error: unknown) => log.warn({ err: error }, 'could not be queued now; upkeep queues it later'))
}

const JOB_OPTIONS = { removeOnComplete: true, removeOnFail: true, attempts: 1 }

/** A producer is opened this many times at most; its store may be away at first. */
const MAX_OPEN_TRIES = 5

/** The approximate size of a full dispatch queue, in jobs, and how often they are counted. */
const MAX_DISPATCH_JOBS = 20_000
const COUNT_INTERVAL_MS = 500
/** Wake-ups further ahead are left to upkeep. */
const WAKE_HORIZON_MS = 60_000

export async function openQueues(options: QueuesOptions): Promise<Queues> {
  const { database, redisUrls, onError } = options
  if (redisUrls.length === 0 && database.kind === 'embedded') return memoryQueues(onError)
  const backend = await openBackend(options)
  const [dispatch, wake] = await openProducers(backend, onError)
  const timed = <T>(work: Promise<T>) => withDeadline(work, PRODUCER_TIMEOUT_MS, 'the queue')
  const isFull = createFullCheck(dispatch)

  return {
    async addDispatches(batches) {
      if (batches.length === 0 || isFull()) return
      await timed(add(dispatch, batches.map(dispatchJob)))
    },
    async addWakes(wakes) {
      const near = nearOf(wakes)
      if (near.length > 0) await timed(add(wake, near.map(wakeJob)))
    },
    startDispatch: (handler, concurrency) => startWorker(backend, { name: 'dispatch', handler, concurrency, onError }),
    startWake: (handler, concurrency) => startWorker(backend, { name: 'wake', handler, concurrency, onError }),
    counts: async () => (await timed(Promise.all([dispatch, wake].map(countJobs)))).flat(),
    ping: () => timed(backend.ping()),
    async close() {
      await Promise.all([dispatch, wake].map((queue) => timed(queue.close()).catch(onError)))
      await timed(backend.close()).catch(onError)
    },
  }
}

/** The queues beside the embedded database, which one process has: its memory is as good a store, and costs no statements. */
function memoryQueues(onError: (error: unknown) => void): Queues {
  const dispatch = createMemoryQueue<Batch>(onError)
  const wake = createMemoryQueue<WakeJob>(onError)
  const countsOf = <Data>(queue: string, { counts }: MemoryQueue<Data>) =>
    Object.entries(counts()).map(([state, count]) => ({ queue, state, count }))
  return {
    async addDispatches(batches) {
      for (const batch of batches) {
        if (dispatch.counts().waiting >= MAX_DISPATCH_JOBS) return
        dispatch.add(batch.batchId, batch)
      }
    },
    async addWakes(wakes) {
      for (const { data, opts } of nearOf(wakes).map(wakeJob)) wake.add(opts.jobId, data, opts.delay)
    },
    startDispatch: (handler, concurrency) => dispatch.start(handler, concurrency),
    startWake: (handler, concurrency) => wake.start(handler, concurrency),
    counts: async () => [...countsOf('dispatch', dispatch), ...countsOf('wake', wake)],
    ping: async () => {},
    async close() {
      dispatch.close()
      wake.close()
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

/** A BullMQ queue whose store did not answer at first never connects: it is replaced by a new one. */
async function openProducer(backend: QueueBackend, name: string, onError: (error: unknown) => void): Promise<Queue> {
  for (let tries = 1; ; tries++) {
    const queue = backend.queue(name)
    queue.on('error', onError)
    try {
      await queue.waitUntilReady()
      return queue
    } catch (error) {
      if (tries === MAX_OPEN_TRIES) throw error
      onError(error)
      await queue.close().catch(onError)
      await pause(REOPEN_DELAY_MS)
    }
  }
}

async function countJobs(queue: Queue) {
  const counts = await queue.getJobCounts('waiting', 'active', 'delayed')
  return Object.entries(counts).map(([state, count]) => ({ queue: queue.name, state, count }))
}

function openBackend({ database, redisUrls, prefix = '{alert-relay}', onError }: QueuesOptions) {
  if (redisUrls.length > 0) return redisBackend(redisUrls, prefix, onError)
  if (database.isPooled) throw new SettingError(NEEDS_SESSIONS)
  if (database.url !== undefined) return postgresBackend(database.url)
  throw new Error('a database in a server has a URL')
}

const NEEDS_SESSIONS =
  'DATABASE_URL leads through a pooler (PgBouncer), where a queue cannot listen: set REDIS_URL, or let DATABASE_URL lead to PostgreSQL itself'

interface NewJob {
  name: string
  data: object
  opts: JobsOptions
}

function dispatchJob(batch: Batch): NewJob {
  return { name: 'dispatch', data: batch, opts: { ...JOB_OPTIONS, jobId: batch.batchId } }
}

/** One job, the usual case, is not added by `addBulk`: in PostgreSQL that creates temporary tables. */
async function add(queue: Queue, jobs: readonly NewJob[]): Promise<void> {
  const [first] = jobs
  if (jobs.length === 1 && first) await queue.add(first.name, first.data, first.opts)
  else await queue.addBulk([...jobs])
}

function nearOf(wakes: readonly Wake[]): Wake[] {
  return wakes.filter(({ at }) => at.getTime() < Date.now() + WAKE_HORIZON_MS)
}

/**
 * A delivery queue is woken once a second: the job id has the second in which the work is due, so further jobs of that
 * second are dropped.
 */
function wakeJob({ webhookId, at }: Wake) {
  const now = Date.now()
  const second = Math.ceil(Math.max(at.getTime(), now) / 1000)
  const delay = Math.max(0, at.getTime() - now)
  return { name: 'wake', data: { webhookId }, opts: { ...JOB_OPTIONS, jobId: `${webhookId}.${second}`, delay } }
}

/** Whether the queue is full, as last counted; the count runs in the background, so that no caller waits for it. */
function createFullCheck(queue: Queue): () => boolean {
  let full = false
  let countedMs = -Infinity
  const count = async () => {
    full = (await queue.getWaitingCount()) >= MAX_DISPATCH_JOBS
  }
  return () => {
    const nowMs = performance.now()
    if (nowMs - countedMs > COUNT_INTERVAL_MS) {
      countedMs = nowMs
      // A queue that does not answer does not count as full, so that adding to it fails visibly.
      count().catch(() => (full = false))
    }
    return full
  }
}
