/**
 * The delivery queues that this process works: each by one worker, and a bounded number in all.
 *
 * Guarantee: no wake-up is lost. A queue that is being worked is looked at once more; one that there is no room for is woken
 * again by upkeep.
 */
import { createSignal, type Signal } from '../platform/signal.js'
import { workQueue, type QueueWorkerOptions } from './delivery-queue.js'

export interface DeliveryQueues {
  /** Works the delivery queue of a webhook, or has its worker look for due deliveries again. */
  wake(webhookId: string): void
  /** Starts no further attempt and waits for those in flight. */
  close(): Promise<void>
}

/** A worker is a few promises and what its attempts hold; the limiter bounds those. */
const MAX_WORKERS = 512

export function createDeliveryQueues(options: Omit<QueueWorkerOptions, 'isClosing'>): DeliveryQueues {
  const { log } = options
  const workers = new Map<string, { signal: Signal; ended: Promise<void> }>()
  let closing = false
  const isClosing = () => closing

  async function work(webhookId: string, signal: Signal): Promise<void> {
    try {
      // A signal that came after the worker's last look may stand for a delivery that it did not see.
      do await workQueue({ ...options, isClosing }, { webhookId, signal })
      while (signal.consume() && !isClosing())
    } catch (error) {
      log.warn({ err: error, webhook_id: webhookId }, 'a delivery queue stopped; upkeep starts it again')
    } finally {
      workers.delete(webhookId)
    }
  }

  return {
    wake(webhookId) {
      const worker = workers.get(webhookId)
      if (worker) return worker.signal.notify()
      if (closing || workers.size >= MAX_WORKERS) return
      const signal = createSignal()
      workers.set(webhookId, { signal, ended: work(webhookId, signal) })
    },
    async close() {
      closing = true
      for (const { signal } of workers.values()) signal.notify()
      await Promise.all([...workers.values()].map(({ ended }) => ended))
    },
  }
}
