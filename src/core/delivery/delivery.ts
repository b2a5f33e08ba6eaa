/** The schemas of deliveries and attempts in the API. */
import { Type, type Static } from 'typebox'
import { EventSummary } from '../event/event.js'
import { idPattern } from '../platform/id.js'
import { nullableText, nullableTime, oneOf, refTo, Time } from '../platform/schema.js'
import { ATTEMPT_OUTCOMES, DELIVERY_STATUSES } from './policy.js'

export const AttemptRecord = Type.Object(
  {
    id: Type.String({ pattern: idPattern('att') }),
    number: Type.Integer({ minimum: 1, description: 'The x-alert-relay-attempt header that was sent.' }),
    outcome: oneOf(ATTEMPT_OUTCOMES),
    status_code: Type.Unsafe<number | null>({ type: ['integer', 'null'] }),
    error: nullableText(
      'What went wrong before there was an answer, or why an answer is no success where its status does not say so.',
    ),
    response_body: nullableText('The first 4 KiB of the answer.'),
    duration_ms: Type.Integer({ minimum: 0 }),
    started_at: Time,
  },
  { $id: 'Attempt' },
)
export type AttemptRecord = Static<typeof AttemptRecord>

/** What a list tells of the latest attempt. */
export const LastAttempt = Type.Pick(AttemptRecord, ['number', 'outcome', 'status_code', 'error', 'started_at'])
export type LastAttempt = Static<typeof LastAttempt>

export const Delivery = Type.Object(
  {
    id: Type.String({ pattern: idPattern('dlv') }),
    event_id: Type.String({ pattern: idPattern('evt') }),
    webhook_id: Type.String({ pattern: idPattern('wh') }),
    event_type: EventSummary.properties.type,
    title: nullableText("The alert's title; null for an event that is no alert change."),
    severity: nullableText("The alert's severity then; null for an event that is no alert change."),
    status: oneOf(DELIVERY_STATUSES, {
      description:
        'pending: an attempt is ahead; dead: the schedule ran out, or no attempt can succeed; dropped: nothing is sent, `reason` ' +
        'says why; folded: its change is sent with a later one.',
    }),
    reason: nullableText('Why it is dead, dropped or folded, or what it waits for.'),
    attempt_count: Type.Integer({ minimum: 0 }),
    last_attempt: Type.Union([LastAttempt, Type.Null()], { description: 'Null before the first attempt.' }),
    replay: Type.Boolean({ description: 'It was asked for again: by a replay or a recovery.' }),
    folded_into: nullableText('The delivery that its change is sent with.'),
    next_attempt_at: nullableTime('Null when no attempt is ahead, and while a disabled webhook holds it.'),
    created_at: Time,
    updated_at: Time,
  },
  { $id: 'Delivery' },
)
export type Delivery = Static<typeof Delivery>

export const DeliveryWithAttempts = Type.Object(
  { ...Delivery.properties, attempts: Type.Array(refTo(AttemptRecord), { description: 'Oldest first.' }) },
  { $id: 'DeliveryWithAttempts' },
)
export type DeliveryWithAttempts = Static<typeof DeliveryWithAttempts>
