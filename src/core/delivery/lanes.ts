/**
 * The lanes that this process works: at most one at a time for a webhook, and a bounded number in all.
 *
 * Promise: a wake-up is never lost: a lane at work is told, and what finds no place here is found again by upkeep.
 */
import { createBell, type Bell } from '../platform/bell.js'
import { workLane, type LaneOptions } from './lane.js'

export interface Lanes {
  /** Looks at what waits for a webhook. */
  wake(webhookId: string): void
  /** Begins nothing new and waits for what is under way. */
  close(): Promise<void>
}

/** A lane at work is a few promises and what its attempts hold; the gate bounds those. */
const MOST_LANES = 512

export function createLanes(options: Omit<LaneOptions, 'isClosing'>): Lanes {
  const { log } = options
  const atWork = new Map<string, { bell: Bell; over: Promise<void> }>()
  let closing = false
  const isClosing = () => closing

  async function work(webhookId: string, bell: Bell): Promise<void> {
    try {
      // rung after its last look: there may be something that it did not see
      do await workLane({ ...options, isClosing }, { webhookId, bell })
      while (bell.unheard() && !isClosing())
    } catch (error) {
      log.warn({ err: error, webhook_id: webhookId }, 'a lane stopped; upkeep begins it again')
    } finally {
      atWork.delete(webhookId)
    }
  }

  return {
    wake(webhookId) {
      const lane = atWork.get(webhookId)
      if (lane) return lane.bell.ring()
      if (closing || atWork.size >= MOST_LANES) return
      const bell = createBell()
      atWork.set(webhookId, { bell, over: work(webhookId, bell) })
    },
    async close() {
      closing = true
      for (const { bell } of atWork.values()) bell.ring()
      await Promise.all([...atWork.values()].map(({ over }) => over))
    },
  }
}
