/**
 * Deliveries and attempts in the database.
 *
 * Promise: an attempt's record and what it means for its delivery are written in one statement; a delivery moves on from
 * the attempt it was at, once, whoever else works on it.
 */
import type { Queryable } from '../platform/database.js'
import { newId } from '../platform/id.js'
import type { RetryJob } from '../platform/queues.js'
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
  created_at: Date
  updated_at: Date
}

/** A first attempt at one webhook, and what it means. */
export interface FirstAttempt {
  webhookId: string
  attempt: Attempt
  state: DeliveryState
}

/**
 * Records the first attempts of an event and that it is dispatched: one statement, however many webhooks. A delivery that
 * another worker recorded meanwhile stays as it is; one that ends dead gives its indicators back.
 * @returns the retries to be queued
 */
export async function recordDispatch(
  db: Queryable,
  eventId: string,
  results: readonly FirstAttempt[],
  now: Date,
): Promise<RetryJob[]> {
  const { rows } = await db.query<{ id: string; next_attempt_at: Date | null }>(
    `with dispatched as (
       update events set dispatched_at = $2 where id = $1
     ), delivery as (
       insert into deliveries
         (id, event_id, webhook_id, status, reason, attempt_count, next_attempt_at, created_at, updated_at)
       select id, $1, webhook_id, status, reason, 1, next_attempt_at, $2, $2
       from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
         as d (id, webhook_id, status, reason, next_attempt_at)
       on conflict (event_id, webhook_id) do nothing
       returning id, next_attempt_at
     ), given_back as (
       delete from indicators i using unnest($4::text[], $5::text[]) as d (webhook_id, status)
       where d.status = 'dead' and i.webhook_id = d.webhook_id and i.event_id = $1
     ), attempt as (
       insert into attempts
         (id, delivery_id, number, outcome, status_code, error, response_body, duration_ms, started_at)
       select a.id, a.delivery_id, a.number, a.outcome, a.status_code, a.error, a.response_body, a.duration_ms, a.started_at
       from unnest($8::text[], $3::text[], $9::int[], $10::text[], $11::int[], $12::text[], $13::text[], $14::int[],
           $15::timestamptz[])
         as a (id, delivery_id, number, outcome, status_code, error, response_body, duration_ms, started_at)
       join delivery on delivery.id = a.delivery_id
     )
     select id, next_attempt_at from delivery where next_attempt_at is not null`,
    [
      eventId,
      now,
      results.map(() => newId('dlv')),
      results.map(({ webhookId }) => webhookId),
      results.map(({ state }) => state.status),
      results.map(({ state }) => state.reason),
      results.map(({ state }) => state.nextAttemptAt),
      ...attemptColumns(results.map(({ attempt }) => attempt)),
    ],
  )
  return rows.map((row) => ({ deliveryId: row.id, attempt: 2, at: row.next_attempt_at! }))
}

function attemptColumns(attempts: readonly Attempt[]): unknown[][] {
  return [
    attempts.map(() => newId('att')),
    attempts.map(({ number }) => number),
    attempts.map(({ outcome }) => outcome),
    attempts.map(({ statusCode }) => statusCode),
    attempts.map(({ error }) => error),
    attempts.map(({ responseBody }) => responseBody),
    attempts.map(({ durationMs }) => durationMs),
    attempts.map(({ startedAt }) => startedAt),
  ]
}

/**
 * Records a later attempt. The delivery moves on only if it still waited for this very attempt: one that was dropped or
 * attempted meanwhile keeps its state, and the attempt is on record all the same. One that ends dead gives its indicators
 * back.
 */
export async function recordRetry(
  db: Queryable,
  deliveryId: string,
  attempt: Attempt,
  state: DeliveryState,
  now: Date,
): Promise<void> {
  await db.query(
    `with moved as (
       update deliveries
       set status = $3, reason = $4, next_attempt_at = $5, attempt_count = $6, updated_at = $2
       where id = $1 and attempt_count = $6 - 1 and status = 'pending'
       returning event_id, webhook_id
     ), given_back as (
       delete from indicators i using moved
       where $3 = 'dead' and i.event_id = moved.event_id and i.webhook_id = moved.webhook_id
     )
     insert into attempts (id, delivery_id, number, outcome, status_code, error, response_body, duration_ms, started_at)
     select $7, id, $6, $8, $9, $10, $11, $12, $13 from deliveries where id = $1`,
    [
      deliveryId,
      now,
      state.status,
      state.reason,
      state.nextAttemptAt,
      attempt.number,
      newId('att'),
      attempt.outcome,
      attempt.statusCode,
      attempt.error,
      attempt.responseBody,
      attempt.durationMs,
      attempt.startedAt,
    ],
  )
}

/** A delivery as the retry worker needs it. */
export interface WaitingDelivery {
  id: string
  eventId: string
  webhookId: string
  status: DeliveryStatus
  attemptCount: number
  scheduleStart: number
  nextAttemptAt: Date | null
}

export async function findWaiting(db: Queryable, id: string): Promise<WaitingDelivery | undefined> {
  const { rows } = await db.query<DeliveryRow>('select * from deliveries where id = $1', [id])
  const [row] = rows
  return (
    row && {
      id,
      eventId: row.event_id,
      webhookId: row.webhook_id,
      status: row.status,
      attemptCount: row.attempt_count,
      scheduleStart: row.schedule_start,
      nextAttemptAt: row.next_attempt_at,
    }
  )
}

/** The webhooks that have a delivery of the event already. */
export async function findRecordedWebhooks(db: Queryable, eventId: string): Promise<Set<string>> {
  const { rows } = await db.query<{ webhook_id: string }>('select webhook_id from deliveries where event_id = $1', [
    eventId,
  ])
  return new Set(rows.map((row) => row.webhook_id))
}

/** A place in the order of due deliveries: the last one seen. */
export interface DuePosition {
  at: Date
  id: string
}

/** Pending deliveries whose time came before `before`, as retry jobs, the longest due first, after the place `after`. */
export async function findDue(
  db: Queryable,
  { before, after, limit }: { before: Date; after: DuePosition; limit: number },
): Promise<RetryJob[]> {
  const { rows } = await db.query<DeliveryRow>(
    `select id, attempt_count, next_attempt_at from deliveries
     where status = 'pending' and next_attempt_at < $1 and (next_attempt_at, id) > ($2::timestamptz, $3)
     order by next_attempt_at, id limit $4`,
    [before, after.at, after.id, limit],
  )
  return rows.map(retryJobOf)
}

/**
 * Holds a waiting delivery while its webhook is disabled. The webhook's row is locked against a change meanwhile: one that
 * is being enabled either releases this delivery or keeps it from being held.
 */
export async function holdDelivery(db: Queryable, id: string, now: Date): Promise<void> {
  await db.query(
    `with disabled as (
       select webhooks.id from webhooks join deliveries on deliveries.webhook_id = webhooks.id
       where deliveries.id = $1 and webhooks.status = 'disabled' for share of webhooks
     )
     update deliveries set next_attempt_at = null, reason = 'held: the webhook is disabled', updated_at = $2
     from disabled where deliveries.id = $1 and webhook_id = disabled.id and deliveries.status = 'pending'`,
    [id, now],
  )
}

/** Lets go of what a webhook held while it was disabled: due at once; upkeep queues it. */
export async function releaseHeld(db: Queryable, webhookId: string, now: Date): Promise<void> {
  await db.query(
    `update deliveries set next_attempt_at = $2, reason = null, updated_at = $2
     where webhook_id = $1 and status = 'pending' and next_attempt_at is null`,
    [webhookId, now],
  )
}

/** Drops what still waits for a deleted webhook. */
export async function dropDeliveries(db: Queryable, webhookId: string, now: Date): Promise<void> {
  await db.query(
    `update deliveries
     set status = 'dropped', reason = 'the webhook was deleted', next_attempt_at = null, updated_at = $2
     where webhook_id = $1 and status = 'pending'`,
    [webhookId, now],
  )
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
 * Makes a delivery due at once and begins its schedule anew, whatever became of it; a dropped one stays dropped.
 * @returns the job to queue; undefined when there is no such delivery or it is dropped
 */
export async function restartDelivery(db: Queryable, id: string, now: Date): Promise<RetryJob | undefined> {
  const { rows } = await db.query<DeliveryRow>(
    `update deliveries
     set status = 'pending', reason = null, schedule_start = attempt_count, next_attempt_at = $2, updated_at = $2
     where id = $1 and status <> 'dropped' returning id, attempt_count, next_attempt_at`,
    [id, now],
  )
  return rows[0] && retryJobOf(rows[0])
}

/**
 * Makes deliveries of an event to these webhooks due at once, new ones where there are none.
 * @returns the jobs to queue
 */
export async function replayDeliveries(
  db: Queryable,
  eventId: string,
  webhookIds: readonly string[],
  now: Date,
): Promise<RetryJob[]> {
  const { rows } = await db.query<DeliveryRow>(
    `insert into deliveries as d (id, event_id, webhook_id, status, next_attempt_at, created_at, updated_at)
     select id, $1, webhook_id, 'pending', $4, $4, $4 from unnest($2::text[], $3::text[]) as n (id, webhook_id)
     on conflict (event_id, webhook_id) do update
     set status = 'pending', reason = null, schedule_start = d.attempt_count, next_attempt_at = $4, updated_at = $4
     returning id, attempt_count, next_attempt_at`,
    [eventId, webhookIds.map(() => newId('dlv')), webhookIds, now],
  )
  return rows.map(retryJobOf)
}

function retryJobOf(row: Pick<DeliveryRow, 'id' | 'attempt_count' | 'next_attempt_at'>): RetryJob {
  return { deliveryId: row.id, attempt: row.attempt_count + 1, at: row.next_attempt_at! }
}
