/**
 * DeliveryQueues in the database: who works on what waits for a webhook, and what is due there.
 *
 * Promise: of all processes one at a time holds a delivery queue, by the database's clock, so that theirs may differ; whoever asks
 * for a delivery queue that is held leaves a note, and the holder looks once more before it lets go.
 */
import type { StoredEvent } from '../event/event.js'
import { eventOf, type EventRow } from '../event/event-store.js'
import type { Queryable } from '../platform/database.js'
import type { Health } from '../circuit/health.js'
import { HEALTH_COLUMNS, healthOf, type HealthRow } from '../circuit/health-store.js'

/** What its holder needs of a delivery queue. */
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
 * Takes a delivery queue that is free, or whose holder's time is over.
 * @returns undefined when another process holds it (it is told that somebody asked), or when there is no such delivery queue
 */
export async function acquireLease(
  db: Queryable,
  webhookId: string,
  holder: string,
  heldMs: number,
): Promise<Lease | undefined> {
  const isFree = '(q.holder is null or q.holder = $2 or q.held_until < now())'
  const { rows } = await db.query<LeaseRow>(
    `update delivery_queues q set
       wanted = not ${isFree},
       holder = case when ${isFree} then $2 else q.holder end,
       held_until = case when ${isFree} then ${inMs('$3')} else q.held_until end
     where q.webhook_id = $1 returning ${LEASE_COLUMNS}`,
    [webhookId, holder, heldMs],
  )
  return leaseOf(rows[0])
}

/** Holds a delivery queue for longer. @returns undefined when it is lost */
export async function renewLease(
  db: Queryable,
  webhookId: string,
  holder: string,
  { heldMs, nextSendAt }: { heldMs: number; nextSendAt: Date | null },
): Promise<Lease | undefined> {
  const { rows } = await db.query<LeaseRow>(
    `update delivery_queues q set held_until = ${inMs('$3')}, next_send_at = $4
     where q.webhook_id = $1 and q.holder = $2 returning ${LEASE_COLUMNS}`,
    [webhookId, holder, heldMs, nextSendAt],
  )
  return leaseOf(rows[0])
}

/**
 * Lets a delivery queue go, unless somebody asked for it meanwhile.
 * @returns the delivery queue, when it is still held: there is something to look at
 */
export async function releaseLease(
  db: Queryable,
  webhookId: string,
  holder: string,
  { heldMs, nextSendAt }: { heldMs: number; nextSendAt: Date | null },
): Promise<Lease | undefined> {
  const { rows } = await db.query<LeaseRow>(
    `update delivery_queues q set
       holder = case when q.wanted then q.holder end,
       held_until = case when q.wanted then ${inMs('$3')} end,
       wanted = false,
       next_send_at = $4
     where q.webhook_id = $1 and q.holder = $2 returning ${LEASE_COLUMNS}`,
    [webhookId, holder, heldMs, nextSendAt],
  )
  return leaseOf(rows[0])
}

export async function deleteQueue(db: Queryable, webhookId: string): Promise<void> {
  await db.query('delete from delivery_queues where webhook_id = $1', [webhookId])
}

function inMs(parameter: string): string {
  return `now() + ${parameter}::double precision * interval '1 millisecond'`
}

function leaseOf(row: LeaseRow | undefined): Lease | undefined {
  return row?.mine ? { health: healthOf(row), nextSendAt: row.next_send_at } : undefined
}

/** A delivery that is due, with its event. */
export interface DueDelivery {
  id: string
  attemptCount: number
  scheduleStart: number
  replay: boolean
  /** True when other changes are sent with it. */
  carries: boolean
  event: StoredEvent
}

/**
 * What is due at a webhook, the longest due first.
 * @param options.skip ids that are under way
 * @param options.inOrder true: of each alert the first waiting change alone, and only when every change before it is
 *   dispatched
 */
export async function listDue(
  db: Queryable,
  webhookId: string,
  { now, skip, limit, inOrder }: { now: Date; skip: readonly string[]; limit: number; inOrder: boolean },
): Promise<DueDelivery[]> {
  const { rows } = await db.query<
    EventRow & { delivery_id: string; attempt_count: number; schedule_start: number; replay: boolean; carries: boolean }
  >(
    `select e.*, d.id as delivery_id, d.attempt_count, d.schedule_start, d.replay,
       exists (select from deliveries f where f.folded_into = d.id) as carries
     from deliveries d join events e on e.id = d.event_id
     where d.webhook_id = $1 and d.status = 'pending' and d.next_attempt_at <= $2 and d.id <> all($3)
     ${inOrder ? IS_FIRST : ''}
     order by d.next_attempt_at, d.id limit $4`,
    [webhookId, now, skip, limit],
  )
  return rows.map((row) => ({
    id: row.delivery_id,
    attemptCount: row.attempt_count,
    scheduleStart: row.schedule_start,
    replay: row.replay,
    carries: row.carries,
    event: eventOf(row),
  }))
}

const IS_FIRST = `and (d.alert_id is null or not exists (
    select from deliveries o
    where o.webhook_id = d.webhook_id and o.alert_id = d.alert_id and o.status = 'pending' and o.sequence < d.sequence
  ) and not exists (
    select from undispatched u where u.alert_id = d.alert_id and u.sequence < d.sequence))`

/** When the next delivery of a webhook is due; undefined: nothing waits. */
export async function nextDueAt(db: Queryable, webhookId: string): Promise<Date | undefined> {
  const { rows } = await db.query<{ at: Date | null }>(
    `select min(next_attempt_at) as at from deliveries where webhook_id = $1 and status = 'pending'`,
    [webhookId],
  )
  return rows[0]?.at ?? undefined
}

/**
 * For a webhook in order: what is due but waits for an earlier change of its alert gets that one's time.
 * @returns how many there were
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

/** For a webhook in order: the next waiting change of these alerts is due now, unless it waits for a retry of its own. */
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

/** A delivery queue with something to do. */
export interface DueQueue {
  webhookId: string
  at: Date
}

/** DeliveryQueues that nobody holds and that have something due before `before`, or are to be dropped or settled. */
export async function findDueQueues(
  db: Queryable,
  { before, after, limit }: { before: Date; after: string; limit: number },
): Promise<DueQueue[]> {
  const { rows } = await db.query<{ webhook_id: string; at: Date }>(
    `select q.webhook_id, coalesce(greatest(due.at, q.probe_at, q.next_send_at), $1) as at
     from delivery_queues q left join webhooks w on w.id = q.webhook_id left join lateral (
       select next_attempt_at as at from deliveries d
       where d.webhook_id = q.webhook_id and d.status = 'pending' order by next_attempt_at limit 1) due on true
     where q.webhook_id > $2 and (q.held_until is null or q.held_until < now())
       and (w.id is null or w.status = 'enabled' and (
         q.health = 'recovering' or due.at < $1 and (q.probe_at is null or q.probe_at < $1)))
     order by q.webhook_id limit $3`,
    [before, after, limit],
  )
  return rows.map((row) => ({ webhookId: row.webhook_id, at: row.at }))
}

/** No webhook waits longer: five minutes to a probe and a fifth, a hundred seconds to a place in its pace. */
const LONGEST_WAIT = `interval '10 minutes'`

/**
 * Puts delivery queues right. One without a webhook is made again for what was written after it was gone, so that it is dropped; one
 * whose times are further ahead than any rule sets them, by a clock that ran ahead, may go on now.
 */
export async function repairQueues(db: Queryable, now: Date): Promise<number> {
  const { rowCount: made } = await db.query(
    `with recursive waiting as (
       (select webhook_id from deliveries where status = 'pending' order by webhook_id limit 1)
       union all
       select (select d.webhook_id from deliveries d
               where d.status = 'pending' and d.webhook_id > w.webhook_id order by d.webhook_id limit 1)
       from waiting w where w.webhook_id is not null
     )
     insert into delivery_queues (webhook_id) select webhook_id from waiting where webhook_id is not null
     on conflict (webhook_id) do nothing`,
  )
  const { rowCount: early } = await db.query(
    `update delivery_queues set
       probe_at = case when probe_at > $1::timestamptz + ${LONGEST_WAIT} then $1 else probe_at end,
       next_send_at = case when next_send_at > $1::timestamptz + ${LONGEST_WAIT} then $1 else next_send_at end,
       recovering_since = least(recovering_since, $1)
     where probe_at > $1::timestamptz + ${LONGEST_WAIT} or next_send_at > $1::timestamptz + ${LONGEST_WAIT}
       or recovering_since > $1::timestamptz + ${LONGEST_WAIT}`,
    [now],
  )
  return made + early
}
