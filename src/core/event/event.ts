/**
 * An event: one accepted message, which is an alert change or any other SNS notification.
 *
 * Guarantee: whether a message is an alert change, and which payload is stored, follows from its content alone. SNS's
 * message attributes are not signed and are not used.
 */
import { Type, type Static } from 'typebox'
import { idPattern } from '../platform/id.js'
import { nullableText, nullableTime, oneOf, Time } from '../platform/schema.js'

/** Notices about the health of webhooks. */
export const HEALTH_NOTICE_TYPES = ['webhook.failing', 'webhook.recovered', 'webhook.disabled'] as const
/** The notice of deliveries that died. */
export const DEAD_NOTICE_TYPE = 'delivery.dead'
/** Notices about webhooks, for operators: a webhook receives one only if its `event_types` name it. */
export const NOTICE_TYPES = [...HEALTH_NOTICE_TYPES, DEAD_NOTICE_TYPE] as const
/** The types that webhooks choose from. */
export const EVENT_TYPES = [
  'alert.created',
  'alert.updated',
  'alert.resolved',
  'alert.reopened',
  'alert.quiet',
  'sns.notification',
  ...NOTICE_TYPES,
] as const
/** The types that a change of an alert may turn out to have; only the statement that stores it knows which. */
export const CHANGE_TYPES = ['alert.created', 'alert.updated', 'alert.resolved', 'alert.reopened'] as const
/** The type of the event that POST /v1/webhooks/{id}/test makes; that webhook alone receives it. */
export const TEST_EVENT_TYPE = 'webhook.test'

export type NoticeType = (typeof NOTICE_TYPES)[number]
export type SubscribableType = (typeof EVENT_TYPES)[number]
export type EventType = SubscribableType | typeof TEST_EVENT_TYPE

/** What brought an event in: a topic, the API (messages, rule matches), or the relay itself (notices, quiet alerts, tests). */
export type EventSource = 'sns' | 'messages' | 'rule_matches' | 'relay'
/** Counts an event that was stored, for /metrics. */
export type CountEvent = (event: { type: EventType; source: EventSource }) => void

/** An event as the API shows it in lists. */
export const EventSummary = Type.Object(
  {
    id: Type.String({ pattern: idPattern('evt'), description: 'The webhook-id of every delivery of this event.' }),
    type: oneOf<EventType>([...EVENT_TYPES, TEST_EVENT_TYPE]),
    topic_arn: nullableText('The SNS topic that it is from; null for an event that the relay made.'),
    message_id: nullableText(
      "SNS's MessageId, or what stands for the Idempotency-Key of POST /v1/messages; null for all else.",
    ),
    part: Type.Integer({
      minimum: 0,
      description: 'Which of the events of its message it is: a message may hold several findings.',
    }),
    source: nullableText(
      'What recognised the message: matano, guardduty, securityhub and others, or an own source; null for all else.',
    ),
    alert_id: nullableText('The alert that changed; null for an event that is no alert change.'),
    state: nullableText("The alert's state after a source's finding, active or resolved; null for all else."),
    sequence: Type.Unsafe<number | null>({
      type: ['integer', 'null'],
      description: 'Counts the changes of one alert from 1.',
    }),
    severity: nullableText("The alert's severity at this change."),
    previous_severity: nullableText('The severity before this change, if the change raised it.'),
    title: nullableText("The alert's title at this change, its first 500 characters."),
    webhook_id: nullableText('The webhook that a notice (webhook.*, delivery.dead) is about.'),
    subject: nullableText("SNS's Subject."),
    sent_at: Type.String({ format: 'date-time', description: "SNS's Timestamp." }),
    received_at: Time,
    dispatched_at: nullableTime(
      'When its deliveries were made, or when it arrived if no webhook wanted it; null before that.',
    ),
  },
  { $id: 'Event' },
)
export type EventSummary = Static<typeof EventSummary>

/** A message to be stored: verified, or made from rule matches. */
export interface IncomingMessage {
  /** SNS's MessageId or a name like it, by which repeats are recognized; null for a message without one. */
  messageId: string | null
  topicArn: string | null
  subject: string | undefined
  message: string
  sentAt: Date
  /** The severity before this change, if the change raised it. */
  previousSeverity?: string
}

/** An event as it is stored, with what the bodies of its deliveries are built from. */
export interface StoredEvent {
  id: string
  /** The batch that is dispatched together; it has the id that its first message was given. */
  batchId: string
  type: EventType
  messageId: string | null
  topicArn: string | null
  alertId: string | null
  sequence: bigint | null
  severity: string | null
  /** The severity before this change, if the change raised it. */
  previousSeverity: string | null
  title: string | null
  subject: string | null
  /** The webhook that a notice is about. */
  webhookId: string | null
  /** The trace that it belongs to (W3C Trace Context); null when traces are off. */
  traceparent: string | null
  /** The highest counts that the alert had reported up to this change. */
  matchCount: bigint | null
  updateCount: bigint | null
  /** Bytes of JSON of every value that its alert held by this change; 0 for what is no alert change. */
  heldBytes: number
  /** Which of the events of its message it is, from 0. */
  part: number
  /** Topic, source and id of the EventBridge event, hashed; null for a message that does not hold one. */
  originId: string | null
  /** What recognised the message: `matano` or the name of a source, built in or own; null for all else. */
  source: string | null
  /** The alert's state after a finding; null for all else. */
  state: 'active' | 'resolved' | null
  /** True for the finding that is over, of an alert that nobody was told of: it is delivered to nobody. */
  unannounced: boolean
  /** The alert change that a source read in the payload, in Matano's shape; null where the payload is itself the change. */
  change: string | null
  /** Why a message that its source knows could not be read. */
  unread: string | null
  /** One JSON document: see `readMessage` (reading.ts). */
  payload: string
  sentAt: Date
  receivedAt: Date
  /** Null while it is undispatched, and where the query does not select it. */
  dispatchedAt: Date | null
}

/** The fields of an event that is of no source. */
export const NO_FINDING = {
  part: 0,
  originId: null,
  source: null,
  state: null,
  unannounced: false,
  change: null,
  unread: null,
} as const

/** An event that the relay makes: every field that SNS or an alert would set is null unless given. */
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
    heldBytes: 0,
    ...NO_FINDING,
    sentAt: now,
    receivedAt: now,
    dispatchedAt: null,
    ...fields,
  }
}
