/**
 * A queue in the memory of the one process that has the embedded database: an added job starts at once, without a statement.
 *
 * Guarantee: that of the queues: a job whose id waits or runs is not added again, and one that ended or failed frees its id. What a
 * killed process had queued is stored in the database, where upkeep finds it.
 */
import type { Handler, QueueWorker } from './queue-worker.js'

export interface MemoryQueue<Data> {
  /** Adds a job that may start after the delay, in milliseconds. */
  add(id: string, data: Data, delayMs?: number): void
  start(handler: Handler<Data>, concurrency: number): QueueWorker
  counts(): { waiting: number; active: number; delayed: number }
  /** Forgets what waits. */
  close(): void
}

interface Consumer<Data> {
  handler: Handler<Data>
  free: number
}

/** @param onError called with what handlers throw */
export function createMemoryQueue<Data>(onError: (error: unknown) => void): MemoryQueue<Data> {
  /** In the order in which they are to start. */
  const waiting = new Map<string, Data>()
  const active = new Set<string>()
  const delayed = new Map<string, NodeJS.Timeout>()
  const consumers = new Set<Consumer<Data>>()

  function startWaiting(): void {
    for (const consumer of consumers) {
      while (consumer.free > 0) {
        const [next] = waiting
        if (!next) return
        waiting.delete(next[0])
        void run(consumer, ...next)
      }
    }
  }

  async function run(consumer: Consumer<Data>, id: string, data: Data): Promise<void> {
    consumer.free--
    active.add(id)
    try {
      await consumer.handler(data)
    } catch (error) {
      onError(error)
    }
    active.delete(id)
    consumer.free++
    startWaiting()
  }

  function makeWaiting(id: string, data: Data): void {
    delayed.delete(id)
    waiting.set(id, data)
    // after the caller: who adds a job does not wait for its handler's first step
    setImmediate(startWaiting)
  }

  return {
    add(id, data, delayMs = 0) {
      if (waiting.has(id) || active.has(id) || delayed.has(id)) return
      if (delayMs <= 0) makeWaiting(id, data)
      else delayed.set(id, setTimeout(makeWaiting, delayMs, id, data).unref())
    },
    start(handler, concurrency) {
      const running = new Set<Promise<void>>()
      const consumer: Consumer<Data> = {
        free: concurrency,
        handler(data) {
          const work = handler(data).finally(() => running.delete(work))
          running.add(work)
          return work
        },
      }
      consumers.add(consumer)
      setImmediate(startWaiting)
      return {
        async close() {
          consumers.delete(consumer)
          await Promise.allSettled(running)
        },
      }
    },
    counts: () => ({ waiting: waiting.size, active: active.size, delayed: delayed.size }),
    close() {
      for (const timer of delayed.values()) clearTimeout(timer)
      delayed.clear()
      waiting.clear()
    },
  }
}
