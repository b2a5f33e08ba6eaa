/**
 * Subscriptions: which topics are allowed, and how a subscription is confirmed and ends.
 *
 * Guarantee: a topic's messages are accepted only if SNS_TOPICS lists it or, without SNS_TOPICS, an operator approved
 * it. No URL is fetched except a checked ConfirmSubscription of that topic; the URL of an UnsubscribeConfirmation is
 * never fetched. Confirming twice is harmless; SNS may send a confirmation twice. Only a verified message adds a topic.
 */
import type { FastifyBaseLogger } from 'fastify'
import { matchesTopic, parseTopicArn } from '../platform/topic-pattern.js'
import type { Database, Queryable } from '../platform/database.js'
import { messageOf, Refusal, type RefusalCode } from '../platform/errors.js'
import type { FetchedText } from '../platform/fetch-text.js'
import { occasionally } from '../platform/occasionally.js'
import { createTopicActivity } from './activity.js'
import { writeNotes } from './activity-store.js'
import type { Notification, SnsMessage, SubscriptionConfirmation, UnsubscribeConfirmation } from './message.js'
import { keepPending, MAX_OF_ACCOUNT, MAX_PENDING, type Kept } from './pending-store.js'
import type { TopicStanding } from './fetch-queue.js'
import { checkSubscribeUrl } from './sns-url.js'
import {
  deleteTopic,
  findSubscribeUrl,
  isApprovedTopic,
  markApproved,
  markConfirmed,
  markUnsubscribed,
} from './topic-store.js'
import { subscriptionArnOf } from './topic.js'

export interface SubscriptionsOptions {
  database: Database
  /** SNS_TOPICS; none: every topic needs approval. */
  allowedTopics: string[]
  emulatorOrigin: string | undefined
  /** Fetches a URL without following redirects. */
  fetch: (url: URL) => Promise<FetchedText>
  log: Pick<FastifyBaseLogger, 'warn'>
  now?: () => Date
}

/** A request's log, and its x-amz-sns-subscription-arn, which SNS does not sign. */
export interface Arrival {
  log: FastifyBaseLogger
  subscriptionArn: unknown
}

/** What a confirmation needs of its request. */
export interface Confirming {
  log: FastifyBaseLogger
  record?: (tx: Queryable) => Promise<void>
}

export interface Subscriptions {
  /** False when SNS_TOPICS leaves a topic out: what is said to be of it is refused before it is read. */
  mayTake(topicArn: string): boolean
  /**
   * Refuses a message of a topic that is not allowed. Reads the database at most, never the network.
   * @returns 'new' for a message that waits for approval, if it is verified: see `hold` and `begin`
   * @throws Refusal 'topic_not_allowed'
   */
  checkTopic(message: SnsMessage): Promise<TopicStanding>
  /** Makes the topic of a verified notification wait for approval. @throws Refusal 'topic_pending' */
  hold(message: Notification, log: FastifyBaseLogger): Promise<never>
  /** Confirms the subscription of a verified message, or stores it until an operator approves its topic. */
  begin(message: SubscriptionConfirmation, log: FastifyBaseLogger): Promise<'confirmed' | 'pending'>
  /** Records a verified UnsubscribeConfirmation. */
  end(message: UnsubscribeConfirmation, arrival: Arrival): Promise<void>
  /** Notes that a verified notification was taken; it is written later. */
  received(message: Notification, arrival: Arrival): void
  /** Notes that a message in the name of a topic was refused, whoever sent it. */
  refused(topicArn: unknown, code: RefusalCode): void
  /**
   * Confirms a pending topic that an operator approved; one that waits with a notification alone is subscribed already.
   * @param parts.record is called in the transaction that stores the approval
   * @throws Refusal 'not_found' when it is not pending, 'undecided' when SNS does not confirm
   */
  approve(topicArn: string, parts: Confirming): Promise<void>
  /**
   * Approves a topic whether it is known or not. What waits to be confirmed is confirmed, unless SNS says no.
   * @throws Refusal 'invalid_request' for what is no ARN, 'conflict' when SNS_TOPICS does not list it
   */
  approveInAdvance(topicArn: string, parts: Confirming): Promise<void>
  /** Deletes a topic; its messages must be approved anew. @returns false when it is not stored */
  forget(tx: Queryable, topicArn: string): Promise<boolean>
  /** Writes what was noted. */
  close(): Promise<void>
}

/** A topic that waits is written again when a message comes after this time. */
const HELD_MS = 10_000
/** Of topics that are held; more are looked up in the database. */
const MAX_HELD = 1000
const WARNING_EVERY_MS = 60_000

export function createSubscriptions(options: SubscriptionsOptions): Subscriptions {
  const { database, allowedTopics, emulatorOrigin, log: processLog, now = () => new Date() } = options
  const needsApproval = allowedTopics.length === 0
  const isListed = (topicArn: string) => matchesTopic(allowedTopics, topicArn)
  const activity = createTopicActivity({
    write: (notes) => writeNotes(database, notes, !needsApproval),
    log: processLog,
  })
  /** Until when a topic's notifications are answered without the database, which a stranger could keep busy. */
  const held = new Map<string, number>()
  const mayWarn = occasionally(WARNING_EVERY_MS)

  async function confirm(topicArn: string, subscribeUrl: string, { log, record }: Confirming) {
    const url = checkSubscribeUrl(subscribeUrl, topicArn, emulatorOrigin)
    const subscriptionArn = subscriptionArnOf(await fetchConfirmation(options, url), topicArn)
    await database.transaction(async (tx) => {
      await markConfirmed(tx, { arn: topicArn, subscriptionArn, now: now() })
      await record?.(tx)
    })
    log.info({ topic_arn: topicArn, subscription_arn: subscriptionArn }, 'subscription confirmed')
  }

  async function wait(topicArn: string, subscribeUrl: string | undefined, log: FastifyBaseLogger): Promise<void> {
    const kept = await keepPending(database, { arn: topicArn, subscribeUrl, now: now() })
    if (kept.result === 'approved') throw new Refusal('undecided', 'The topic was approved just now: send it again.')
    if (kept.result === 'added' || mayWarn()) warn(topicArn, kept, log)
    if (kept.result === 'full') throw pending(`too many topics wait for approval: ${BOUNDS}; ${HOW_TO_APPROVE}`)
  }

  async function approveAlone(topicArn: string, { log, record }: Confirming): Promise<void> {
    const isNew = await database.transaction(async (tx) => {
      if (!(await markApproved(tx, topicArn, now()))) return false
      await record?.(tx)
      return true
    })
    if (isNew) log.info({ topic_arn: topicArn }, 'topic approved')
  }

  function checkApprovable(topicArn: string): void {
    if (!parseTopicArn(topicArn)) {
      const detail = 'is no ARN of an SNS topic, such as arn:aws:sns:us-east-1:123456789012:alerts (URL-encoded)'
      throw new Refusal('invalid_request', `arn ${detail}`, { errors: [{ path: '/arn', detail }] })
    }
    if (needsApproval || isListed(topicArn)) return
    throw new Refusal('conflict', 'SNS_TOPICS says which topics are taken and does not list this one: add it there.')
  }

  return {
    mayTake: (topicArn) => needsApproval || isListed(topicArn),

    async checkTopic(message) {
      if (!needsApproval) {
        if (!isListed(message.TopicArn)) throw topicNotListed()
        return 'known'
      }
      if (await isApprovedTopic(database, message.TopicArn)) return 'known'
      if (message.Type !== 'UnsubscribeConfirmation') return 'new'
      throw notAllowed(`nobody approved this topic: ${HOW_TO_APPROVE}`)
    },

    async hold({ TopicArn: topicArn }, log) {
      const until = held.get(topicArn)
      if (until === undefined || until < performance.now()) {
        // set first: of many messages at once, one is written
        held.delete(topicArn)
        held.set(topicArn, performance.now() + HELD_MS)
        if (held.size > MAX_HELD) held.delete(held.keys().next().value!)
        await wait(topicArn, undefined, log).catch((error: unknown) => {
          if (!isPending(error)) held.delete(topicArn)
          throw error
        })
      }
      throw pending(`nobody approved this topic yet: ${HOW_TO_APPROVE}`)
    },

    async begin(message, log) {
      const { TopicArn: topicArn, SubscribeURL: subscribeUrl } = message
      if (!needsApproval || (await isApprovedTopic(database, topicArn))) {
        await confirm(topicArn, subscribeUrl, { log })
        return 'confirmed'
      }
      await wait(topicArn, subscribeUrl, log)
      return 'pending'
    },

    async end({ TopicArn: arn, Timestamp: timestamp }, { log, subscriptionArn: named }) {
      const subscriptionArn = subscriptionArnOf(named, arn)
      const end = { arn, subscriptionArn, at: new Date(timestamp), mayAdd: !needsApproval }
      const status = await database.transaction((tx) => markUnsubscribed(tx, end))
      const outcome = status === 'confirmed' ? 'another one is confirmed' : 'its messages no longer come here'
      log.warn({ topic_arn: arn, subscription_arn: subscriptionArn }, `SNS ended a subscription: ${outcome}`)
    },

    received({ TopicArn: topicArn, Timestamp: timestamp }, { subscriptionArn: named }) {
      const message = { at: now(), sentAt: new Date(timestamp) }
      activity.received(topicArn, subscriptionArnOf(named, topicArn), message)
    },

    refused(topicArn, code) {
      if (code === 'topic_pending' || typeof topicArn !== 'string' || !parseTopicArn(topicArn)) return
      if (needsApproval || isListed(topicArn)) activity.refused(topicArn, code, now())
    },

    async approve(topicArn, parts) {
      const subscribeUrl = await findSubscribeUrl(database, topicArn)
      if (subscribeUrl === undefined) throw new Refusal('not_found', 'no topic of this ARN waits for approval')
      if (subscribeUrl === null) await approveAlone(topicArn, parts)
      else await confirm(topicArn, subscribeUrl, parts)
    },

    async approveInAdvance(topicArn, parts) {
      checkApprovable(topicArn)
      const subscribeUrl = await findSubscribeUrl(database, topicArn)
      if (!subscribeUrl) return approveAlone(topicArn, parts)
      await confirm(topicArn, subscribeUrl, parts).catch(async (error: unknown) => {
        await approveAlone(topicArn, parts)
        parts.log.warn(
          { topic_arn: topicArn, detail: messageOf(error) },
          'approved, but not confirmed: subscribe again',
        )
      })
    },

    async forget(tx, topicArn) {
      held.clear()
      return deleteTopic(tx, topicArn)
    },

    close: () => activity.close(),
  }
}

const BOUNDS = `${MAX_OF_ACCOUNT} of an account, ${MAX_PENDING} in all`
const HOW_TO_APPROVE = 'PUT /v1/topics/{arn} approves it, or list it in SNS_TOPICS'

function warn(topicArn: string, { result, waiting }: Kept, log: FastifyBaseLogger): void {
  const what = result === 'full' ? `a topic is not kept, since too many wait (${BOUNDS})` : 'topics wait for approval'
  log.warn({ topic_arn: topicArn, topics_pending: waiting }, `${what}: ${HOW_TO_APPROVE}`)
}

export function topicNotListed(): Refusal {
  return notAllowed('SNS_TOPICS does not list this topic')
}

function notAllowed(detail: string): Refusal {
  return new Refusal('topic_not_allowed', detail, { errors: [{ path: '/TopicArn', detail }] })
}

function pending(detail: string): Refusal {
  return new Refusal('topic_pending', detail, { errors: [{ path: '/TopicArn', detail }] })
}

function isPending(error: unknown): boolean {
  return error instanceof Refusal && error.code === 'topic_pending'
}

/**
 * Sends the GET that confirms. Only 200 counts, whatever the XML says; after any other result SNS repeats its message.
 * @returns the SubscriptionArn in the answer, if there is one
 */
async function fetchConfirmation({ fetch }: SubscriptionsOptions, url: URL): Promise<string | undefined> {
  const answer = await fetch(url).catch((error: unknown) => {
    throw new Refusal('undecided', `SNS did not confirm: ${messageOf(error)}`, { cause: error })
  })
  if (answer.status !== 200) {
    throw new Refusal('undecided', `SNS did not confirm the subscription: it answered ${answer.status}`)
  }
  return /<SubscriptionArn>([^<]{1,1000})<\/SubscriptionArn>/.exec(answer.body)?.[1]?.trim()
}
