/**
 * The queues: an alarm clock for work that is stored in the database.
 *
 * Promise: a job carries ids, never the only copy of anything; ids of jobs are derived, so queueing a thing twice is
 * harmless; a job that is done or failed leaves no trace, so its id is free for upkeep to queue again.
 */
import type { Job, JobsOptions, Queue, Worker } from 'bullmq'
import type { FastifyBaseLogger } from 'fastify'
import type { Database } from './database.js'
import { withDeadline } from './deadline.js'
import {
  embeddedBackend,
  postgresBackend,
  PRODUCER_TIMEOUT_MS,
  redisBackend,
  type QueueBackend,
  type Tuning,
} from './queue-backends.js'

export interface DispatchJob {
  eventId: string
}

/** The next attempt of a delivery. */
export interface RetryJob {
  deliveryId: string
  /** The number that the attempt will have, from 1. */
  attempt: number
  at: Date
}

export type RetryData = Omit<RetryJob, 'at'>
export type Handler<Data> = (data: Data) => Promise<void>

export interface QueueWorker {
  /** Takes no new job and waits for those under way. */
  close(): Promise<void>
}

export interface Queues {
  /** Queues one job per event; an event that is queued or being dispatched already is left alone. */
  addDispatches(eventIds: readonly string[]): Promise<void>
  /**
   * Queues one delayed job per attempt; one that is queued already keeps its time.
   * @param options.replace a waiting job gets the new time; one that is under way is left alone
   */
  addRetries(jobs: readonly RetryJob[], options?: { replace?: boolean }): Promise<void>
  startDispatch(handler: Handler<DispatchJob>, concurrency: number): QueueWorker
  startRetry(handler: Handler<RetryData>, concurrency: number): QueueWorker
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

export async function openQueues(options: QueuesOptions): Promise<Queues> {
  const { onError } = options
  const backend = await openBackend(options)
  const dispatch = backend.queue('dispatch')
  const retry = backend.queue('retry')
  for (const queue of [dispatch, retry]) queue.on('error', onError)
  const soon = <T>(work: Promise<T>) => withDeadline(work, PRODUCER_TIMEOUT_MS, 'the queue')

  return {
    async addDispatches(eventIds) {
      if (eventIds.length === 0) return
      await soon(add(dispatch, eventIds.map(dispatchJob)))
    },
    async addRetries(jobs, { replace = false } = {}) {
      if (jobs.length === 0) return
      if (replace) await soon(removeWaiting(retry, jobs))
      await soon(add(retry, jobs.map(retryJob)))
    },
    startDispatch: (handler, concurrency) => startWorker(backend, 'dispatch', handler, concurrency, onError),
    startRetry: (handler, concurrency) => startWorker(backend, 'retry', handler, concurrency, onError),
    counts: async () => (await soon(Promise.all([dispatch, retry].map(countJobs)))).flat(),
    ping: () => soon(backend.ping()),
    async close() {
      await Promise.all([dispatch, retry].map((queue) => soon(queue.close()).catch(onError)))
      await soon(backend.close()).catch(onError)
    },
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

function dispatchJob(eventId: string): NewJob {
  return { name: 'dispatch', data: { eventId }, opts: { ...JOB_OPTIONS, jobId: eventId } }
}

/** PostgreSQL makes temporary tables for a bulk: dear for the one job that is nearly always added. */
async function add(queue: Queue, jobs: readonly NewJob[]): Promise<void> {
  const [first] = jobs
  if (jobs.length === 1 && first) await queue.add(first.name, first.data, first.opts)
  else await queue.addBulk([...jobs])
}

function retryId({ deliveryId, attempt }: RetryJob): string {
  return `${deliveryId}.${attempt}`
}

function retryJob(job: RetryJob): NewJob {
  const { deliveryId, attempt, at } = job
  const delay = Math.max(0, at.getTime() - Date.now())
  return { name: 'retry', data: { deliveryId, attempt }, opts: { ...JOB_OPTIONS, jobId: retryId(job), delay } }
}

/** A job that is under way cannot be removed: it is the attempt that is wanted. */
async function removeWaiting(queue: Queue, jobs: readonly RetryJob[]): Promise<void> {
  await Promise.all(jobs.map((job) => queue.remove(retryId(job)).catch(() => 0)))
}

function startWorker<Data>(
  backend: QueueBackend,
  name: string,
  handler: Handler<Data>,
  concurrency: number,
  onError: (error: unknown) => void,
): QueueWorker {
  const worker: Worker<Data> = backend.worker<Data>(name, (job: Job<Data>) => handler(job.data), {
    ...TUNING,
    concurrency,
  })
  worker.on('error', onError)
  worker.on('failed', (_job, error) => onError(error))
  return { close: () => worker.close() }
}
