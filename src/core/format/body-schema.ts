/**
 * The schemas of the bodies in the format `change`: for the OpenAPI document and the types of clients (src/types.ts). Pure.
 *
 * Guarantee: every body that body.ts makes matches exactly one of these schemas, selected by `relay.type`; any object may
 * have further keys.
 */
import { Type, type Static } from 'typebox'
import { HealthReport } from '../circuit/health-report.js'
import { DEAD_NOTICE_TYPE, HEALTH_NOTICE_TYPES, TEST_EVENT_TYPE } from '../event/event.js'
import { MAX_HOPS } from '../event/relay-mark.js'
import { idPattern } from '../platform/id.js'
import { nullableText, oneOf, Time } from '../platform/schema.js'

const context = (description: string) => Type.Unsafe<Record<string, unknown>>({ type: 'object', description })

/** The fields of `relay` for every event. */
const origin = {
  event_id: Type.String({
    pattern: idPattern('evt'),
    description: 'The same as the webhook-id header: process each id once.',
  }),
  topic_arn: nullableText('The SNS topic it came from; null for an event that the relay made.'),
  subject: Type.Optional(Type.String({ description: "SNS's Subject, if it has one." })),
  received_at: Time,
  hops: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MAX_HOPS,
      description:
        'How many other relays it came through; left out for none. A message that came through more is refused.',
    }),
  ),
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
    url: Type.Optional(Type.String({ description: "Of a source's finding: a page about it, http or https." })),
    description: Type.Optional(Type.String()),
    account: Type.Optional(Type.String({ description: "Of a source's finding: its account." })),
    region: Type.Optional(Type.String({ description: "Of a source's finding: its Region." })),
    update_time: Type.Optional(Type.String({ description: "Of a source's finding: when it was updated last." })),
    state_reason: Type.Optional(
      Type.String({ description: "Of a source's finding: its word for its state, such as suppressed or passed." }),
    ),
    sample: Type.Optional(Type.Boolean({ description: 'True for a finding that was made up on request.' })),
    context_cut: Type.Optional(
      Type.Boolean({ description: "True where a source's finding has more values than are read of one." }),
    ),
    destination_to_alert_info: Type.Optional(
      Type.Unsafe<Record<string, unknown>>({ type: 'object', description: 'Its identifiers at its destinations.' }),
    ),
  },
  { description: 'The latest state of the alert; other fields are as their publisher sent them.' },
)
export type UpdatedAlert = Static<typeof UpdatedAlert>

/** One value at one path of the context. */
export const ReceivedIndicator = Type.Object({
  path: Type.String({ description: 'Such as file.hash.sha256.' }),
  value: Type.Unknown(),
})
export type ReceivedIndicator = Static<typeof ReceivedIndicator>

const changeFields = {
  updated_alert: UpdatedAlert,
  incoming_rule_matches_context: context('A summary of the rule matches of this change.'),
  context_diff: context('The values that this alert did not have before.'),
  message: Type.Optional(
    Type.Unknown({
      description:
        "Of a source's finding: the message that it was read from; where a message holds several, with this one alone.",
    }),
  ),
  indicators: Type.Optional(
    Type.Array(ReceivedIndicator, { description: 'With `once`: the values that this webhook was never sent.' }),
  ),
}

/** An alert was created, changed, ended, began again, or went quiet. */
export const AlertChange = Type.Object({
  ...changeFields,
  relay: Type.Object({
    ...origin,
    type: oneOf(['alert.created', 'alert.updated', 'alert.resolved', 'alert.reopened', 'alert.quiet']),
    source: Type.Optional(
      Type.String({
        description: 'What recognised the message: matano, guardduty, securityhub and others, or an own source.',
      }),
    ),
    state: Type.Optional(
      oneOf(['active', 'resolved'], { description: "Of a source's finding: the alert's state after this change." }),
    ),
    reason: Type.Optional(
      oneOf(['upstream'], { description: 'With `alert.resolved`: upstream, since its producer says that it is over.' }),
    ),
    sequence: Type.Integer({
      minimum: 1,
      description: 'Counts the changes of one alert: ignore a change older than the latest you have.',
    }),
    previous_severity: Type.Optional(
      Type.String({ description: 'The severity before, where it rose with this change.' }),
    ),
    changes: Type.Optional(
      Type.Integer({
        minimum: 2,
        description:
          'How many changes this delivery stands for: with `coalesce` those that it carries, with `only_new` also those without ' +
          'news since the last.',
      }),
    ),
    first_sequence: Type.Optional(
      Type.Integer({ minimum: 1, description: 'With `coalesce`: the first change that this delivery carries.' }),
    ),
    upstream_context_diff: Type.Optional(
      Type.Unknown({
        description: 'The `context_diff` of the message itself; left out for a change that the relay made.',
      }),
    ),
    cut: Type.Optional(
      Type.Boolean({
        description:
          'True where the whole would be larger than the webhook (or SNS) takes: contexts but the diff are left out; with ' +
          '`new_values` the diff too.',
      }),
    ),
    new_values: Type.Optional(
      Type.Integer({ minimum: 0, description: 'How many values the diff has, also where `cut` leaves it out.' }),
    ),
  }),
})
export type AlertChange = Static<typeof AlertChange>

/** The body that POST /v1/webhooks/{id}/test sends: an example of an alert change. */
export const TestChange = Type.Object({
  ...changeFields,
  relay: Type.Object({ ...origin, type: oneOf([TEST_EVENT_TYPE]) }),
})
export type TestChange = Static<typeof TestChange>

/** An SNS message that is not an alert change. */
export const SnsNotification = Type.Object({
  message: Type.Unknown({
    description:
      "SNS's Message: as JSON when it holds an object or an array, otherwise as a string. NaN and Infinity are the strings " +
      '"NaN" and "Infinity".',
  }),
  subject: nullableText("SNS's Subject."),
  relay: Type.Object({
    ...origin,
    type: oneOf(['sns.notification']),
    unread: Type.Optional(
      Type.String({ description: 'Why it is no alert change, where it was plainly meant as one: a sentence.' }),
    ),
  }),
})
export type SnsNotification = Static<typeof SnsNotification>

/** A notice about a webhook: without its URL, which may hold a secret. */
export const WebhookNotice = Type.Object({
  webhook: HealthReport,
  relay: Type.Object({ ...origin, type: oneOf(HEALTH_NOTICE_TYPES) }),
})
export type WebhookNotice = Static<typeof WebhookNotice>

/** A notice of deliveries that died since the last such notice about their webhook: one a minute at most. */
export const DeadDeliveriesNotice = Type.Object({
  webhook: HealthReport,
  deliveries: Type.Object({
    count: Type.Integer({ minimum: 1, description: 'How many died.' }),
    first: Type.Array(
      Type.Object({
        delivery_id: Type.String({ pattern: idPattern('dlv') }),
        event_id: Type.String({ pattern: idPattern('evt') }),
        event_type: Type.String(),
        attempts: Type.Integer({ minimum: 1 }),
        reason: Type.String({ description: 'Why no attempt is ahead.' }),
        last_failure: nullableText('What the last attempt failed with.'),
        died_at: Time,
      }),
      { description: 'The first ten of them; GET /v1/deliveries?status=dead lists all.' },
    ),
  }),
  relay: Type.Object({ ...origin, type: oneOf([DEAD_NOTICE_TYPE]) }),
})
export type DeadDeliveriesNotice = Static<typeof DeadDeliveriesNotice>

/** Any body; `relay.type` distinguishes them. */
export type ReceivedEvent = AlertChange | TestChange | SnsNotification | WebhookNotice | DeadDeliveriesNotice

/** The bodies of events of the type T, or of one of several types. */
export type EventOf<T extends ReceivedEvent['relay']['type']> = OfType<ReceivedEvent, T>

type OfType<Event, T> = Event extends { relay: { type: infer Own } }
  ? [T & Own] extends [never]
    ? never
    : Event & { relay: { type: T & Own } }
  : never
