/**
 * Events in the database.
 *
 * Promise: a MessageId is stored once; an event that is not dispatched is found until it is.
 */
import type { Queryable } from '../platform/database.js'
import type { Batch } from '../platform/queues.js'
import { conditionsOf, queryPage, type Page, type PageRequest } from '../platform/page.js'
import type { EventSummary, EventType, StoredEvent } from './event.js'

/** A row of `events`. */
export interface EventRow {
  id: string
  batch_id: string | null
  type: EventType
  message_id: string | null
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
  payload: string
  sent_at: Date
  received_at: Date
  /** Only where it was asked for. */
  dispatched_at?: Date | null
}

/** What narrows a list of events; everything given must hold. */
export interface EventFilter {
  type?: EventType
  topic_arn?: string
  alert_id?: string
  severity?: string
  since?: Date
  until?: Date
}

/**
 * What an event's row does not hold: when it was dispatched. That is when its deliveries were made; for one that no webhook
 * wanted it is when it came.
 */
const DISPATCHED_AT = `case
    when exists (select from undispatched u where u.batch_id = e.batch_id and u.event_id = e.id) then null
    else coalesce((select min(d.created_at) from deliveries d where d.event_id = e.id), e.received_at)
  end as dispatched_at`

/** Stores an event that was made here; it is to be dispatched unless it says that it was. */
export async function insertEvent(tx: Queryable, event: StoredEvent): Promise<void> {
  await tx.query(
    `with stored as (
       insert into events (id, batch_id, type, message_id, topic_arn, alert_id, sequence, severity, title, subject,
         match_count, update_count, payload, sent_at, received_at, previous_severity, webhook_id, traceparent)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
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
    ],
  )
}

export async function findEvent(db: Queryable, id: string): Promise<StoredEvent | undefined> {
  const { rows } = await db.query<EventRow>(`select e.*, ${DISPATCHED_AT} from events e where id = $1`, [id])
  return rows[0] && eventOf(rows[0])
}

/** An event that is to be dispatched, and the webhooks that have a delivery of it already. */
export interface UndispatchedEvent {
  event: StoredEvent
  recorded: string[]
}

/**
 * The events of batches that are not dispatched, in order. `limit 1` has PostgreSQL look them up one by one, whatever it makes of
 * a table that is empty at one moment and full at the next.
 */
export async function findUndispatched(db: Queryable, batchIds: readonly string[]): Promise<UndispatchedEvent[]> {
  const { rows } = await db.query<EventRow & { recorded: string[] }>(
    `select e.*, array(select d.webhook_id from deliveries d where d.event_id = e.id) as recorded
     from undispatched u cross join lateral (select * from events where id = u.event_id limit 1) e
     where u.batch_id = any($1) order by e.id`,
    [batchIds],
  )
  return rows.map((row) => ({ event: eventOf(row), recorded: row.recorded }))
}

/** The events of these MessageIds, by them. */
export async function findEventsByMessageId(
  db: Queryable,
  messageIds: readonly string[],
): Promise<Map<string, StoredEvent>> {
  const { rows } = await db.query<EventRow>(`select e.*, ${DISPATCHED_AT} from events e where message_id = any($1)`, [
    messageIds,
  ])
  return new Map(rows.map((row) => [row.message_id!, eventOf(row)]))
}

/** The payload of the latest change of an alert; undefined when retention has deleted it. */
export async function findLatestChange(db: Queryable, alertId: string): Promise<string | undefined> {
  const { rows } = await db.query<{ payload: string }>(
    'select payload from events where alert_id = $1 order by sequence desc limit 1',
    [alertId],
  )
  return rows[0]?.payload
}

/** A page of events, newest first; the cursor is the last id. */
export async function listEvents(
  db: Queryable,
  filter: EventFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<EventSummary>> {
  const conditions = conditionsOf([
    ['id < ?', cursor],
    ['type = ?', filter.type],
    ['topic_arn = ?', filter.topic_arn],
    ['alert_id = ?', filter.alert_id],
    ['severity = ?', filter.severity],
    ['received_at >= ?', filter.since],
    ['received_at < ?', filter.until],
  ])
  return queryPage(
    db,
    {
      select: `select id, type, message_id, topic_arn, alert_id, sequence, severity, previous_severity, title, subject, webhook_id,
       sent_at, received_at, ${DISPATCHED_AT}
     from events e`,
      conditions,
      order: 'id desc',
      cursorOf: ({ id }: EventRow) => id,
      entryOf: (row) => summaryOf(eventOf(row)),
    },
    limit,
  )
}

/** Batches with events received before `before` that are not dispatched, in order, after the batch `after`. */
export async function findWaitingBatches(
  db: Queryable,
  { before, after, limit }: { before: Date; after: string; limit: number },
): Promise<Batch[]> {
  const { rows } = await db.query<{ batch_id: string; size: bigint }>(
    `select batch_id, count(*) as size from undispatched where batch_id > $1 and received_at < $2
     group by batch_id order by batch_id limit $3`,
    [after, before, limit],
  )
  return rows.map(({ batch_id: batchId, size }) => ({ batchId, size: Number(size) }))
}

/** A place in the order of arrival: the last event seen. */
export interface ArrivalPosition {
  at: Date
  id: string
}

/**
 * Looks at `limit` events received before `before`, after the place `after`, and deletes those without pending work, with
 * their deliveries and attempts. An event that was folded into a delivery that waits is part of pending work.
 * @returns how many went, and where to go on; undefined: there are no more
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

/** An event as the API shows it. */
export function summaryOf(event: StoredEvent): EventSummary {
  return {
    id: event.id,
    type: event.type,
    topic_arn: event.topicArn,
    message_id: event.messageId,
    alert_id: event.alertId,
    sequence: event.sequence === null ? null : Number(event.sequence),
    severity: event.severity,
    previous_severity: event.previousSeverity,
    title: event.title,
    subject: event.subject,
    webhook_id: event.webhookId,
    sent_at: event.sentAt.toISOString(),
    received_at: event.receivedAt.toISOString(),
    dispatched_at: event.dispatchedAt?.toISOString() ?? null,
  }
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
    payload: row.payload,
    sentAt: row.sent_at,
    receivedAt: row.received_at,
    dispatchedAt: row.dispatched_at ?? null,
  }
}
