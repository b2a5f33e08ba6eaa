/**
 * Paces the attempts that one process makes at one webhook.
 *
 * Guarantee: attempts take their slots one after the other, each counted from when the one before was really sent, so a
 * process that was slow for a moment does not catch up in a burst.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { slotAfter } from './pace.js'

export interface Pacer {
  /** The first free slot; null: none was taken at a rate. It is stored with the lease, so the next holder keeps the pace. */
  readonly nextSendAt: Date | null
  /**
   * How many more attempts may start: as many as one second has slots, less those that still prepare. A stored slot that
   * is further ahead than the interval is corrected.
   */
  available(ratePerSecond: number | null, now: Date): number
  /** Counts an attempt among those that prepare until its preparation, the wait for its slot included, has settled. */
  track<T>(preparation: Promise<T>): Promise<T>
  /** Resolves at the attempt's slot: the request has to follow at once. */
  waitForSlot(ratePerSecond: number | null): Promise<void>
}

export function createPacer(nextSendAt: Date | null): Pacer {
  let nextMs = nextSendAt?.getTime() ?? 0
  let preparing = 0
  let lastWait: Promise<void> = Promise.resolve()
  return {
    get nextSendAt() {
      return nextMs > 0 ? new Date(nextMs) : null
    },
    available(ratePerSecond, now) {
      nextMs = Math.min(nextMs, slotAfter(nextMs, now.getTime(), ratePerSecond).at)
      return ratePerSecond === null ? Infinity : Math.ceil(ratePerSecond) - preparing
    },
    async track(preparation) {
      preparing++
      try {
        return await preparation
      } finally {
        preparing--
      }
    },
    async waitForSlot(ratePerSecond) {
      if (ratePerSecond === null) return
      lastWait = lastWait.then(async () => {
        const { at } = slotAfter(nextMs, Date.now(), ratePerSecond)
        if (at > Date.now()) await sleep(Math.ceil(at - Date.now()))
        nextMs = slotAfter(nextMs, Date.now(), ratePerSecond).next
      })
      await lastWait
    },
  }
}
