/**
 * Subscriptions: which topics are allowed, and how a subscription is confirmed and ends.
 *
 * Guarantee: a topic's messages are accepted only if SNS_TOPICS lists it or, without SNS_TOPICS, an operator approved
 * it. No URL is fetched except a checked ConfirmSubscription of that topic; the URL of an UnsubscribeConfirmation is
 * never fetched. Confirming twice is harmless; SNS may send a confirmation twice.
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
  now?: () => Date
}

export interface Subscriptions {
  /**
   * Refuses a message of a topic that is not allowed. Reads the database at most, never the network.
   * @throws Refusal 'topic_not_allowed'
   */
  checkTopic(message: SnsMessage): Promise<void>
  /** Confirms the subscription of a verified message, or stores it until an operator approves its topic. @param log the request's */
  begin(message: SubscriptionConfirmation, log: FastifyBaseLogger): Promise<'confirmed' | 'pending'>
  /** Records a verified UnsubscribeConfirmation. @param log the request's */
  end(message: UnsubscribeConfirmation, log: FastifyBaseLogger): Promise<void>
  /**
   * Confirms a pending topic that an operator approved.
   * @param parts.record is called in the transaction that stores the confirmation
   * @throws Refusal 'not_found' when it is not pending, 'undecided' when SNS does not confirm
   */
  approve(topicArn: string, parts: Confirming): Promise<void>
}

/** What a confirmation needs of its request. */
export interface Confirming {
  log: FastifyBaseLogger
  record?: (tx: Queryable) => Promise<void>
}

export function createSubscriptions(options: SubscriptionsOptions): Subscriptions {
  const { database, allowedTopics, emulatorOrigin, now = () => new Date() } = options
  const needsApproval = allowedTopics.length === 0

  async function confirm(topicArn: string, subscribeUrl: string, { log, record }: Confirming) {
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
      if (!needsApproval) {
        if (!matchesTopic(allowedTopics, message.TopicArn)) throw notAllowed('SNS_TOPICS does not list this topic')
      } else if (message.Type !== 'SubscriptionConfirmation' && !(await isApprovedTopic(database, message.TopicArn))) {
        throw notAllowed('nobody approved this topic: POST /v1/topics/{arn}/approve, or list it in SNS_TOPICS')
      }
    },

    async begin(message, log) {
      const { TopicArn: topicArn, SubscribeURL: subscribeUrl } = message
      if (!needsApproval || (await isApprovedTopic(database, topicArn))) {
        await confirm(topicArn, subscribeUrl, { log })
        return 'confirmed'
      }
      if (!(await keepPending(database, topicArn, subscribeUrl, now()))) {
        throw notAllowed('too many topics wait for approval')
      }
      log.warn({ topic_arn: topicArn }, 'a topic waits for approval: POST /v1/topics/{arn}/approve')
      return 'pending'
    },

    async end(message, log) {
      await markUnsubscribed(database, message.TopicArn, now())
      log.warn({ topic_arn: message.TopicArn }, 'SNS ended the subscription: its messages no longer come here')
    },

    async approve(topicArn, parts) {
      const subscribeUrl = await findSubscribeUrl(database, topicArn)
      if (subscribeUrl === undefined) throw new Refusal('not_found', 'no topic of this ARN waits for approval')
      await confirm(topicArn, subscribeUrl, parts)
    },
  }
}

function notAllowed(detail: string): Refusal {
  return new Refusal('topic_not_allowed', detail, { errors: [{ path: '/TopicArn', detail }] })
}

/**
 * Sends the GET that confirms. Only 200 counts, whatever the XML says; after any other result SNS repeats its message.
 */
async function fetchConfirmation({ fetch }: SubscriptionsOptions, url: URL): Promise<void> {
  const answer = await fetch(url).catch((error: unknown) => {
    throw new Refusal('undecided', `SNS did not confirm: ${messageOf(error)}`, { cause: error })
  })
  if (answer.status !== 200) {
    throw new Refusal('undecided', `SNS did not confirm the subscription: it answered ${answer.status}`)
  }
}
