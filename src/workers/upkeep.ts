/**
 * Upkeep, every few seconds: queues stored work that has no job, advances recoveries, marks quiet alerts, tells of dead
 * deliveries, gives values from before an upgrade their keys, deletes what is older than its retention.
 *
 * Guarantee: whatever the queue's store lost, within one interval every undispatched event has a job and every delivery
 * queue with something due is woken. Job ids are derived, so work that has a job gets no second one, also when several
 * processes run upkeep. All work is done in bounded batches: a backlog takes more rounds, not longer ones.
 */
import type { FastifyBaseLogger } from 'fastify'
import { AUDIT_KEPT_MS, deleteOldAuditEntries } from '../core/access/audit-store.js'
import { keyOldValues } from '../core/alert/value-keying-store.js'
import { deleteEndedWindows } from '../core/alert/window-store.js'
import { reportDead } from '../core/delivery/dead-report.js'
import { deleteOldSends } from '../core/delivery/webhook-alert-store.js'
import { bringForward } from '../core/delivery/delivery-store.js'
import { findDueQueues, repairQueues } from '../core/delivery/delivery-queue-store.js'
import { stepRecovery } from '../core/delivery/recovery-store.js'
import type { CountEvent } from '../core/event/event.js'
import { deleteOldEvents, findWaitingBatches, type ArrivalPosition } from '../core/event/event-store.js'
import { quietAlerts } from '../core/event/quiet.js'
import type { Database } from '../core/platform/database.js'
import { deleteOldKeys, IDEMPOTENCY_KEPT_MS } from '../core/platform/idempotency.js'
import type { Queues } from '../core/platform/queues.js'
import { deleteFreeIndicators } from '../core/indicator/indicator-store.js'
import type { Registry } from '../core/webhook/registry.js'

const INTERVAL_MS = 5000
/** Until the next round when one has left work over. */
const SOON_MS = 250
/** Events younger than this are being queued by the process that stored them. */
const GRACE_MS = 1000
/** Rows that one statement reads or changes. */
const BATCH = 500
/** Values from before an upgrade that get their key in one round. */
const KEYED = 2000
/** Batches of one kind in one round; the next round continues. */
const MAX_BATCHES = 20
const DAY_MS = 24 * 3600 * 1000
/** Longer than any wait of a schedule: a week, doubled for no answer, a fifth of jitter, and a day. */
const LONGEST_WAIT_MS = 7 * DAY_MS * 2 * 1.2 + DAY_MS

export interface UpkeepOptions {
  database: Database
  queues: Pick<Queues, 'addDispatches' | 'addWakes'>
  registry: Registry
  retentionDays: number
  /** Undefined: alerts never go quiet. */
  alertQuietAfterMs?: number
  countEvent?: CountEvent
  log: FastifyBaseLogger
  intervalMs?: number
  now?: () => number
}

export interface Upkeep {
  /** Runs one round now, besides those of the timer. */
  runOnce(): Promise<void>
  /** Stops the timer and waits for the round that runs. */
  close(): Promise<void>
}

/** How many rows a task handled, and whether more are left. */
interface Progress {
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
      log.error({ err: error }, 'upkeep failed; it runs again')
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

/** Runs every task once. @returns true when one has left work over */
async function upkeepRound(options: UpkeepOptions, sweep: (now: Date) => Promise<Progress>): Promise<boolean> {
  const { database, queues, registry, alertQuietAfterMs, intervalMs = INTERVAL_MS, log, now = Date.now } = options
  const at = new Date(now())
  const done = {
    dispatches: await requeueDispatches(database, queues, new Date(now() - GRACE_MS)),
    mended: toProgress(await repairQueues(database, at)),
    deliveryQueues: await wakeQueues(database, queues, new Date(now() + intervalMs)),
    early: toProgress(await bringForward(database, new Date(now() + LONGEST_WAIT_MS), at, BATCH)),
    recoveries: await stepRecoveries(database, queues, registry, at),
    quiet: toProgress(await makeQuiet(options, alertQuietAfterMs, at)),
    dead: toProgress(await reportDead(options, at, BATCH)),
    keyed: toProgress(await keyOldValues(database, KEYED)),
    deleted: await sweep(at),
  }
  const counts = Object.fromEntries(Object.entries(done).map(([what, { count }]) => [what, count]))
  if (Object.values(counts).some((count) => count > 0)) log.debug(counts, 'upkeep')
  return Object.values(done).some(({ isMore }) => isMore)
}

function toProgress(count: number): Progress {
  return { count, isMore: count >= BATCH }
}

async function makeQuiet(options: UpkeepOptions, afterMs: number | undefined, now: Date): Promise<number> {
  if (afterMs === undefined) return 0
  return quietAlerts(options, { before: new Date(now.getTime() - afterMs), now, limit: BATCH })
}

async function requeueDispatches(database: Database, queues: UpkeepOptions['queues'], before: Date): Promise<Progress> {
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

/** Queues a wake-up for every delivery queue with something due before the next round, at the time when it is due. */
async function wakeQueues(database: Database, queues: UpkeepOptions['queues'], before: Date): Promise<Progress> {
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
): Promise<Progress> {
  for (let step = 0; step < MAX_BATCHES; step++) {
    const webhookId = await stepRecovery(database, registry, now, BATCH)
    if (webhookId === undefined) return { count: step, isMore: false }
    await queues.addWakes([{ webhookId, at: now }])
  }
  return { count: MAX_BATCHES, isMore: true }
}

/** Deletes, in each round, one batch of each kind of expired rows. Rounds walk through the events from the oldest on. */
function createSweep({ database, registry, retentionDays }: UpkeepOptions): (now: Date) => Promise<Progress> {
  const start: ArrivalPosition = { at: new Date(0), id: '' }
  let position = start
  return async (now) => {
    const ago = (ms: number) => new Date(now.getTime() - ms)
    const before = ago(retentionDays * DAY_MS)
    const events = await deleteOldEvents(database, { before, after: position, limit: BATCH })
    position = events.next ?? start
    let deleted = await deleteEndedWindows(database, ago(DAY_MS), BATCH)
    deleted += await deleteOldKeys(database, ago(IDEMPOTENCY_KEPT_MS), BATCH)
    deleted += await deleteOldSends(database, ago(DAY_MS), BATCH)
    deleted += await deleteOldAuditEntries(database, ago(AUDIT_KEPT_MS), BATCH)
    const { enabled } = await registry.current()
    for (const webhook of enabled) deleted += await deleteFreeIndicators(database, webhook, now, BATCH)
    return { count: events.deleted + deleted, isMore: events.deleted === BATCH }
  }
}
