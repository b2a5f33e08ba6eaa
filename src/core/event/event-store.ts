/**
 * Events in the database.
 *
 * Promise: a MessageId is stored once; an event that is not dispatched is found until it is.
 */
import type { Queryable } from '../platform/database.js'
import { conditionsOf, queryPage, type Page, type PageRequest } from '../platform/page.js'
import type { EventSummary, EventType, StoredEvent } from './event.js'

interface EventRow {
  id: string
  type: EventType
  message_id: string | null
  topic_arn: string | null
  alert_id: string | null
  sequence: bigint | null
  severity: string | null
  previous_severity: string | null
  title: string | null
  subject: string | null
  match_count: bigint | null
  update_count: bigint | null
  payload: string
  sent_at: Date
  received_at: Date
  dispatched_at: Date | null
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

/** Stores an event unless its MessageId is stored already; says whether it did. */
export async function insertEvent(tx: Queryable, event: StoredEvent): Promise<boolean> {
  const { rowCount } = await tx.query(
    `insert into events (id, type, message_id, topic_arn, alert_id, severity, title, subject, payload, sent_at,
       received_at, dispatched_at, previous_severity)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
     on conflict (message_id) do nothing`,
    [
      event.id,
      event.type,
      event.messageId,
      event.topicArn,
      event.alertId,
      event.severity,
      event.title,
      event.subject,
      event.payload,
      event.sentAt,
      event.receivedAt,
      event.dispatchedAt,
      event.previousSeverity,
    ],
  )
  return rowCount === 1
}

/** Writes what the alert's memory said of a change into its event, in the same transaction. */
export async function setAlertMoment(
  tx: Queryable,
  event: Pick<StoredEvent, 'id' | 'type' | 'sequence' | 'matchCount' | 'updateCount'>,
): Promise<void> {
  await tx.query('update events set type = $2, sequence = $3, match_count = $4, update_count = $5 where id = $1', [
    event.id,
    event.type,
    event.sequence,
    event.matchCount,
    event.updateCount,
  ])
}

export async function findEvent(db: Queryable, id: string): Promise<StoredEvent | undefined> {
  const { rows } = await db.query<EventRow>('select * from events where id = $1', [id])
  return rows[0] && eventOf(rows[0])
}

export async function findEventByMessageId(db: Queryable, messageId: string): Promise<StoredEvent | undefined> {
  const { rows } = await db.query<EventRow>('select * from events where message_id = $1', [messageId])
  return rows[0] && eventOf(rows[0])
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
      select: `select id, type, message_id, topic_arn, alert_id, sequence, severity, previous_severity, title, subject, sent_at,
       received_at, dispatched_at
     from events`,
      conditions,
      order: 'id desc',
      cursorOf: ({ id }: EventRow) => id,
      entryOf: (row) => summaryOf(eventOf(row)),
    },
    limit,
  )
}

/** Ids of events received before `before` that are not dispatched, in order, after the id `after`. */
export async function findUndispatched(
  db: Queryable,
  { before, after, limit }: { before: Date; after: string; limit: number },
): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `select id from events where dispatched_at is null and id > $1 and received_at < $2 order by id limit $3`,
    [after, before, limit],
  )
  return rows.map(({ id }) => id)
}

/**
 * Deletes up to `limit` events received before `before`, with their deliveries and attempts; never one with pending work.
 * @returns how many went
 */
export async function deleteOldEvents(db: Queryable, before: Date, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `delete from events where id in (
       select id from events e
       where received_at < $1 and dispatched_at is not null
         and not exists (select from deliveries d where d.event_id = e.id and d.status = 'pending')
       order by received_at limit $2)`,
    [before, limit],
  )
  return rowCount
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
    sent_at: event.sentAt.toISOString(),
    received_at: event.receivedAt.toISOString(),
    dispatched_at: event.dispatchedAt?.toISOString() ?? null,
  }
}

function eventOf(row: EventRow): StoredEvent {
  return {
    id: row.id,
    type: row.type,
    messageId: row.message_id,
    topicArn: row.topic_arn,
    alertId: row.alert_id,
    sequence: row.sequence,
    severity: row.severity,
    previousSeverity: row.previous_severity,
    title: row.title,
    subject: row.subject,
    matchCount: row.match_count,
    updateCount: row.update_count,
    payload: row.payload,
    sentAt: row.sent_at,
    receivedAt: row.received_at,
    dispatchedAt: row.dispatched_at,
  }
}
