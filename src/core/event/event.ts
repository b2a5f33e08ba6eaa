/**
 * An event: one accepted message, an alert change or any other SNS notification.
 *
 * Promise: what a message is, and which document is kept of it, is decided here alone and from its content alone: SNS's
 * attributes are not signed and decide nothing.
 */
import { Type, type Static } from 'typebox'
import { parseAlertChange, type AlertChange } from '../alert/change.js'
import { idPattern } from '../platform/id.js'
import { isJsonObject, parseJson, stringifyJson, type Json } from '../platform/json.js'
import { nullableText, nullableTime, oneOf, Time } from '../platform/schema.js'

/** Notices about webhooks, for operators: they go to webhooks that name them alone. */
export const NOTICE_TYPES = ['webhook.failing', 'webhook.recovered', 'webhook.disabled'] as const
/** The types that webhooks choose from. */
export const EVENT_TYPES = [
  'alert.created',
  'alert.updated',
  'alert.quiet',
  'sns.notification',
  ...NOTICE_TYPES,
] as const
/** The type of an event that POST /v1/webhooks/{id}/test makes; it goes to that webhook alone. */
export const TEST_EVENT_TYPE = 'webhook.test'

export type NoticeType = (typeof NOTICE_TYPES)[number]
export type SubscribableType = (typeof EVENT_TYPES)[number]
export type EventType = SubscribableType | typeof TEST_EVENT_TYPE

/** An event as the API shows it in lists. */
export const EventSummary = Type.Object(
  {
    id: Type.String({ pattern: idPattern('evt'), description: 'The webhook-id of every delivery of this event.' }),
    type: oneOf<EventType>([...EVENT_TYPES, TEST_EVENT_TYPE]),
    topic_arn: nullableText('The SNS topic it came from; null for an event made here.'),
    message_id: nullableText("SNS's MessageId; null for an event made here."),
    alert_id: nullableText('The alert that changed; null for what is no alert change.'),
    sequence: Type.Unsafe<number | null>({
      type: ['integer', 'null'],
      description: 'Counts the changes of one alert from 1.',
    }),
    severity: nullableText("The alert's severity at this change."),
    previous_severity: nullableText('The severity before, where it rose with this change.'),
    title: nullableText("The alert's title at this change, its first 500 characters."),
    webhook_id: nullableText('The webhook that a notice (webhook.*) is about.'),
    subject: nullableText("SNS's Subject."),
    sent_at: Type.String({ format: 'date-time', description: "SNS's Timestamp." }),
    received_at: Time,
    dispatched_at: nullableTime(
      'When its deliveries were made, or when it came if no webhook wanted it; null while that is ahead.',
    ),
  },
  { $id: 'Event' },
)
export type EventSummary = Static<typeof EventSummary>

/** A message on its way in: verified, or made here out of rule matches. */
export interface IncomingMessage {
  /** SNS's, by which a repeat is known; null for a message made here. */
  messageId: string | null
  topicArn: string | null
  subject: string | undefined
  message: string
  sentAt: Date
  /** The alert's severity before, where this change raised it. */
  previousSeverity?: string
}

/** An event as it is stored, with what is needed to build what a webhook receives. */
export interface StoredEvent {
  id: string
  /** The events that are dispatched together, by the id that the first message of the batch was given. */
  batchId: string
  type: EventType
  messageId: string | null
  topicArn: string | null
  alertId: string | null
  sequence: bigint | null
  severity: string | null
  /** The severity before this change, where it rose with it. */
  previousSeverity: string | null
  title: string | null
  subject: string | null
  /** The webhook that a notice is about. */
  webhookId: string | null
  /** The trace that it belongs to (W3C Trace Context), if traces are on. */
  traceparent: string | null
  /** The highest counts that the alert had shown by this change. */
  matchCount: bigint | null
  updateCount: bigint | null
  /** One JSON document: see `readMessage`. */
  payload: string
  sentAt: Date
  receivedAt: Date
  /** Null while it waits to be dispatched, and where nobody asked. */
  dispatchedAt: Date | null
}

/** An event that is made here, not received: everything that SNS or an alert would say of it is left out. */
export function localEvent(
  fields: Pick<StoredEvent, 'id' | 'type' | 'payload'> & Partial<StoredEvent>,
  now: Date,
): StoredEvent {
  return {
    batchId: fields.id,
    messageId: null,
    topicArn: null,
    alertId: null,
    sequence: null,
    severity: null,
    previousSeverity: null,
    title: null,
    subject: null,
    webhookId: null,
    traceparent: null,
    matchCount: null,
    updateCount: null,
    sentAt: now,
    receivedAt: now,
    dispatchedAt: null,
    ...fields,
  }
}

/** A message's content: the document that is kept, and the alert change in it if it is one. */
export interface MessageContent {
  payload: string
  change: AlertChange | undefined
}

/**
 * Reads SNS's Message. A JSON object or array is kept byte for byte; anything else (plain text, a bare number, JSON that
 * nests too deep) is kept as a JSON string, so that a payload is always one JSON document.
 */
export function readMessage(message: string): MessageContent {
  const json = parseOrUndefined(message)
  if (!isJsonObject(json) && !Array.isArray(json)) return { payload: JSON.stringify(message), change: undefined }
  return { payload: message.isWellFormed() ? message : stringifyJson(json), change: parseAlertChange(json) }
}

function parseOrUndefined(text: string): Json | undefined {
  try {
    return parseJson(text)
  } catch {
    return undefined
  }
}
