/**
 * A concurrency limiter: how many attempts this process makes at once, at one webhook and in all.
 *
 * Guarantee: webhooks that hang, however many, leave room for those that answer. What gets no slot waits in the database, so
 * memory is bounded.
 *
 * A webhook's window grows by one with every success and is halved by every attempt without an answer (additive increase,
 * multiplicative decrease: RFC 5681). It is also bounded by a share of the free slots, so that the limiter never fills up
 * (dynamic thresholds: Choudhury and Hahne, 1998).
 */

const FIRST_WINDOW = 16
const LARGEST_WINDOW = 64
const MAX_IN_ALL = 1024
/** Webhooks without an answer lately, or ever, share these slots. */
const MAX_UNPROVEN = 512
/** The part of the free slots that one webhook may hold. */
const SHARE = 1 / 8
/** No slot of a webhook came free for so long: its waiters are refused. */
const STALLED_MS = 150
const MAX_WAIT_MS = 1000

interface Slots {
  window: number
  taken: number
}

/** Callers that wait for a slot of one webhook, first come first served. */
interface WaitList {
  waiters: { sinceMs: number; resolve: (acquired: boolean) => void }[]
  stalled: NodeJS.Timeout
}

export interface Limiter {
  /** Takes a slot of a webhook, if there is one. */
  tryAcquire(webhookId: string): boolean
  /** Takes a slot as soon as there is one; false when that is not soon. First come, first served. */
  acquire(webhookId: string): Promise<boolean>
  release(webhookId: string, result: 'succeeded' | 'failed' | 'unanswered'): void
  /** How many slots of a webhook are free. */
  available(webhookId: string): number
}

export function createLimiter(): Limiter {
  const held = new Map<string, Slots>()
  const waitLists = new Map<string, WaitList>()
  let inAll = 0
  const available = (webhookId: string) => {
    const { window, taken } = held.get(webhookId) ?? { window: FIRST_WINDOW, taken: 0 }
    const max = window > FIRST_WINDOW ? MAX_IN_ALL : MAX_UNPROVEN
    const share = Math.ceil(Math.max(0, max - inAll) * SHARE)
    return Math.max(0, Math.min(window, share) - taken)
  }
  const tryAcquire = (webhookId: string) => {
    if (available(webhookId) === 0) return false
    const slots = held.get(webhookId) ?? { window: FIRST_WINDOW, taken: 0 }
    slots.taken++
    inAll++
    held.set(webhookId, slots)
    return true
  }
  const refuseAll = (webhookId: string) => {
    const list = waitLists.get(webhookId)
    waitLists.delete(webhookId)
    for (const { resolve } of list?.waiters ?? []) resolve(false)
  }
  const admit = (webhookId: string, { waiters, stalled }: WaitList) => {
    while (waiters.length > 0 && tryAcquire(webhookId)) waiters.shift()!.resolve(true)
    const latestMs = performance.now() - MAX_WAIT_MS
    while (waiters.length > 0 && waiters[0]!.sinceMs < latestMs) waiters.shift()!.resolve(false)
    if (waiters.length > 0) return void stalled.refresh()
    clearTimeout(stalled)
    waitLists.delete(webhookId)
  }
  return {
    available,
    tryAcquire,
    async acquire(webhookId) {
      const list = waitLists.get(webhookId)
      if (!list && tryAcquire(webhookId)) return true
      return new Promise<boolean>((resolve) => {
        const { waiters } = list ?? newWaitList(webhookId)
        waiters.push({ sinceMs: performance.now(), resolve })
      })
    },
    release(webhookId, result) {
      const slots = held.get(webhookId)
      if (!slots) return
      slots.taken--
      inAll--
      if (result === 'succeeded') slots.window = Math.min(slots.window + 1, LARGEST_WINDOW)
      if (result === 'unanswered') slots.window = Math.max(1, Math.floor(slots.window / 2))
      // only a window that differs from the first is worth keeping
      if (slots.taken === 0 && slots.window === FIRST_WINDOW) held.delete(webhookId)
      const list = waitLists.get(webhookId)
      if (list) admit(webhookId, list)
    },
  }

  function newWaitList(webhookId: string): WaitList {
    const list = { waiters: [], stalled: setTimeout(refuseAll, STALLED_MS, webhookId) }
    waitLists.set(webhookId, list)
    return list
  }
}
