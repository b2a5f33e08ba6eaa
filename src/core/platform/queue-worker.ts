/**
 * Workers: they run the jobs of one queue.
 *
 * Guarantee: a worker that cannot start, or loses its store, tries again until it is closed; closing waits for the
 * handlers that run, and never longer for the store than `CLOSE_TIMEOUT_MS` after them.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Job, Worker } from 'bullmq'
import type { QueueBackend, Tuning } from './queue-backends.js'

export type Handler<Data> = (data: Data) => Promise<void>

export interface QueueWorker {
  /** Takes no new job and waits for those that run. */
  close(): Promise<void>
}

/** The pause before a queue or worker whose store did not answer is opened again. */
export const REOPEN_DELAY_MS = 1000

/**
 * A stalled job (its process died) is run again within 9 s: its lock ends, the next check finds it without, the one after
 * that moves it. It may stall any number of times. A failed job is not retried by the queue: upkeep queues again what is
 * not done.
 */
const TUNING: Tuning = {
  lockDuration: 5000,
  stalledInterval: 2000,
  // An idle worker polls every second, in case a notification was lost.
  drainDelay: 1,
  // After a failure of the store a worker asks again this soon; BullMQ's default is 15 s.
  runRetryDelay: 1000,
  maxStalledCount: 1_000_000,
  removeOnComplete: { count: 0 },
  removeOnFail: { count: 0 },
}

/**
 * How long closing waits after the last handler has returned. BullMQ would wait for an unreachable store without limit;
 * a job whose end was not recorded comes back as stalled, and its work is found done.
 */
const CLOSE_TIMEOUT_MS = 3_000

export interface WorkerConfig<Data> {
  name: string
  handler: Handler<Data>
  concurrency: number
  /** Called with errors of the store and of handlers; the work is tried again. */
  onError: (error: unknown) => void
}

export function startWorker<Data>(
  backend: QueueBackend,
  { name, handler, concurrency, onError }: WorkerConfig<Data>,
): QueueWorker {
  const running = new Set<Promise<void>>()
  const handle = (job: Job<Data>) => {
    const work = handler(job.data).finally(() => running.delete(work))
    running.add(work)
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

  /**
   * A BullMQ worker whose store did not answer at first never connects and polls without pause: it is replaced by a new
   * one.
   */
  async function run(opened: Worker<Data>): Promise<void> {
    try {
      await opened.waitUntilReady()
    } catch (error) {
      onError(error)
      await pause(REOPEN_DELAY_MS, undefined, { ref: false })
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
      const idle = Promise.allSettled(running).then(() => pause(CLOSE_TIMEOUT_MS, undefined, { ref: false }))
      await Promise.race([closed, idle])
    },
  }
}
