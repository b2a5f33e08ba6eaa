/**
 * Topics in the database, with their subscriptions.
 *
 * Guarantee: approvals and confirmations are kept until the topic is deleted. Which subscription a message came through is
 * in a header that SNS does not sign: it is shown, and decides nothing about a message.
 */
import { parseTopicArn, topicRegex } from '../platform/topic-pattern.js'
import type { Queryable } from '../platform/database.js'
import { conditionsOf, placeAfter, queryPage, type Page, type PageRequest } from '../platform/page.js'
import { trimSubscriptions } from './activity-store.js'
import type { Topic, TopicStatus } from './topic.js'

interface TopicRow {
  arn: string
  status: TopicStatus
  created_at: Date
  updated_at: Date
  confirmed_at: Date | null
  unsubscribed_at: Date | null
  last_message_at: Date | null
  last_event_at: Date | null
  last_refused_at: Date | null
  last_refused_code: string | null
  subscriptions: Record<'arn' | 'confirmed_at' | 'unsubscribed_at' | 'last_message_at', string | null>[]
}

const SELECT = `select t.*, (select max(received_at) from events where id =
    (select max(id) from events where topic_arn = t.arn)) as last_event_at,
  (select coalesce(json_agg(s order by s.arn), '[]') from topic_subscriptions s where s.topic_arn = t.arn) as subscriptions
  from topics t`

/** True when the topic was approved or confirmed and not deleted since: its notifications are taken without SNS_TOPICS. */
export async function isApprovedTopic(db: Queryable, arn: string): Promise<boolean> {
  const { rows } = await db.query(`select 1 from topics where arn = $1 and status <> 'pending'`, [arn])
  return rows.length === 1
}

/** Stores an approval. @returns false when it was approved before: nothing is changed */
export async function markApproved(tx: Queryable, arn: string, now: Date): Promise<boolean> {
  const { rowCount } = await tx.query(
    `insert into topics as t (arn, status, created_at, updated_at) values ($1, 'approved', $2, $2)
     on conflict (arn) do update set status = 'approved', subscribe_url = null, updated_at = $2
     where t.status = 'pending'`,
    [arn, now],
  )
  return rowCount === 1
}

/** @param subscriptionArn as SNS answered the confirmation; undefined: its answer did not say */
export async function markConfirmed(
  tx: Queryable,
  { arn, subscriptionArn, now }: { arn: string; subscriptionArn: string | undefined; now: Date },
): Promise<void> {
  await tx.query(
    `insert into topics (arn, status, created_at, updated_at, confirmed_at) values ($1, 'confirmed', $2, $2, $2)
     on conflict (arn) do update
     set status = 'confirmed', subscribe_url = null, updated_at = $2, confirmed_at = $2, unsubscribed_at = null`,
    [arn, now],
  )
  if (subscriptionArn === undefined) return
  await tx.query(
    `insert into topic_subscriptions (topic_arn, arn, confirmed_at) values ($1, $2, $3)
     on conflict (topic_arn, arn) do update set confirmed_at = $3, unsubscribed_at = null`,
    [arn, subscriptionArn, now],
  )
  await trimSubscriptions(tx, [arn])
}

/**
 * Records that SNS ended a subscription; the topic is unsubscribed when no other one is known. The SubscribeURL of the
 * message, which would undo that, is not stored. A topic that was never approved stays as it is, because 'unsubscribed'
 * counts as approved.
 * @param end.subscriptionArn undefined: SNS did not say which, so it is the only one, or unknown
 * @param end.mayAdd whether a topic that is not stored is added
 * @returns the topic's status; undefined when it is not stored
 */
export async function markUnsubscribed(
  tx: Queryable,
  end: { arn: string; subscriptionArn: string | undefined; at: Date; mayAdd: boolean },
): Promise<TopicStatus | undefined> {
  const { arn, subscriptionArn, at, mayAdd } = end
  if (mayAdd) {
    await tx.query(
      `insert into topics (arn, status, created_at, updated_at, unsubscribed_at) values ($1, 'unsubscribed', $2, $2, $2)
       on conflict (arn) do nothing`,
      [arn, at],
    )
  }
  const { rows } = await tx.query<{ status: TopicStatus }>('select status from topics where arn = $1 for update', [arn])
  const status = rows[0]?.status
  if (status === undefined || status === 'pending') return status
  await endSubscription(tx, { arn, subscriptionArn, at })
  const { rows: live } = await tx.query(
    'select 1 from topic_subscriptions where topic_arn = $1 and unsubscribed_at is null limit 1',
    [arn],
  )
  if (live.length > 0) return status
  await tx.query(`update topics set status = 'unsubscribed', updated_at = $2, unsubscribed_at = $2 where arn = $1`, [
    arn,
    at,
  ])
  return 'unsubscribed'
}

async function endSubscription(
  tx: Queryable,
  { arn, subscriptionArn, at }: { arn: string; subscriptionArn: string | undefined; at: Date },
): Promise<void> {
  if (subscriptionArn === undefined) {
    await tx.query(
      `update topic_subscriptions set unsubscribed_at = $2 where topic_arn = $1 and unsubscribed_at is null
       and 1 = (select count(*) from topic_subscriptions where topic_arn = $1 and unsubscribed_at is null)`,
      [arn, at],
    )
    return
  }
  await tx.query(
    `insert into topic_subscriptions (topic_arn, arn, unsubscribed_at) values ($1, $2, $3)
     on conflict (topic_arn, arn) do update set unsubscribed_at = $3`,
    [arn, subscriptionArn, at],
  )
  await trimSubscriptions(tx, [arn])
}

/** The SubscribeURL that waits for a topic's approval, null without one; undefined when the topic is not pending. */
export async function findSubscribeUrl(db: Queryable, arn: string): Promise<string | null | undefined> {
  const { rows } = await db.query<{ subscribe_url: string | null }>(
    `select subscribe_url from topics where arn = $1 and status = 'pending'`,
    [arn],
  )
  return rows[0]?.subscribe_url
}

export async function findTopic(db: Queryable, arn: string): Promise<Topic | undefined> {
  const { rows } = await db.query<TopicRow>(`${SELECT} where t.arn = $1`, [arn])
  return rows[0] && topicOf(rows[0])
}

/** A page of topics in the order of their ARNs. */
export async function listTopics(
  db: Queryable,
  filter: { status?: TopicStatus; topics?: readonly string[] },
  { limit, cursor }: PageRequest,
): Promise<Page<Topic>> {
  const conditions = conditionsOf([
    ['t.arn > ?', placeAfter(cursor, (text) => parseTopicArn(text) && text)],
    ['t.status = ?', filter.status],
    ['t.arn ~ any(?)', filter.topics?.map(topicRegex)],
  ])
  return queryPage(
    db,
    { select: SELECT, conditions, order: 't.arn', cursorOf: ({ arn }: TopicRow) => arn, entryOf: topicOf },
    limit,
  )
}

export async function deleteTopic(db: Queryable, arn: string): Promise<boolean> {
  const { rowCount } = await db.query('delete from topics where arn = $1', [arn])
  return rowCount === 1
}

function topicOf(row: TopicRow): Topic {
  const { last_refused_at: refusedAt, last_refused_code: code } = row
  return {
    arn: row.arn,
    status: row.status,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    confirmed_at: row.confirmed_at?.toISOString() ?? null,
    unsubscribed_at: row.unsubscribed_at?.toISOString() ?? null,
    last_message_at: row.last_message_at?.toISOString() ?? null,
    last_event_at: row.last_event_at?.toISOString() ?? null,
    last_refused: refusedAt && code !== null ? { at: refusedAt.toISOString(), code } : null,
    subscriptions: row.subscriptions.map((subscription) => ({
      arn: subscription.arn!,
      status: subscription.unsubscribed_at === null ? 'confirmed' : 'unsubscribed',
      confirmed_at: timeOf(subscription.confirmed_at),
      unsubscribed_at: timeOf(subscription.unsubscribed_at),
      last_message_at: timeOf(subscription.last_message_at),
    })),
  }
}

/** PostgreSQL writes times in JSON with the offset of the session. */
function timeOf(text: string | null): string | null {
  return text === null ? null : new Date(text).toISOString()
}
