/**
 * The delivery queues that this process works: at most one at a time for a webhook, and a bounded number in all.
 *
 * Promise: a wake-up is never lost: a delivery queue at work is told, and what finds no place here is found again by upkeep.
 */
import { createSignal, type Signal } from '../platform/signal.js'
import { workQueue, type QueueWorkerOptions } from './delivery-queue.js'

export interface DeliveryQueues {
  /** Looks at what waits for a webhook. */
  wake(webhookId: string): void
  /** Begins nothing new and waits for what is under way. */
  close(): Promise<void>
}

/** A delivery queue at work is a few promises and what its attempts hold; the limiter bounds those. */
const MOST_QUEUES = 512

export function createDeliveryQueues(options: Omit<QueueWorkerOptions, 'isClosing'>): DeliveryQueues {
  const { log } = options
  const atWork = new Map<string, { signal: Signal; over: Promise<void> }>()
  let closing = false
  const isClosing = () => closing

  async function work(webhookId: string, signal: Signal): Promise<void> {
    try {
      // rung after its last look: there may be something that it did not see
      do await workQueue({ ...options, isClosing }, { webhookId, signal })
      while (signal.consume() && !isClosing())
    } catch (error) {
      log.warn({ err: error, webhook_id: webhookId }, 'a delivery queue stopped; upkeep begins it again')
    } finally {
      atWork.delete(webhookId)
    }
  }

  return {
    wake(webhookId) {
      const working = atWork.get(webhookId)
      if (working) return working.signal.notify()
      if (closing || atWork.size >= MOST_QUEUES) return
      const signal = createSignal()
      atWork.set(webhookId, { signal, over: work(webhookId, signal) })
    },
    async close() {
      closing = true
      for (const { signal } of atWork.values()) signal.notify()
      await Promise.all([...atWork.values()].map(({ over }) => over))
    },
  }
}
