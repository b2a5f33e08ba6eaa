/** An SNS topic that the relay receives from, as the API shows it. */
import { Type, type Static } from 'typebox'
import { nullableTime, oneOf, Time } from '../platform/schema.js'

export const TOPIC_STATUSES = ['pending', 'approved', 'confirmed', 'unsubscribed'] as const
export type TopicStatus = (typeof TOPIC_STATUSES)[number]

/** One subscription of this relay to a topic. */
const Subscription = Type.Object({
  arn: Type.String({ description: "SNS's SubscriptionArn." }),
  status: oneOf(['confirmed', 'unsubscribed']),
  confirmed_at: nullableTime('When the relay last confirmed it; null: it is known from the messages that it brings.'),
  unsubscribed_at: nullableTime('When SNS reported that it has ended.'),
  last_message_at: nullableTime('When its latest message was taken, to within seconds.'),
})

/** The latest refusal. */
const Refused = Type.Object(
  {
    at: Time,
    code: Type.String({ description: "The end of the problem's type, such as raw_delivery or signature_mismatch." }),
  },
  {
    description:
      'The latest message in the name of this topic that was refused, whoever sent it: what is refused need not be from SNS.',
  },
)

export const Topic = Type.Object(
  {
    arn: Type.String(),
    status: oneOf(TOPIC_STATUSES, {
      description:
        'pending: a verified message waits for approval; approved: nothing has come from it since it was approved; ' +
        'confirmed: its messages are received; unsubscribed: SNS reported that its last subscription has ended.',
    }),
    created_at: Time,
    updated_at: Time,
    confirmed_at: nullableTime('When a subscription was last confirmed.'),
    unsubscribed_at: nullableTime('When SNS reported that the last subscription has ended.'),
    last_message_at: nullableTime('When its latest message was taken, a repeated one too, to within seconds.'),
    last_event_at: nullableTime('When its latest stored event arrived.'),
    last_refused: Type.Union([Refused, Type.Null()]),
    subscriptions: Type.Array(Subscription, { description: 'Those that SNS named: at most 20.' }),
  },
  { $id: 'Topic' },
)
export type Topic = Static<typeof Topic>

/** A subscription's ARN is its topic's, and an id. */
const SUBSCRIPTION_ID = /^:[0-9A-Za-z-]{1,100}$/

/** The text, if it is the ARN of a subscription to this topic. */
export function subscriptionArnOf(text: unknown, topicArn: string): string | undefined {
  if (typeof text !== 'string' || !text.startsWith(topicArn)) return undefined
  return SUBSCRIPTION_ID.test(text.slice(topicArn.length)) ? text : undefined
}
