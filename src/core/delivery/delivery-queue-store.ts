/**
 * Delivery queues in the database: their leases, and the deliveries that are due in them.
 *
 * Guarantee: one process at a time holds the lease of a delivery queue, by the database's clock, so the clocks of processes
 * may differ. A process that finds the lease taken sets `wanted`; the holder works the queue once more before it releases
 * the lease.
 */
import type { StoredEvent } from '../event/event.js'
import { eventOf, type EventRow } from '../event/event-store.js'
import type { Cut } from '../format/body.js'
import type { Queryable } from '../platform/database.js'
import type { Health } from '../circuit/health.js'
import { HEALTH_COLUMNS, healthOf, type HealthRow } from '../circuit/health-store.js'
import { RETRY_AFTER_LIMIT_S } from './policy.js'

/** What the holder of a lease needs to know of the delivery queue. */
export interface Lease {
  health: Health
  /** With a rate: no attempt before this time. */
  nextSendAt: Date | null
}

interface LeaseRow extends HealthRow {
  next_send_at: Date | null
  mine: boolean
}

const LEASE_COLUMNS = `${HEALTH_COLUMNS}, q.next_send_at, q.holder is not distinct from $2 as mine`

/**
 * Takes the lease of a delivery queue if it is free, expired or this process's own.
 * @returns undefined when another process holds the lease (then `wanted` is set), or when there is no such delivery queue
 */
export async function acquireLease(
  db: Queryable,
  webhookId: string,
  holder: string,
  leaseMs: number,
): Promise<Lease | undefined> {
  const isFree = '(q.holder is null or q.holder = $2 or q.held_until < now())'
  const { rows } = await db.query<LeaseRow>(
    `update delivery_queues q set
       wanted = not ${isFree},
       holder = case when ${isFree} then $2 else q.holder end,
       held_until = case when ${isFree} then ${fromNow('$3')} else q.held_until end
     where q.webhook_id = $1 returning ${LEASE_COLUMNS}`,
    [webhookId, holder, leaseMs],
  )
  return leaseOf(rows[0])
}

/** Renews a lease for `leaseMs` from now. @returns undefined when another process has taken it */
export async function renewLease(
  db: Queryable,
  webhookId: string,
  holder: string,
  { leaseMs, nextSendAt }: { leaseMs: number; nextSendAt: Date | null },
): Promise<Lease | undefined> {
  const { rows } = await db.query<LeaseRow>(
    `update delivery_queues q set held_until = ${fromNow('$3')}, next_send_at = $4
     where q.webhook_id = $1 and q.holder = $2 returning ${LEASE_COLUMNS}`,
    [webhookId, holder, leaseMs, nextSendAt],
  )
  return leaseOf(rows[0])
}

/**
 * Releases a lease, unless `wanted` is set: then the lease is renewed and `wanted` cleared.
 * @returns the lease when it was renewed; undefined when it was released, or another process has taken it
 */
export async function releaseLease(
  db: Queryable,
  webhookId: string,
  holder: string,
  { leaseMs, nextSendAt }: { leaseMs: number; nextSendAt: Date | null },
): Promise<Lease | undefined> {
  const { rows } = await db.query<LeaseRow>(
    `update delivery_queues q set
       holder = case when q.wanted then q.holder end,
       held_until = case when q.wanted then ${fromNow('$3')} end,
       wanted = false,
       next_send_at = $4
     where q.webhook_id = $1 and q.holder = $2 returning ${LEASE_COLUMNS}`,
    [webhookId, holder, leaseMs, nextSendAt],
  )
  return leaseOf(rows[0])
}

export async function deleteQueue(db: Queryable, webhookId: string): Promise<void> {
  await db.query('delete from delivery_queues where webhook_id = $1', [webhookId])
}

function fromNow(parameter: string): string {
  return `now() + ${parameter}::double precision * interval '1 millisecond'`
}

function leaseOf(row: LeaseRow | undefined): Lease | undefined {
  return row?.mine ? { health: healthOf(row), nextSendAt: row.next_send_at } : undefined
}

/** A delivery that is due, and its event. */
export interface DueDelivery {
  id: string
  attemptCount: number
  scheduleStart: number
  replay: boolean
  /** True when an attempt was made, or when it takes up no more changes for another reason. */
  sealed: boolean
  /** True when other changes are coalesced into it. */
  carries: boolean
  /** How many changes without news it counts. */
  spared: number
  /** How much of the body is left out at least. */
  cut: Cut
  dueAt: Date
  event: StoredEvent
}

/** A place in the order in which deliveries are due. */
export type DuePosition = Pick<DueDelivery, 'id' | 'dueAt'>

export interface DueOptions {
  now: Date
  skip: readonly string[]
  inOrder: boolean
}

/**
 * The deliveries that are due at a webhook, the longest due first.
 * @param options.skip ids of deliveries that are left out
 * @param options.inOrder true: of each alert only the first pending change, and only when every earlier change is
 *   dispatched
 * @param options.only the id of the only delivery that is listed; undefined: all
 * @param options.after the last of the page before; undefined: from the first on. Its time is in whole milliseconds, so
 *   that page may come again in part: `skip` has to leave that out
 */
export async function listDue(
  db: Queryable,
  webhookId: string,
  { now, skip, limit, inOrder, only, after }: DueOptions & { limit: number; only?: string; after?: DuePosition },
): Promise<DueDelivery[]> {
  const { rows } = await db.query<
    EventRow & {
      delivery_id: string
      attempt_count: number
      schedule_start: number
      replay: boolean
      sealed: boolean
      carries: boolean
      spared: number | null
      cut: Cut
      next_attempt_at: Date
    }
  >(
    `select e.*, d.id as delivery_id, d.attempt_count, d.schedule_start, d.replay, d.sealed, d.spared, d.cut, d.next_attempt_at,
       exists (select from deliveries f where f.folded_into = d.id) as carries
     from deliveries d join events e on e.id = d.event_id
     where d.webhook_id = $1 and d.status = 'pending' and d.next_attempt_at <= $2 and d.id <> all($3)
     ${inOrder ? IS_FIRST_OF_ALERT : ''} ${only === undefined ? '' : 'and d.id = $5'}
     ${after === undefined ? '' : 'and (d.next_attempt_at, d.id) > ($5, $6)'}
     order by d.next_attempt_at, d.id limit $4`,
    [webhookId, now, skip, limit, ...(only === undefined ? [] : [only]), ...(after ? [after.dueAt, after.id] : [])],
  )
  return rows.map((row) => ({
    id: row.delivery_id,
    attemptCount: row.attempt_count,
    scheduleStart: row.schedule_start,
    replay: row.replay,
    sealed: row.sealed,
    carries: row.carries,
    spared: row.spared ?? 0,
    cut: row.cut,
    dueAt: row.next_attempt_at,
    event: eventOf(row),
  }))
}

/** A condition on a delivery `d`. */
export const IS_FIRST_OF_ALERT = `and (d.alert_id is null or not exists (
    select from deliveries o
    where o.webhook_id = d.webhook_id and o.alert_id = d.alert_id and o.status = 'pending' and o.sequence < d.sequence
  ) and not exists (
    select from undispatched u where u.alert_id = d.alert_id and u.sequence < d.sequence))`

/** When the next delivery of a webhook is due; undefined: none is pending. */
export async function nextDueAt(db: Queryable, webhookId: string): Promise<Date | undefined> {
  const { rows } = await db.query<{ at: Date | null }>(
    `select min(next_attempt_at) as at from deliveries where webhook_id = $1 and status = 'pending'`,
    [webhookId],
  )
  return rows[0]?.at ?? undefined
}

/**
 * For a webhook with `order: alert`: a delivery that is due, while an earlier change of its alert waits for a retry, gets
 * the time of that retry.
 * @returns how many deliveries were postponed
 */
export async function postponeBlocked(db: Queryable, webhookId: string, now: Date, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `with due as (
       select id, alert_id, sequence from deliveries
       where webhook_id = $1 and status = 'pending' and next_attempt_at <= $2 and alert_id is not null
       order by next_attempt_at limit $3
     )
     update deliveries d set next_attempt_at = first.next_attempt_at
     from due cross join lateral (
       select sequence, next_attempt_at from deliveries
       where webhook_id = $1 and alert_id = due.alert_id and status = 'pending' order by sequence limit 1) first
     where d.id = due.id and first.sequence < due.sequence and first.next_attempt_at > $2`,
    [webhookId, now, limit],
  )
  return rowCount
}

/**
 * For a webhook with `order: alert`: makes the next pending change of each of these alerts due now, unless it waits for a
 * retry of its own.
 */
export async function releaseNext(
  db: Queryable,
  webhookId: string,
  alertIds: readonly string[],
  now: Date,
): Promise<void> {
  await db.query(
    `update deliveries set next_attempt_at = $3
     where id in (
       select distinct on (alert_id) id from deliveries
       where webhook_id = $1 and alert_id = any($2) and status = 'pending' order by alert_id, sequence)
     and status = 'pending' and attempt_count = schedule_start and next_attempt_at > $3`,
    [webhookId, alertIds, now],
  )
}

export interface DueQueue {
  webhookId: string
  /** When it is to be worked. */
  at: Date
}

/**
 * Delivery queues without a valid lease that have a delivery due before `before`, or whose webhook is deleted or
 * recovering.
 * @param options.after the webhook id of the last row of the page before; '' at first
 */
export async function findDueQueues(
  db: Queryable,
  { before, after, limit }: { before: Date; after: string; limit: number },
): Promise<DueQueue[]> {
  const { rows } = await db.query<{ webhook_id: string; at: Date }>(
    `select q.webhook_id, coalesce(greatest(due.at, q.probe_at, q.resume_at, q.next_send_at), $1) as at
     from delivery_queues q left join webhooks w on w.id = q.webhook_id left join lateral (
       select next_attempt_at as at from deliveries d
       where d.webhook_id = q.webhook_id and d.status = 'pending' order by next_attempt_at limit 1) due on true
     where q.webhook_id > $2 and (q.held_until is null or q.held_until < now())
       and (w.id is null or w.status = 'enabled' and (
         q.health = 'recovering' or due.at < $1 and coalesce(greatest(q.probe_at, q.resume_at) < $1, true)))
     order by q.webhook_id limit $3`,
    [before, after, limit],
  )
  return rows.map((row) => ({ webhookId: row.webhook_id, at: row.at }))
}

/** The longest waits are shorter: five minutes and a fifth to a probe, a hundred seconds to the next slot of a rate. */
const LONGEST_WAIT = `interval '10 minutes'`
/** The longest Retry-After that is followed, and as much again as above for clocks that differ. */
const LONGEST_HOLD = `interval '${RETRY_AFTER_LIMIT_S} seconds' + ${LONGEST_WAIT}`

/**
 * Repairs delivery queues. A missing one is inserted for deliveries that were written after it was deleted with its webhook,
 * so that they are dropped. Times further ahead than any rule sets them, from a clock that ran ahead, become now.
 * @returns how many were repaired
 */
export async function repairQueues(db: Queryable, now: Date): Promise<number> {
  const { rowCount: inserted } = await db.query(
    `with recursive pending as (
       (select webhook_id from deliveries where status = 'pending' order by webhook_id limit 1)
       union all
       select (select d.webhook_id from deliveries d
               where d.status = 'pending' and d.webhook_id > p.webhook_id order by d.webhook_id limit 1)
       from pending p where p.webhook_id is not null
     )
     insert into delivery_queues (webhook_id) select webhook_id from pending where webhook_id is not null
     on conflict (webhook_id) do nothing`,
  )
  const { rowCount: corrected } = await db.query(
    `update delivery_queues set
       probe_at = case when probe_at > $1::timestamptz + ${LONGEST_WAIT} then $1 else probe_at end,
       next_send_at = case when next_send_at > $1::timestamptz + ${LONGEST_WAIT} then $1 else next_send_at end,
       resume_at = case when resume_at > $1::timestamptz + ${LONGEST_HOLD} then $1 else resume_at end,
       recovering_since = least(recovering_since, $1)
     where probe_at > $1::timestamptz + ${LONGEST_WAIT} or next_send_at > $1::timestamptz + ${LONGEST_WAIT}
       or recovering_since > $1::timestamptz + ${LONGEST_WAIT} or resume_at > $1::timestamptz + ${LONGEST_HOLD}`,
    [now],
  )
  return inserted + corrected
}
