/**
 * Upkeep: finds stored work that no queue knows and queues it again; deletes what retention lets go.
 *
 * Promise: whatever the queue's store lost, every event not dispatched and every delivery that is due has a job again
 * within one interval. Job ids are derived, so what is queued already is queued once, also by two upkeeps at a time. It
 * also makes the events of alerts that went quiet.
 */
import type { FastifyBaseLogger } from 'fastify'
import { findDue, type DuePosition } from '../core/delivery/delivery-store.js'
import { deleteEndedWindows } from '../core/alert/window-store.js'
import { deleteOldEvents, findUndispatched } from '../core/event/event-store.js'
import { quietAlerts } from '../core/event/quiet.js'
import type { Database } from '../core/platform/database.js'
import { deleteOldKeys, IDEMPOTENCY_KEPT_MS } from '../core/platform/idempotency.js'
import type { Queues } from '../core/platform/queues.js'
import type { Sealer } from '../core/platform/secrets.js'
import { deleteFreeIndicators } from '../core/webhook/indicator-store.js'
import { listTargets } from '../core/webhook/webhook-store.js'

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
  sealer: Sealer
  retentionDays: number
  /** Undefined: alerts never go quiet. */
  alertQuietAfterMs?: number
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

async function upkeepRound(options: UpkeepOptions): Promise<void> {
  const { database, queues, alertQuietAfterMs, log, now = Date.now } = options
  const at = new Date(now())
  const before = new Date(now() - GRACE_MS)
  const dispatches = await requeueDispatches(database, queues, before)
  const retries = await requeueRetries(database, queues, before)
  const quietBefore = alertQuietAfterMs === undefined ? undefined : new Date(now() - alertQuietAfterMs)
  const quiet = quietBefore ? await quietAlerts(options, { before: quietBefore, now: at, limit: BATCH }) : 0
  const deleted = await deleteOld(options, at)
  if (dispatches + retries + quiet + deleted > 0) log.debug({ dispatches, retries, quiet, deleted }, 'upkeep')
}

/** One batch of everything that is kept for a time. */
async function deleteOld({ database, sealer, retentionDays }: UpkeepOptions, now: Date): Promise<number> {
  const ago = (ms: number) => new Date(now.getTime() - ms)
  let deleted = await deleteOldEvents(database, ago(retentionDays * DAY_MS), BATCH)
  deleted += await deleteEndedWindows(database, ago(DAY_MS), BATCH)
  deleted += await deleteOldKeys(database, ago(IDEMPOTENCY_KEPT_MS), BATCH)
  for (const webhook of await listTargets(database, sealer)) {
    deleted += await deleteFreeIndicators(database, webhook, now, BATCH)
  }
  return deleted
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
