/**
 * What a webhook receives in the format `change`, as schemas: the API's document shows them, and clients have their types
 * (src/types.ts). Pure.
 *
 * Promise: every body that format.ts makes is one of these, and `relay.type` says which; more keys may come in any object.
 */
import { Type, type Static } from 'typebox'
import { HealthReport } from '../circuit/health-report.js'
import { NOTICE_TYPES, TEST_EVENT_TYPE } from '../event/event.js'
import { idPattern } from '../platform/id.js'
import { nullableText, oneOf, Time } from '../platform/schema.js'

const context = (description: string) => Type.Unsafe<Record<string, unknown>>({ type: 'object', description })

/** What `relay` says of any event. */
const origin = {
  event_id: Type.String({ pattern: idPattern('evt'), description: 'The webhook-id header again: take an id once.' }),
  topic_arn: nullableText('The SNS topic it came from; null for an event made here.'),
  received_at: Time,
}

/** The alert in a change. */
export const UpdatedAlert = Type.Object(
  {
    id: Type.String({ description: 'The same in every change of this alert.' }),
    creation_time: Type.Optional(Type.String()),
    title: Type.Optional(Type.String()),
    severity: Type.Optional(Type.String()),
    severity_icon_url: Type.Optional(Type.String()),
    runbook: Type.Optional(Type.String()),
    false_positives: Type.Optional(Type.Array(Type.String())),
    destinations: Type.Optional(Type.Array(Type.String())),
    context: context('Everything ever seen in it: nested objects whose leaves are lists of unique values.'),
    tables: Type.Optional(Type.Array(Type.String())),
    match_count: Type.Optional(Type.Integer({ description: 'The highest count seen.' })),
    update_count: Type.Optional(Type.Integer({ description: 'The highest count seen.' })),
    destination_to_alert_info: Type.Optional(
      Type.Unsafe<Record<string, unknown>>({ type: 'object', description: 'What each destination calls it.' }),
    ),
  },
  { description: 'The latest state of the alert; fields that are not told of here are as their publisher sent them.' },
)
export type UpdatedAlert = Static<typeof UpdatedAlert>

/** One value at one place of the context. */
export const ReceivedIndicator = Type.Object({
  path: Type.String({ description: 'Such as file.hash.sha256.' }),
  value: Type.Unknown(),
})
export type ReceivedIndicator = Static<typeof ReceivedIndicator>

const changeFields = {
  updated_alert: UpdatedAlert,
  incoming_rule_matches_context: context('A summary of the rule matches of this change.'),
  context_diff: context('What this alert never held before.'),
  indicators: Type.Optional(
    Type.Array(ReceivedIndicator, { description: 'With `once`: the values that this webhook was never sent.' }),
  ),
}

/** An alert was created, changed, or went quiet. */
export const AlertChange = Type.Object({
  ...changeFields,
  relay: Type.Object({
    ...origin,
    type: oneOf(['alert.created', 'alert.updated', 'alert.quiet']),
    sequence: Type.Integer({
      minimum: 1,
      description: 'Counts the changes of one alert: drop what is older than what you have.',
    }),
    previous_severity: Type.Optional(
      Type.String({ description: 'The severity before, where it rose with this change.' }),
    ),
    changes: Type.Optional(
      Type.Integer({ minimum: 2, description: 'With `coalesce`: how many changes this delivery carries.' }),
    ),
    first_sequence: Type.Optional(Type.Integer({ minimum: 1, description: 'With `changes`: the first of them.' })),
    upstream_context_diff: Type.Optional(
      Type.Unknown({ description: 'What the message itself called new; left out for a change made here.' }),
    ),
    cut: Type.Optional(
      Type.Boolean({ description: 'True where contexts were cut to the diff to fit an SNS message.' }),
    ),
  }),
})
export type AlertChange = Static<typeof AlertChange>

/** What POST /v1/webhooks/{id}/test sends: an example of an alert change. */
export const TestChange = Type.Object({
  ...changeFields,
  relay: Type.Object({ ...origin, type: oneOf([TEST_EVENT_TYPE]) }),
})
export type TestChange = Static<typeof TestChange>

/** An SNS message that is no alert change. */
export const SnsNotification = Type.Object({
  message: Type.Unknown({
    description: "SNS's Message: as JSON when it is an object or an array, otherwise as a string.",
  }),
  subject: nullableText("SNS's Subject."),
  relay: Type.Object({ ...origin, type: oneOf(['sns.notification']) }),
})
export type SnsNotification = Static<typeof SnsNotification>

/** A notice about a webhook: without its URL, which may hold a secret. */
export const WebhookNotice = Type.Object({
  webhook: HealthReport,
  relay: Type.Object({ ...origin, type: oneOf(NOTICE_TYPES) }),
})
export type WebhookNotice = Static<typeof WebhookNotice>

/** The body of any request, told apart by `relay.type`. */
export type ReceivedEvent = AlertChange | TestChange | SnsNotification | WebhookNotice

/** The body of the events of one type, or of several. */
export type EventOf<T extends ReceivedEvent['relay']['type']> = Carrying<ReceivedEvent, T>

type Carrying<Event, T> = Event extends { relay: { type: infer Own } }
  ? [T & Own] extends [never]
    ? never
    : Event & { relay: { type: T & Own } }
  : never
