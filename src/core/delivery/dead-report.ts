/**
 * The notice of dead deliveries, `delivery.dead`: of one webhook one a minute at most, with how many died since the last.
 *
 * Guarantee: every delivery that dies is told of in one notice, unless it is retried before that. The notice and the note that
 * it was made are one transaction, however many processes run this. The death of a notice of this type makes none: two
 * receivers that are down would tell of each other's for ever; nor does that of a test, whose caller was told.
 */
import { findHealthReport } from '../circuit/health-store.js'
import { DEAD_NOTICE_TYPE, TEST_EVENT_TYPE, type CountEvent } from '../event/event.js'
import { storeNotice } from '../event/notice.js'
import type { Database, Queryable } from '../platform/database.js'
import { batchOf, type Queues } from '../platform/queues.js'
import { failureText, type AttemptOutcome } from './policy.js'

/** Between two notices about one webhook. */
export const DEAD_NOTICE_EVERY_MS = 60_000
/** Deliveries that a notice names. */
const NAMED = 10
/** Deliveries that a notice counts; the next notice counts the rest. */
const COUNTED = 10_000

export interface DeadReportOptions {
  database: Database
  queues: Pick<Queues, 'addDispatches'>
  countEvent?: CountEvent
}

/**
 * Stores and queues the notices that are due, of up to `limit` webhooks.
 * @returns of how many webhooks deaths were looked at
 */
export async function reportDead(
  { database, queues, countEvent }: DeadReportOptions,
  now: Date,
  limit: number,
): Promise<number> {
  const { rows } = await database.query<{ webhook_id: string }>(
    `select distinct u.webhook_id from unreported_dead u left join delivery_queues q on q.webhook_id = u.webhook_id
     where ${isDue('$1')} order by u.webhook_id limit $2`,
    [before(now), limit],
  )
  for (const { webhook_id: webhookId } of rows) {
    const notice = await database.transaction((tx) => reportOf(tx, webhookId, now))
    if (notice === undefined) continue
    countEvent?.({ type: DEAD_NOTICE_TYPE, source: 'relay' })
    await queues.addDispatches([batchOf(notice)])
  }
  return rows.length
}

/** Stores the notice about one webhook. @returns its event's id; undefined when there is nothing to tell, or another process told it */
async function reportOf(tx: Queryable, webhookId: string, now: Date): Promise<string | undefined> {
  const { rowCount: isOurs } = await tx.query(
    `select from delivery_queues q where q.webhook_id = $1 and ${isDue('$2')} for update`,
    [webhookId, before(now)],
  )
  const webhook = await findHealthReport(tx, webhookId)
  if (isOurs === 0 && webhook !== undefined) return undefined
  const ids = await take(tx, webhookId)
  const dead = webhook && (await findDead(tx, ids))
  if (!dead || dead.length === 0) return undefined
  await tx.query('update delivery_queues set dead_reported_at = $2 where webhook_id = $1', [webhookId, now])
  const deliveries = { count: Number(dead[0]!.total), first: dead.map(describe) }
  return storeNotice(tx, DEAD_NOTICE_TYPE, { webhookId, subject: { webhook: { ...webhook }, deliveries }, now })
}

function isDue(latest: string): string {
  return `(q.dead_reported_at is null or q.dead_reported_at <= ${latest})`
}

function before(now: Date): Date {
  return new Date(now.getTime() - DEAD_NOTICE_EVERY_MS)
}

/** Takes the deliveries that no notice told of, the first to die first. */
async function take(tx: Queryable, webhookId: string): Promise<string[]> {
  const { rows } = await tx.query<{ delivery_id: string }>(
    `delete from unreported_dead where delivery_id in (
       select delivery_id from unreported_dead where webhook_id = $1 order by died_at, delivery_id limit ${COUNTED})
     returning delivery_id`,
    [webhookId],
  )
  return rows.map(({ delivery_id: id }) => id)
}

interface DeadRow {
  id: string
  event_id: string
  type: string
  attempt_count: number
  reason: string
  died_at: Date
  outcome: AttemptOutcome | null
  status_code: number | null
  error: string | null
  total: bigint
}

/** Those of the deliveries that are still dead and that a notice tells of: their number, and the first of them. */
async function findDead(tx: Queryable, ids: readonly string[]): Promise<DeadRow[]> {
  const { rows } = await tx.query<DeadRow>(
    `select d.*, a.outcome, a.status_code, a.error
     from (
       select d.id, d.event_id, e.type, d.attempt_count, d.reason, d.updated_at as died_at, count(*) over () as total
       from deliveries d join events e on e.id = d.event_id
       where d.id = any($1) and d.status = 'dead' and e.type not in ('${DEAD_NOTICE_TYPE}', '${TEST_EVENT_TYPE}')
       order by d.updated_at, d.id limit ${NAMED}
     ) d left join lateral (
       select outcome, status_code, error from attempts where delivery_id = d.id order by id desc limit 1) a on true
     order by d.died_at, d.id`,
    [ids],
  )
  return rows
}

function describe({ outcome, ...row }: DeadRow) {
  const attempt = { statusCode: row.status_code, error: row.error }
  return {
    delivery_id: row.id,
    event_id: row.event_id,
    event_type: row.type,
    attempts: row.attempt_count,
    reason: row.reason,
    last_failure: outcome === null ? null : failureText({ outcome, ...attempt }),
    died_at: row.died_at.toISOString(),
  }
}
