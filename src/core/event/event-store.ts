/**
 * Events in the database.
 *
 * Guarantee: a part of a MessageId is stored once; an undispatched event is returned by `findWaitingBatches` until it is
 * dispatched.
 */
import type { Queryable } from '../platform/database.js'
import type { Batch } from '../platform/queues.js'
import type { EventType, StoredEvent } from './event.js'

/** A row of `events`. */
export interface EventRow {
  id: string
  batch_id: string | null
  type: EventType
  message_id: string | null
  /** Undefined where the query does not select it. */
  origin_id?: string | null
  topic_arn: string | null
  alert_id: string | null
  sequence: bigint | null
  severity: string | null
  previous_severity: string | null
  title: string | null
  subject: string | null
  webhook_id: string | null
  traceparent: string | null
  match_count: bigint | null
  update_count: bigint | null
  held_bytes: bigint | null
  part: number
  source: string | null
  state: 'active' | 'resolved' | null
  unannounced: boolean
  change: string | null
  unread: string | null
  payload: string
  sent_at: Date
  received_at: Date
  /** Undefined where the query does not select `DISPATCHED_AT`. */
  dispatched_at?: Date | null
}

/** Of a row of `undispatched`: `not_before` is the end of a claim (claims.ts), not the wait of an event that failed. */
const IS_CLAIMED = 'not_before is not null and failures = 0'

/**
 * The column `dispatched_at`, computed for `events e`: when its deliveries were made, or when the event was received if
 * no webhook wanted it; null while it is undispatched.
 */
export const DISPATCHED_AT = `case
    when exists (select from undispatched u where u.batch_id = e.batch_id and u.event_id = e.id) then null
    else coalesce((select min(d.created_at) from deliveries d where d.event_id = e.id), e.received_at)
  end as dispatched_at`

/** Stores an event that the relay made; it is undispatched unless `dispatchedAt` is set. */
export async function insertEvent(tx: Queryable, event: StoredEvent): Promise<void> {
  await tx.query(
    `with stored as (
       insert into events (id, batch_id, type, message_id, topic_arn, alert_id, sequence, severity, title, subject,
         match_count, update_count, payload, sent_at, received_at, previous_severity, webhook_id, traceparent, held_bytes,
         source, state)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
         (select value_bytes from alert_sizes where alert_id = $6), $20, $21)
       returning id, batch_id, alert_id, sequence, received_at
     )
     insert into undispatched (batch_id, event_id, alert_id, sequence, received_at)
     select batch_id, id, alert_id, sequence, received_at from stored where not $19::boolean`,
    [
      event.id,
      event.batchId,
      event.type,
      event.messageId,
      event.topicArn,
      event.alertId,
      event.sequence,
      event.severity,
      event.title,
      event.subject,
      event.matchCount,
      event.updateCount,
      event.payload,
      event.sentAt,
      event.receivedAt,
      event.previousSeverity,
      event.webhookId,
      event.traceparent,
      event.dispatchedAt !== null,
      event.source,
      event.state,
    ],
  )
}

export async function findEvent(db: Queryable, id: string): Promise<StoredEvent | undefined> {
  const { rows } = await db.query<EventRow>(`select e.*, ${DISPATCHED_AT} from events e where id = $1`, [id])
  return rows[0] && eventOf(rows[0])
}

/** An undispatched event, and the webhooks that have a delivery of it already. */
export interface UndispatchedEvent {
  event: StoredEvent
  recorded: string[]
}

/**
 * The undispatched events of these batches, in the order of their ids. `limit 1` makes PostgreSQL look the events up
 * one by one: its statistics of `undispatched`, which is often empty, would make it scan all events.
 */
export async function findUndispatched(db: Queryable, batchIds: readonly string[]): Promise<UndispatchedEvent[]> {
  const { rows } = await db.query<EventRow & { recorded: string[] }>(
    `select e.*, array(select d.webhook_id from deliveries d where d.event_id = e.id) as recorded
     from undispatched u cross join lateral (select * from events where id = u.event_id limit 1) e
     where u.batch_id = any($1) and (u.not_before is null or u.not_before <= now()) order by e.id`,
    [batchIds],
  )
  return rows.map((row) => ({ event: eventOf(row), recorded: row.recorded }))
}

/**
 * Releases what a process had claimed of batches, so that jobs may work them: what waits and was not postponed.
 * @returns the batches of what it released
 */
export async function releaseClaims(db: Queryable, batchIds: readonly string[]): Promise<Batch[]> {
  const { rows } = await db.query<{ batch_id: string; size: bigint }>(
    `with released as (
       update undispatched set not_before = null
       where batch_id = any($1) and ${IS_CLAIMED}
       returning batch_id
     )
     select batch_id, count(*) as size from released group by batch_id`,
    [batchIds],
  )
  return rows.map(({ batch_id: batchId, size }) => ({ batchId, size: Number(size) }))
}

/** Seconds that an event waits after its dispatch failed, doubled with every failure. */
const FIRST_POSTPONEMENT_S = 5
const LAST_POSTPONEMENT_S = 600

/**
 * Postpones events whose dispatch failed for a reason of their own, each longer with every failure, by the database's clock.
 * Rounds that fail beside each other count as one failure.
 * @returns the seconds that each waits, by its id; without those that another round has postponed
 */
export async function postponeEvents(
  db: Queryable,
  events: readonly Pick<StoredEvent, 'id' | 'batchId'>[],
): Promise<Map<string, number>> {
  const { rows } = await db.query<{ event_id: string; failures: number }>(
    `update undispatched u set failures = u.failures + 1,
       not_before = now() + least(${LAST_POSTPONEMENT_S}, ${FIRST_POSTPONEMENT_S} * 2 ^ least(u.failures, 20)) * interval '1 second'
     from unnest($1::text[], $2::text[]) as f (event_id, batch_id)
     where u.batch_id = f.batch_id and u.event_id = f.event_id 
       and (u.not_before is null or u.not_before <= now() or u.failures = 0)
     returning u.event_id, u.failures`,
    [events.map(({ id }) => id), events.map(({ batchId }) => batchId)],
  )
  return new Map(
    rows.map(({ event_id: id, failures }) => [
      id,
      Math.min(LAST_POSTPONEMENT_S, FIRST_POSTPONEMENT_S * 2 ** Math.min(failures - 1, 20)),
    ]),
  )
}

export interface RepeatedEvent {
  event: StoredEvent
  /** Milliseconds before which no job works it, while it is undispatched. */
  waitMs: number
}

/** The events of these messages, each by its MessageId or by the EventBridge event in it, in the order of their parts. */
export async function findRepeated(
  db: Queryable,
  messages: readonly Pick<StoredEvent, 'messageId' | 'originId'>[],
): Promise<RepeatedEvent[]> {
  const ids = messages.flatMap(({ messageId }) => messageId ?? [])
  const origins = messages.flatMap(({ originId }) => originId ?? [])
  if (ids.length + origins.length === 0) return []
  const { rows } = await db.query<EventRow & { wait_s: number | null }>(
    `select e.*, ${DISPATCHED_AT}, (
       select extract(epoch from u.not_before - now())::float8
       from undispatched u where u.batch_id = e.batch_id and u.event_id = e.id) as wait_s
     from events e where message_id = any($1) or origin_id = any($2) order by part`,
    [ids, origins],
  )
  return rows.map((row) => ({ event: eventOf(row), waitMs: waitMsOf(row) }))
}

function waitMsOf({ wait_s: waitS }: { wait_s: number | null }): number {
  return Math.max(0, Math.ceil((waitS ?? 0) * 1000))
}

/** The latest change of an alert, in Matano's shape; undefined when retention has deleted it. */
export async function findLatestChange(db: Queryable, alertId: string): Promise<string | undefined> {
  const { rows } = await db.query<{ change: string }>(
    'select coalesce(change, payload) as change from events where alert_id = $1 order by sequence desc limit 1',
    [alertId],
  )
  return rows[0]?.change
}

/**
 * Batches with undispatched events received before `before`, in the order of their ids, after the batch `after`. One that is
 * claimed for longer than that takes is due when the claim ends: the process that has claimed it may be dead.
 */
export async function findWaitingBatches(
  db: Queryable,
  { before, after, limit }: { before: Date; after: string; limit: number },
): Promise<Batch[]> {
  const { rows } = await db.query<{ batch_id: string; size: bigint; wait_s: number }>(
    `select batch_id, count(*) as size, min(coalesce(extract(epoch from not_before - now()), 0))::float8 as wait_s
     from undispatched
     where batch_id > $1 and received_at < $2 and (failures = 0 or not_before <= now())
     group by batch_id order by batch_id limit $3`,
    [after, before, limit],
  )
  return rows.map((row) => ({ batchId: row.batch_id, size: Number(row.size), inMs: waitMsOf(row) }))
}

/** A position in the order of arrival: that of the last event examined. */
export interface ArrivalPosition {
  at: Date
  id: string
}

/**
 * Examines `limit` events received before `before`, after the position `after`, and deletes those without pending work,
 * with their deliveries and attempts. An event that is coalesced into a pending delivery counts as pending work.
 * @returns how many were deleted, and the position to continue from; undefined: there are no more
 */
export async function deleteOldEvents(
  db: Queryable,
  { before, after, limit }: { before: Date; after: ArrivalPosition; limit: number },
): Promise<{ deleted: number; next: ArrivalPosition | undefined }> {
  const { rows } = await db.query<{ deleted: bigint; at: Date; id: string }>(
    `with examined as (
       select id, batch_id, received_at from events
       where received_at < $1 and (received_at, id) > ($2::timestamptz, $3) order by received_at, id limit $4
     ), gone as (
       delete from events e using examined x
       where e.id = x.id
         and not exists (select from undispatched u where u.batch_id = x.batch_id and u.event_id = x.id)
         and not exists (
         select from deliveries d left join deliveries carrier on carrier.id = d.folded_into
         where d.event_id = e.id and 'pending' in (d.status, carrier.status))
       returning 1
     )
     select (select count(*) from gone) as deleted, received_at as at, id
     from examined order by received_at desc, id desc limit 1`,
    [before, after.at, after.id, limit],
  )
  const [last] = rows
  return last ? { deleted: Number(last.deleted), next: { at: last.at, id: last.id } } : { deleted: 0, next: undefined }
}

export function eventOf(row: EventRow): StoredEvent {
  return {
    id: row.id,
    batchId: row.batch_id ?? row.id,
    type: row.type,
    messageId: row.message_id,
    topicArn: row.topic_arn,
    alertId: row.alert_id,
    sequence: row.sequence,
    severity: row.severity,
    previousSeverity: row.previous_severity,
    title: row.title,
    subject: row.subject,
    webhookId: row.webhook_id,
    traceparent: row.traceparent,
    matchCount: row.match_count,
    updateCount: row.update_count,
    heldBytes: Number(row.held_bytes ?? 0),
    part: row.part,
    originId: row.origin_id ?? null,
    source: row.source,
    state: row.state,
    unannounced: row.unannounced,
    change: row.change,
    unread: row.unread,
    payload: row.payload,
    sentAt: row.sent_at,
    receivedAt: row.received_at,
    dispatchedAt: row.dispatched_at ?? null,
  }
}
