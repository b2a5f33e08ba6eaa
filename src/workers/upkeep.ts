/**
 * Upkeep: finds stored work that no queue knows and queues it again; takes the steps of recoveries; deletes what retention
 * lets go.
 *
 * Promise: whatever the queue's store lost, every event not dispatched has a job again, and every delivery queue with something due
 * is woken, within one interval. Job ids are derived, so what is queued already is queued once, also by two upkeeps at a
 * time. Everything is done in bounded batches: a backlog of millions takes more rounds, never longer ones.
 */
import type { FastifyBaseLogger } from 'fastify'
import { AUDIT_KEPT_MS, deleteOldAuditEntries } from '../core/access/audit-store.js'
import { deleteEndedWindows } from '../core/alert/window-store.js'
import { bringForward } from '../core/delivery/delivery-store.js'
import { findDueQueues, repairQueues } from '../core/delivery/delivery-queue-store.js'
import { stepRecovery } from '../core/delivery/recovery-store.js'
import { deleteOldEvents, findWaitingBatches, type ArrivalPosition } from '../core/event/event-store.js'
import { quietAlerts } from '../core/event/quiet.js'
import type { Database } from '../core/platform/database.js'
import { deleteOldKeys, IDEMPOTENCY_KEPT_MS } from '../core/platform/idempotency.js'
import type { Queues } from '../core/platform/queues.js'
import { deleteFreeIndicators } from '../core/indicator/indicator-store.js'
import type { Registry } from '../core/webhook/registry.js'

const INTERVAL_MS = 5000
/** A round that did not get to the end of something is followed soon. */
const SOON_MS = 250
/** Work younger than this is on its way to the queue by itself. */
const GRACE_MS = 1000
const BATCH = 500
/** Batches of one kind in one round: a longer backlog goes on in the next. */
const MAX_BATCHES = 20
const DAY_MS = 24 * 3600 * 1000
/** No schedule waits longer: a week, doubled for no answer, a fifth late, and a day. */
const LONGEST_WAIT_MS = 7 * DAY_MS * 2 * 1.2 + DAY_MS

export interface UpkeepOptions {
  database: Database
  queues: Pick<Queues, 'addDispatches' | 'addWakes'>
  registry: Registry
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

/** What a round did, and whether there is more of it. */
interface Done {
  count: number
  isMore: boolean
}

export function startUpkeep(options: UpkeepOptions): Upkeep {
  const { log, intervalMs = INTERVAL_MS } = options
  const sweep = createSweep(options)
  let timer: NodeJS.Timeout | undefined
  let closed = false
  let round: Promise<boolean> = Promise.resolve(false)
  const run = () => (round = round.catch(() => false).then(() => upkeepRound(options, sweep)))
  const tick = async () => {
    const isMore = await run().catch((error: unknown) => {
      log.error({ err: error }, 'upkeep failed; it is tried again')
      return false
    })
    if (!closed) timer = setTimeout(tick, isMore ? Math.min(SOON_MS, intervalMs) : intervalMs)
  }
  tick()
  return {
    async runOnce() {
      await run()
    },
    async close() {
      closed = true
      clearTimeout(timer)
      await round.catch(() => {})
    },
  }
}

/** @returns true when there is more to do at once */
async function upkeepRound(options: UpkeepOptions, sweep: (now: Date) => Promise<Done>): Promise<boolean> {
  const { database, queues, registry, alertQuietAfterMs, intervalMs = INTERVAL_MS, log, now = Date.now } = options
  const at = new Date(now())
  const done = {
    dispatches: await requeueDispatches(database, queues, new Date(now() - GRACE_MS)),
    mended: onePass(await repairQueues(database, at)),
    deliveryQueues: await wakeQueues(database, queues, new Date(now() + intervalMs)),
    early: onePass(await bringForward(database, new Date(now() + LONGEST_WAIT_MS), at, BATCH)),
    recoveries: await stepRecoveries(database, queues, registry, at),
    quiet: onePass(await makeQuiet(options, alertQuietAfterMs, at)),
    deleted: await sweep(at),
  }
  const counts = Object.fromEntries(Object.entries(done).map(([what, { count }]) => [what, count]))
  if (Object.values(counts).some((count) => count > 0)) log.debug(counts, 'upkeep')
  return Object.values(done).some(({ isMore }) => isMore)
}

function onePass(count: number): Done {
  return { count, isMore: count >= BATCH }
}

async function makeQuiet(options: UpkeepOptions, afterMs: number | undefined, now: Date): Promise<number> {
  if (afterMs === undefined) return 0
  return quietAlerts(options, { before: new Date(now.getTime() - afterMs), now, limit: BATCH })
}

async function requeueDispatches(database: Database, queues: UpkeepOptions['queues'], before: Date): Promise<Done> {
  let after = ''
  let count = 0
  for (let batch = 0; batch < MAX_BATCHES; batch++) {
    const batches = await findWaitingBatches(database, { before, after, limit: BATCH })
    await queues.addDispatches(batches)
    count += batches.length
    if (batches.length < BATCH) return { count, isMore: false }
    after = batches.at(-1)!.batchId
  }
  return { count, isMore: true }
}

/** Wakes every delivery queue with something due before the next round; each wake-up has its own time. */
async function wakeQueues(database: Database, queues: UpkeepOptions['queues'], before: Date): Promise<Done> {
  let after = ''
  let count = 0
  for (;;) {
    const due = await findDueQueues(database, { before, after, limit: BATCH })
    await queues.addWakes(due)
    count += due.length
    if (due.length < BATCH) return { count, isMore: false }
    after = due.at(-1)!.webhookId
  }
}

async function stepRecoveries(
  database: Database,
  queues: UpkeepOptions['queues'],
  registry: Registry,
  now: Date,
): Promise<Done> {
  for (let step = 0; step < MAX_BATCHES; step++) {
    const webhookId = await stepRecovery(database, registry, now, BATCH)
    if (webhookId === undefined) return { count: step, isMore: false }
    await queues.addWakes([{ webhookId, at: now }])
  }
  return { count: MAX_BATCHES, isMore: true }
}

/** One batch a round of everything that is kept for a time; events are gone through from the oldest on, round by round. */
function createSweep({ database, registry, retentionDays }: UpkeepOptions): (now: Date) => Promise<Done> {
  const start: ArrivalPosition = { at: new Date(0), id: '' }
  let position = start
  return async (now) => {
    const ago = (ms: number) => new Date(now.getTime() - ms)
    const before = ago(retentionDays * DAY_MS)
    const events = await deleteOldEvents(database, { before, after: position, limit: BATCH })
    position = events.next ?? start
    let deleted = await deleteEndedWindows(database, ago(DAY_MS), BATCH)
    deleted += await deleteOldKeys(database, ago(IDEMPOTENCY_KEPT_MS), BATCH)
    deleted += await deleteOldAuditEntries(database, ago(AUDIT_KEPT_MS), BATCH)
    const { enabled } = await registry.current()
    for (const webhook of enabled) deleted += await deleteFreeIndicators(database, webhook, now, BATCH)
    return { count: events.deleted + deleted, isMore: events.deleted === BATCH }
  }
}
