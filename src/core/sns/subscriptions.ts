/**
 * Subscriptions: which topics are allowed, and how a subscription begins and ends.
 *
 * Promise: a topic's messages are taken only if SNS_TOPICS lists it or, without SNS_TOPICS, an operator approved it; no
 * URL is fetched but a checked ConfirmSubscription of that very topic; an UnsubscribeConfirmation is recorded, never
 * followed. Confirming twice is harmless, as SNS sends confirmations twice.
 */
import type { FastifyBaseLogger } from 'fastify'
import { matchesTopic } from '../event/topic-pattern.js'
import type { Database, Queryable } from '../platform/database.js'
import { messageOf, Refusal } from '../platform/errors.js'
import type { FetchedText } from '../platform/fetch-text.js'
import { checkSubscribeUrl } from './sns-url.js'
import type { SnsMessage, SubscriptionConfirmation, UnsubscribeConfirmation } from './message.js'
import { findSubscribeUrl, isApprovedTopic, keepPending, markConfirmed, markUnsubscribed } from './topic-store.js'

export interface SubscriptionsOptions {
  database: Database
  /** SNS_TOPICS; none: every topic needs approval. */
  allowedTopics: string[]
  emulatorOrigin: string | undefined
  /** Fetches a URL without following redirects. */
  fetch: (url: URL) => Promise<FetchedText>
  log: FastifyBaseLogger
  now?: () => Date
}

export interface Subscriptions {
  /**
   * Refuses a message of a topic that may not speak to us. Asks the database at most, never the network.
   * @throws Refusal 'topic_not_allowed'
   */
  checkTopic(message: SnsMessage): Promise<void>
  /** Confirms a verified SubscriptionConfirmation, or keeps it until an operator approves its topic. */
  begin(message: SubscriptionConfirmation): Promise<'confirmed' | 'pending'>
  /** Records a verified UnsubscribeConfirmation. */
  end(message: UnsubscribeConfirmation): Promise<void>
  /**
   * Confirms a pending topic on an operator's word.
   * @param record is called in the transaction that says so
   * @throws Refusal 'not_found' when it is not pending, 'undecided' when SNS does not confirm
   */
  approve(topicArn: string, record: (tx: Queryable) => Promise<void>): Promise<void>
}

export function createSubscriptions(options: SubscriptionsOptions): Subscriptions {
  const { database, allowedTopics, emulatorOrigin, log, now = () => new Date() } = options
  const byApproval = allowedTopics.length === 0

  async function confirm(topicArn: string, subscribeUrl: string, record?: (tx: Queryable) => Promise<void>) {
    const url = checkSubscribeUrl(subscribeUrl, topicArn, emulatorOrigin)
    await fetchConfirmation(options, url)
    await database.transaction(async (tx) => {
      await markConfirmed(tx, topicArn, now())
      await record?.(tx)
    })
    log.info({ topic_arn: topicArn }, 'subscription confirmed')
  }

  return {
    async checkTopic(message) {
      if (!byApproval) {
        if (!matchesTopic(allowedTopics, message.TopicArn)) throw notAllowed('SNS_TOPICS does not list this topic')
      } else if (message.Type !== 'SubscriptionConfirmation' && !(await isApprovedTopic(database, message.TopicArn))) {
        throw notAllowed('nobody approved this topic: POST /v1/topics/{arn}/approve, or list it in SNS_TOPICS')
      }
    },

    async begin(message) {
      const { TopicArn: topicArn, SubscribeURL: subscribeUrl } = message
      if (!byApproval || (await isApprovedTopic(database, topicArn))) {
        await confirm(topicArn, subscribeUrl)
        return 'confirmed'
      }
      if (!(await keepPending(database, topicArn, subscribeUrl, now()))) {
        throw notAllowed('too many topics wait for approval')
      }
      log.warn({ topic_arn: topicArn }, 'a topic waits for approval: POST /v1/topics/{arn}/approve')
      return 'pending'
    },

    async end(message) {
      await markUnsubscribed(database, message.TopicArn, now())
      log.warn({ topic_arn: message.TopicArn }, 'SNS ended the subscription: its messages no longer come here')
    },

    async approve(topicArn, record) {
      const subscribeUrl = await findSubscribeUrl(database, topicArn)
      if (subscribeUrl === undefined) throw new Refusal('not_found', 'no topic of this ARN waits for approval')
      await confirm(topicArn, subscribeUrl, record)
    },
  }
}

function notAllowed(detail: string): Refusal {
  return new Refusal('topic_not_allowed', detail, { errors: [{ path: '/TopicArn', detail }] })
}

/** The GET that confirms: 200 alone is a yes, whatever the XML says; anything else is tried again when SNS repeats it. */
async function fetchConfirmation({ fetch }: SubscriptionsOptions, url: URL): Promise<void> {
  const answer = await fetch(url).catch((error: unknown) => {
    throw new Refusal('undecided', `SNS did not confirm: ${messageOf(error)}`, { cause: error })
  })
  if (answer.status !== 200) {
    throw new Refusal('undecided', `SNS did not confirm the subscription: it answered ${answer.status}`)
  }
}
