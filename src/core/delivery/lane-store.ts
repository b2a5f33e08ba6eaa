/**
 * Lanes in the database: who works on what waits for a webhook, and what is due there.
 *
 * Promise: of all processes one at a time holds a lane, by the database's clock, so that theirs may differ; whoever asks
 * for a lane that is held leaves a note, and the holder looks once more before it lets go.
 */
import type { StoredEvent } from '../event/event.js'
import { eventOf, type EventRow } from '../event/event-store.js'
import type { Queryable } from '../platform/database.js'
import type { Health } from '../circuit/health.js'
import { HEALTH_COLUMNS, healthOf, type HealthRow } from '../circuit/health-store.js'

/** What its holder needs of a lane. */
export interface Lane {
  health: Health
  /** With a rate: no attempt before this time. */
  nextSendAt: Date | null
}

interface LaneRow extends HealthRow {
  next_send_at: Date | null
  mine: boolean
}

const LANE_COLUMNS = `${HEALTH_COLUMNS}, l.next_send_at, l.holder is not distinct from $2 as mine`

/**
 * Takes a lane that is free, or whose holder's time is over.
 * @returns undefined when another process holds it (it is told that somebody asked), or when there is no such lane
 */
export async function takeLane(
  db: Queryable,
  webhookId: string,
  holder: string,
  heldMs: number,
): Promise<Lane | undefined> {
  const isFree = '(l.holder is null or l.holder = $2 or l.held_until < now())'
  const { rows } = await db.query<LaneRow>(
    `update lanes l set
       wanted = not ${isFree},
       holder = case when ${isFree} then $2 else l.holder end,
       held_until = case when ${isFree} then ${inMs('$3')} else l.held_until end
     where l.webhook_id = $1 returning ${LANE_COLUMNS}`,
    [webhookId, holder, heldMs],
  )
  return laneOf(rows[0])
}

/** Holds a lane for longer. @returns undefined when it is lost */
export async function renewLane(
  db: Queryable,
  webhookId: string,
  holder: string,
  { heldMs, nextSendAt }: { heldMs: number; nextSendAt: Date | null },
): Promise<Lane | undefined> {
  const { rows } = await db.query<LaneRow>(
    `update lanes l set held_until = ${inMs('$3')}, next_send_at = $4
     where l.webhook_id = $1 and l.holder = $2 returning ${LANE_COLUMNS}`,
    [webhookId, holder, heldMs, nextSendAt],
  )
  return laneOf(rows[0])
}

/**
 * Lets a lane go, unless somebody asked for it meanwhile.
 * @returns the lane, when it is still held: there is something to look at
 */
export async function releaseLane(
  db: Queryable,
  webhookId: string,
  holder: string,
  { heldMs, nextSendAt }: { heldMs: number; nextSendAt: Date | null },
): Promise<Lane | undefined> {
  const { rows } = await db.query<LaneRow>(
    `update lanes l set
       holder = case when l.wanted then l.holder end,
       held_until = case when l.wanted then ${inMs('$3')} end,
       wanted = false,
       next_send_at = $4
     where l.webhook_id = $1 and l.holder = $2 returning ${LANE_COLUMNS}`,
    [webhookId, holder, heldMs, nextSendAt],
  )
  return laneOf(rows[0])
}

export async function deleteLane(db: Queryable, webhookId: string): Promise<void> {
  await db.query('delete from lanes where webhook_id = $1', [webhookId])
}

function inMs(parameter: string): string {
  return `now() + ${parameter}::double precision * interval '1 millisecond'`
}

function laneOf(row: LaneRow | undefined): Lane | undefined {
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

/** A lane with something to do. */
export interface WaitingLane {
  webhookId: string
  at: Date
}

/** Lanes that nobody holds and that have something due before `before`, or are to be dropped or settled. */
export async function findWaitingLanes(
  db: Queryable,
  { before, after, limit }: { before: Date; after: string; limit: number },
): Promise<WaitingLane[]> {
  const { rows } = await db.query<{ webhook_id: string; at: Date }>(
    `select l.webhook_id, coalesce(greatest(due.at, l.probe_at, l.next_send_at), $1) as at
     from lanes l left join webhooks w on w.id = l.webhook_id left join lateral (
       select next_attempt_at as at from deliveries d
       where d.webhook_id = l.webhook_id and d.status = 'pending' order by next_attempt_at limit 1) due on true
     where l.webhook_id > $2 and (l.held_until is null or l.held_until < now())
       and (w.id is null or w.status = 'enabled' and (
         l.health = 'recovering' or due.at < $1 and (l.probe_at is null or l.probe_at < $1)))
     order by l.webhook_id limit $3`,
    [before, after, limit],
  )
  return rows.map((row) => ({ webhookId: row.webhook_id, at: row.at }))
}

/** No webhook waits longer: five minutes to a probe and a fifth, a hundred seconds to a place in its pace. */
const LONGEST_LANE_WAIT = `interval '10 minutes'`

/**
 * Puts lanes right. One without a webhook is made again for what was written after it was gone, so that it is dropped; one
 * whose times are further ahead than any rule sets them, by a clock that ran ahead, may go on now.
 */
export async function mendLanes(db: Queryable, now: Date): Promise<number> {
  const { rowCount: made } = await db.query(
    `with recursive waiting as (
       (select webhook_id from deliveries where status = 'pending' order by webhook_id limit 1)
       union all
       select (select d.webhook_id from deliveries d
               where d.status = 'pending' and d.webhook_id > w.webhook_id order by d.webhook_id limit 1)
       from waiting w where w.webhook_id is not null
     )
     insert into lanes (webhook_id) select webhook_id from waiting where webhook_id is not null
     on conflict (webhook_id) do nothing`,
  )
  const { rowCount: early } = await db.query(
    `update lanes set
       probe_at = case when probe_at > $1::timestamptz + ${LONGEST_LANE_WAIT} then $1 else probe_at end,
       next_send_at = case when next_send_at > $1::timestamptz + ${LONGEST_LANE_WAIT} then $1 else next_send_at end,
       recovering_since = least(recovering_since, $1)
     where probe_at > $1::timestamptz + ${LONGEST_LANE_WAIT} or next_send_at > $1::timestamptz + ${LONGEST_LANE_WAIT}
       or recovering_since > $1::timestamptz + ${LONGEST_LANE_WAIT}`,
    [now],
  )
  return made + early
}
