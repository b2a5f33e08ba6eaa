/** Events as the API shows them, read from the database. */
import type { Queryable } from '../platform/database.js'
import { conditionsOf, idAfter, queryPage, type Page, type PageRequest } from '../platform/page.js'
import type { EventSummary, EventType, StoredEvent } from './event.js'
import { topicRegex } from '../platform/topic-pattern.js'
import { DISPATCHED_AT, eventOf, type EventRow } from './event-store.js'

/** The filter of a list of events; every given condition must hold. */
export interface EventFilter {
  type?: EventType
  topic_arn?: string
  /** Of topics that match one of these patterns. */
  topics?: readonly string[]
  alert_id?: string
  severity?: string
  since?: Date
  until?: Date
}

/** A page of events, newest first; the cursor is the last id. */
export async function listEvents(
  db: Queryable,
  filter: EventFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<EventSummary>> {
  const conditions = conditionsOf([
    ['id < ?', idAfter(cursor, 'evt')],
    ['type = ?', filter.type],
    ['topic_arn = ?', filter.topic_arn],
    ['topic_arn ~ any(?)', filter.topics?.map(topicRegex)],
    ['alert_id = ?', filter.alert_id],
    ['severity = ?', filter.severity],
    ['received_at >= ?', filter.since],
    ['received_at < ?', filter.until],
  ])
  return queryPage(
    db,
    {
      select: `select id, type, message_id, topic_arn, alert_id, sequence, severity, previous_severity, title, subject, webhook_id,
       part, source, state,
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

/** An event as the API shows it. */
export function summaryOf(event: StoredEvent): EventSummary {
  return {
    id: event.id,
    type: event.type,
    topic_arn: event.topicArn,
    message_id: event.messageId,
    part: event.part,
    source: event.source,
    state: event.state,
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
