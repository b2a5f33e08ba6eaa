/**
 * Deliveries and attempts in the database: every move of a delivery (policy.ts has the state machine).
 *
 * Promise: an attempt's record and what it means for its delivery are written in one statement; a delivery moves on from
 * the attempt it was at, once, whoever else works on it.
 */
import type { StoredEvent } from '../event/event.js'
import type { Queryable } from '../platform/database.js'
import { newId } from '../platform/id.js'
import type { Attempt } from './attempt.js'
import type { DeliveryState, DeliveryStatus } from './policy.js'

export interface DeliveryRow {
  id: string
  event_id: string
  webhook_id: string
  status: DeliveryStatus
  reason: string | null
  attempt_count: number
  schedule_start: number
  next_attempt_at: Date | null
  alert_id: string | null
  sequence: bigint | null
  replay: boolean
  sealed: boolean
  folded_into: string | null
  created_at: Date
  updated_at: Date
}

/** What the dispatch of an event came to at one webhook. */
export interface Dispatched {
  /** Made by the caller, so that a record that is written twice is one. */
  deliveryId: string
  webhookId: string
  state: DeliveryState
  /** Undefined: no attempt has ended; it is under way (then `state` says when it is given up) or the delivery waits. */
  attempt: Attempt | undefined
  /** True when an attempt was begun: what it was sent must not change any more. */
  sealed: boolean
}

/** What was done for one event. */
export interface DispatchRecord {
  event: Pick<StoredEvent, 'id' | 'batchId' | 'alertId' | 'sequence'>
  results: readonly Dispatched[]
}

/**
 * Records what was done for events and that they are dispatched: one statement, however many events and webhooks, harmless to
 * repeat. A delivery that another worker recorded meanwhile stays as it is; one that ends dead gives its indicators back.
 */
export async function recordDispatches(db: Queryable, records: readonly DispatchRecord[], now: Date): Promise<void> {
  const rows = records.flatMap(({ event, results }) => results.map((result) => ({ event, ...result })))
  const attempts = rows.flatMap(({ deliveryId, attempt }) => (attempt ? [{ deliveryId, attempt }] : []))
  await db.query(
    `with dispatched as (
       delete from undispatched u using unnest($2::text[], $22::text[]) as d (event_id, batch_id)
       where u.batch_id = d.batch_id and u.event_id = d.event_id
     ), delivery as (
       insert into deliveries
         (id, event_id, webhook_id, status, reason, attempt_count, next_attempt_at, alert_id, sequence, sealed,
          created_at, updated_at)
       select id, event_id, webhook_id, status, reason, attempt_count, next_attempt_at, alert_id, sequence, sealed, $1, $1
       from unnest($3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::text[], $10::int[],
           $11::timestamptz[], $12::boolean[])
         as d (id, event_id, alert_id, sequence, webhook_id, status, reason, attempt_count, next_attempt_at, sealed)
       on conflict (event_id, webhook_id) do nothing
       returning id
     ), given_back as (
       delete from indicators i using unnest($4::text[], $7::text[], $8::text[]) as d (event_id, webhook_id, status)
       where d.status = 'dead' and i.webhook_id = d.webhook_id and i.event_id = d.event_id
     )
     insert into attempts (${ATTEMPT_COLUMNS})
     select ${ATTEMPT_COLUMNS}
     from unnest($13::text[], $14::text[], $15::int[], $16::text[], $17::int[], $18::text[], $19::text[], $20::int[],
         $21::timestamptz[]) as a (${ATTEMPT_COLUMNS})
     where delivery_id in (select id from delivery)`,
    [
      now,
      records.map(({ event }) => event.id),
      rows.map(({ deliveryId }) => deliveryId),
      rows.map(({ event }) => event.id),
      rows.map(({ event }) => event.alertId),
      rows.map(({ event }) => event.sequence),
      rows.map(({ webhookId }) => webhookId),
      rows.map(({ state }) => state.status),
      rows.map(({ state }) => state.reason),
      rows.map(({ attempt }) => (attempt ? attempt.number : 0)),
      rows.map(({ state }) => state.nextAttemptAt),
      rows.map(({ sealed }) => sealed),
      ...attemptColumns(attempts),
      records.map(({ event }) => event.batchId),
    ],
  )
}

/** A later attempt at a delivery, or one whose dispatch was recorded before it ended. */
export interface EndedAttempt {
  deliveryId: string
  attempt: Attempt
  state: DeliveryState
}

/**
 * Records attempts, harmless to repeat. A delivery moves on only if it still waited for this very attempt: one that was dropped or attempted
 * meanwhile keeps its state, and the attempt is on record all the same. One that ends dead gives its indicators back.
 */
export async function recordAttempts(db: Queryable, ended: readonly EndedAttempt[], now: Date): Promise<void> {
  if (ended.length === 0) return
  await db.query(
    `with moved as (
       update deliveries d
       set status = e.status, reason = e.reason, next_attempt_at = e.next_attempt_at, attempt_count = e.number,
         updated_at = $1
       from unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::int[])
         as e (id, status, reason, next_attempt_at, number)
       where d.id = e.id and d.attempt_count = e.number - 1 and d.status = 'pending'
       returning d.event_id, d.webhook_id, d.status
     ), given_back as (
       delete from indicators i using moved
       where moved.status = 'dead' and i.event_id = moved.event_id and i.webhook_id = moved.webhook_id
     )
     insert into attempts (${ATTEMPT_COLUMNS})
     select ${ATTEMPT_COLUMNS}
     from unnest($7::text[], $8::text[], $9::int[], $10::text[], $11::int[], $12::text[], $13::text[], $14::int[],
         $15::timestamptz[]) as a (${ATTEMPT_COLUMNS})
     where delivery_id in (select id from deliveries where id = any($2))
     on conflict do nothing`,
    [
      now,
      ended.map(({ deliveryId }) => deliveryId),
      ended.map(({ state }) => state.status),
      ended.map(({ state }) => state.reason),
      ended.map(({ state }) => state.nextAttemptAt),
      ended.map(({ attempt }) => attempt.number),
      ...attemptColumns(ended),
    ],
  )
}

const ATTEMPT_COLUMNS = 'id, delivery_id, number, outcome, status_code, error, response_body, duration_ms, started_at'

function attemptColumns(ended: readonly Pick<EndedAttempt, 'deliveryId' | 'attempt'>[]): unknown[][] {
  return [
    ended.map(({ attempt }) => attempt.id),
    ended.map(({ deliveryId }) => deliveryId),
    ended.map(({ attempt }) => attempt.number),
    ended.map(({ attempt }) => attempt.outcome),
    ended.map(({ attempt }) => attempt.statusCode),
    ended.map(({ attempt }) => attempt.error),
    ended.map(({ attempt }) => attempt.responseBody),
    ended.map(({ attempt }) => attempt.durationMs),
    ended.map(({ attempt }) => attempt.startedAt),
  ]
}

/**
 * Drops up to `limit` deliveries that wait for a deleted webhook.
 * @returns how many there were
 */
export async function dropDeliveries(db: Queryable, webhookId: string, now: Date, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `update deliveries
     set status = 'dropped', reason = 'the webhook was deleted', next_attempt_at = null, updated_at = $2
     where status = 'pending' and id in (select id from deliveries where webhook_id = $1 and status = 'pending' limit $3)`,
    [webhookId, now, limit],
  )
  return rowCount
}

/** Drops one waiting delivery. */
export async function dropDelivery(db: Queryable, id: string, reason: string, now: Date): Promise<void> {
  await db.query(
    `update deliveries set status = 'dropped', reason = $2, next_attempt_at = null, updated_at = $3
     where id = $1 and status = 'pending'`,
    [id, reason, now],
  )
}

/**
 * Makes a delivery due at once and begins its schedule anew, whatever became of it; a dropped one stays dropped, and one
 * that was folded becomes a delivery of its own again.
 * @returns its webhook; undefined when there is no such delivery or it is dropped
 */
export async function restartDelivery(db: Queryable, id: string, now: Date): Promise<string | undefined> {
  const { rows } = await db.query<{ webhook_id: string }>(
    `update deliveries set ${RESTARTED} where id = $1 and status <> 'dropped' returning webhook_id`,
    [id, now],
  )
  return rows[0]?.webhook_id
}

/** What narrows a restart of many; everything given must hold. */
export interface RestartFilter {
  status: 'dead' | 'pending'
  webhookId?: string
  eventType?: string
  since?: Date
  until?: Date
}

/**
 * Restarts up to `limit` deliveries, the oldest first.
 * @returns the webhook of each
 */
export async function restartDeliveries(
  db: Queryable,
  filter: RestartFilter,
  now: Date,
  limit: number,
): Promise<string[]> {
  const { rows } = await db.query<{ webhook_id: string }>(
    `update deliveries d set ${RESTARTED}
     where d.id in (
       select d.id from deliveries d join events e on e.id = d.event_id
       where d.status = $1 and ($3::text is null or d.webhook_id = $3) and ($4::text is null or e.type = $4)
         and ($5::timestamptz is null or d.created_at >= $5) and ($6::timestamptz is null or d.created_at < $6)
         and ($1 <> 'pending' or d.next_attempt_at > $2)
         and exists (select from webhooks w where w.id = d.webhook_id)
       order by d.id limit $7)
     returning d.webhook_id`,
    [filter.status, now, filter.webhookId, filter.eventType, filter.since, filter.until, limit],
  )
  return rows.map((row) => row.webhook_id)
}

const RESTARTED = `status = 'pending', reason = null, schedule_start = attempt_count, next_attempt_at = $2,
  updated_at = $2`

/**
 * Makes deliveries of an event to these webhooks due at once, new ones where there are none. They say that they are a
 * replay.
 * @returns their ids
 */
export async function replayDeliveries(
  db: Queryable,
  event: Pick<StoredEvent, 'id' | 'alertId' | 'sequence'>,
  webhookIds: readonly string[],
  now: Date,
): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `insert into deliveries as d
       (id, event_id, webhook_id, status, next_attempt_at, alert_id, sequence, replay, created_at, updated_at)
     select id, $1, webhook_id, 'pending', $2, $3, $4, true, $2, $2
     from unnest($5::text[], $6::text[]) as n (id, webhook_id)
     on conflict (event_id, webhook_id) do update
     set status = 'pending', reason = null, schedule_start = d.attempt_count, next_attempt_at = $2,
       replay = true, updated_at = $2
     returning id`,
    [event.id, now, event.alertId, event.sequence, webhookIds.map(() => newId('dlv')), webhookIds],
  )
  return rows.map(({ id }) => id)
}

/**
 * Brings forward up to `limit` deliveries that wait for longer than any schedule says: a clock that ran ahead set their
 * time.
 */
export async function bringForward(db: Queryable, latest: Date, now: Date, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `update deliveries d set next_attempt_at = $2 where id in (
       select late.id from delivery_queues q cross join lateral (
         select id from deliveries
         where webhook_id = q.webhook_id and status = 'pending' and next_attempt_at > $1 limit $3) late
       limit $3)`,
    [latest, now, limit],
  )
  return rowCount
}
