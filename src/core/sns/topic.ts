/** An SNS topic that the relay receives from, as the API shows it. */
import { Type, type Static } from 'typebox'
import { nullableTime, oneOf, Time } from '../platform/schema.js'

export const TOPIC_STATUSES = ['pending', 'confirmed', 'unsubscribed'] as const
export type TopicStatus = (typeof TOPIC_STATUSES)[number]

export const Topic = Type.Object(
  {
    arn: Type.String(),
    status: oneOf(TOPIC_STATUSES, {
      description:
        'pending: a verified SubscriptionConfirmation waits for approval; confirmed: its messages are received; ' +
        'unsubscribed: SNS reported that the subscription has ended.',
    }),
    created_at: Time,
    updated_at: Time,
    confirmed_at: nullableTime('When the subscription was last confirmed.'),
    unsubscribed_at: nullableTime('When SNS reported that the subscription has ended.'),
    last_event_at: nullableTime('When its latest stored event arrived.'),
  },
  { $id: 'Topic' },
)
export type Topic = Static<typeof Topic>
