/**
 * Upkeep: finds stored work that no queue knows and queues it again; deletes what retention lets go.
 *
 * Promise: whatever the queue's store lost, every event not dispatched and every delivery that is due has a job again
 * within one interval. Job ids are derived, so what is queued already is queued once, also by two upkeeps at a time.
 */
import type { FastifyBaseLogger } from 'fastify'
import { findDue, type DuePosition } from '../core/delivery/delivery-store.js'
import { deleteOldEvents, findUndispatched } from '../core/event/event-store.js'
import type { Database } from '../core/platform/database.js'
import type { Queues } from '../core/platform/queues.js'

const INTERVAL_MS = 5000
/** Work younger than this is on its way to the queue by itself. */
const GRACE_MS = 1000
const BATCH = 500
/** Batches of one kind in one round: a longer backlog goes on in the next. */
const MAX_BATCHES = 20
const DAY_MS = 24 * 3600 * 1000

export interface UpkeepOptions {
  database: Database
  queues: Queues
  retentionDays: number
  log: FastifyBaseLogger
  intervalMs?: number
  now?: () => number
}

export interface Upkeep {
  /** One round now; the timer goes on. */
  runOnce(): Promise<void>
  /** Waits for the round under way. */
  close(): Promise<void>
}

export function startUpkeep(options: UpkeepOptions): Upkeep {
  const { log, intervalMs = INTERVAL_MS } = options
  let timer: NodeJS.Timeout | undefined
  let closed = false
  let round: Promise<void> = Promise.resolve()
  const runOnce = () => (round = round.catch(() => {}).then(() => upkeepRound(options)))
  const tick = async () => {
    await runOnce().catch((error: unknown) => log.error({ err: error }, 'upkeep failed; it is tried again'))
    if (!closed) timer = setTimeout(tick, intervalMs)
  }
  tick()
  return {
    runOnce,
    async close() {
      closed = true
      clearTimeout(timer)
      await round.catch(() => {})
    },
  }
}

async function upkeepRound({ database, queues, retentionDays, log, now = Date.now }: UpkeepOptions): Promise<void> {
  const before = new Date(now() - GRACE_MS)
  const dispatches = await requeueDispatches(database, queues, before)
  const retries = await requeueRetries(database, queues, before)
  const deleted = await deleteOldEvents(database, new Date(now() - retentionDays * DAY_MS), BATCH)
  if (dispatches + retries + deleted > 0) log.debug({ dispatches, retries, deleted }, 'upkeep')
}

async function requeueDispatches(database: Database, queues: Queues, before: Date): Promise<number> {
  let after = ''
  let count = 0
  for (let batch = 0; batch < MAX_BATCHES; batch++) {
    const ids = await findUndispatched(database, { before, after, limit: BATCH })
    if (ids.length > 0) await queues.addDispatches(ids)
    count += ids.length
    if (ids.length < BATCH) break
    after = ids.at(-1)!
  }
  return count
}

async function requeueRetries(database: Database, queues: Queues, before: Date): Promise<number> {
  let after: DuePosition = { at: new Date(0), id: '' }
  let count = 0
  for (let batch = 0; batch < MAX_BATCHES; batch++) {
    const jobs = await findDue(database, { before, after, limit: BATCH })
    if (jobs.length > 0) await queues.addRetries(jobs)
    count += jobs.length
    if (jobs.length < BATCH) break
    const last = jobs.at(-1)!
    after = { at: last.at, id: last.deliveryId }
  }
  return count
}
