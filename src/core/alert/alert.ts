/** An alert as the API shows it. */
import { Type, type Static } from 'typebox'
import { nullableTime, oneOf, refTo, Time } from '../platform/schema.js'

export const ALERT_STATUSES = ['active', 'quiet', 'resolved'] as const
export type AlertStatus = (typeof ALERT_STATUSES)[number]

export const Alert = Type.Object(
  {
    id: Type.String(),
    title: Type.String({ description: 'Its first 500 characters.' }),
    severity: Type.String(),
    tables: Type.Array(Type.String()),
    status: oneOf(ALERT_STATUSES, {
      description:
        'resolved: its producer says that it is over; quiet: without changes for ALERT_QUIET_AFTER, until the next one.',
    }),
    state_reason: Type.Unsafe<string | null>({
      type: ['string', 'null'],
      description: "Its producer's word for the state, such as suppressed or passed; null where it has none.",
    }),
    source: Type.Unsafe<string | null>({
      type: ['string', 'null'],
      description:
        'What recognised it: guardduty, securityhub and others, or an own source; null for an alert of Matano or of rule matches.',
    }),
    sequence: Type.Integer({ description: 'How many changes it had.' }),
    match_count: Type.Unsafe<number | null>({ type: ['integer', 'null'], description: 'The highest count seen.' }),
    first_seen_at: Time,
    last_seen_at: Time,
    quiet_at: nullableTime('When it became quiet; null while it is not.'),
    resolved_at: nullableTime('When the message that ended it arrived; null while it is not resolved.'),
  },
  { $id: 'Alert' },
)
export type Alert = Static<typeof Alert>

/** What is known of a value in an alert. */
export const ValueSighting = Type.Object({
  paths: Type.Array(Type.Array(Type.String()), { description: 'Where it was: the keys that lead to it.' }),
  first_seen_at: nullableTime('When the change that brought it arrived; null when that event is deleted.'),
  last_seen_at: nullableTime('When it was last in a change, of the newest ten that are kept.'),
  events: Type.Integer({ description: 'In how many of these it was.' }),
  events_at_least: Type.Boolean({ description: 'True when the alert has more events than were read.' }),
})

export const AlertWithSighting = Type.Object(
  { ...Alert.properties, value: Type.Optional(ValueSighting) },
  { $id: 'AlertWithSighting' },
)

/** One value of an alert, and the change that brought it. */
export const AlertValue = Type.Object(
  {
    path: Type.Array(Type.String(), { description: 'The keys that lead to it.' }),
    value: Type.Unknown(),
    sequence: Type.Integer({ description: 'The change that brought it.' }),
    event_id: Type.Unsafe<string | null>({
      type: ['string', 'null'],
      description: 'Its event; null when it is deleted.',
    }),
    first_seen_at: nullableTime('When that event arrived; null when it is deleted.'),
  },
  { $id: 'AlertValue' },
)

/** So many values are shown with an alert; all of them are a list of their own. */
export const SHOWN_VALUES = 1000

export const AlertWithContext = Type.Object(
  {
    ...Alert.properties,
    value_count: Type.Integer({ description: 'How many values it holds.' }),
    context: Type.Unknown({ description: 'What `values` holds, in the shape that webhooks receive.' }),
    values: Type.Array(refTo(AlertValue), {
      description: `Its first ${SHOWN_VALUES} values in first-seen order; \`/v1/alerts/{id}/values\` lists them all.`,
    }),
  },
  { $id: 'AlertWithContext' },
)
