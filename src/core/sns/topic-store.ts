/**
 * Topics in the database.
 *
 * Guarantee: approvals and confirmations are kept until the topic is deleted. At most `MAX_PENDING` topics are pending,
 * and a pending one is deleted when its token has expired, so that unknown senders cannot fill the table.
 */
import { parseTopicArn } from '../event/topic-pattern.js'
import type { Queryable } from '../platform/database.js'
import { conditionsOf, placeAfter, queryPage, type Page, type PageRequest } from '../platform/page.js'
import type { Topic, TopicStatus } from './topic.js'

const MAX_PENDING = 100
/** A confirmation token is valid for two to three days (AWS, SNS, "ConfirmSubscription"). */
const TOKEN_LIFETIME_MS = 3 * 24 * 3600 * 1000

interface TopicRow {
  arn: string
  status: TopicStatus
  subscribe_url: string | null
  created_at: Date
  updated_at: Date
  confirmed_at: Date | null
  unsubscribed_at: Date | null
  last_event_at: Date | null
}

const SELECT = `select t.*, (select max(received_at) from events where id =
    (select max(id) from events where topic_arn = t.arn)) as last_event_at
  from topics t`

/** True when the topic was confirmed and not deleted since: its notifications are accepted without SNS_TOPICS. */
export async function isApprovedTopic(db: Queryable, arn: string): Promise<boolean> {
  const { rows } = await db.query(`select 1 from topics where arn = $1 and status <> 'pending'`, [arn])
  return rows.length === 1
}

/**
 * Stores a verified SubscriptionConfirmation until an operator approves it.
 * @returns false when `MAX_PENDING` topics are pending already
 */
export async function keepPending(db: Queryable, arn: string, subscribeUrl: string, now: Date): Promise<boolean> {
  await db.query(`delete from topics where status = 'pending' and updated_at < $1`, [
    new Date(now.getTime() - TOKEN_LIFETIME_MS),
  ])
  const { rowCount } = await db.query(
    `insert into topics as t (arn, status, subscribe_url, created_at, updated_at)
     select $1, 'pending', $2, $3, $3
     where (select count(*) from topics where status = 'pending' and arn <> $1) < $4
     on conflict (arn) do update set subscribe_url = $2, updated_at = $3 where t.status = 'pending'`,
    [arn, subscribeUrl, now, MAX_PENDING],
  )
  return rowCount === 1
}

export async function markConfirmed(db: Queryable, arn: string, now: Date): Promise<void> {
  await db.query(
    `insert into topics (arn, status, created_at, updated_at, confirmed_at) values ($1, 'confirmed', $2, $2, $2)
     on conflict (arn) do update
     set status = 'confirmed', subscribe_url = null, updated_at = $2, confirmed_at = $2, unsubscribed_at = null`,
    [arn, now],
  )
}

/**
 * Records that SNS ended the subscription. The SubscribeURL of the message, which would undo that, is not stored. A
 * topic that was never approved stays pending, because 'unsubscribed' counts as approved.
 */
export async function markUnsubscribed(db: Queryable, arn: string, now: Date): Promise<void> {
  await db.query(
    `insert into topics (arn, status, created_at, updated_at, unsubscribed_at) values ($1, 'unsubscribed', $2, $2, $2)
     on conflict (arn) do update set status = 'unsubscribed', updated_at = $2, unsubscribed_at = $2
     where topics.status <> 'pending'`,
    [arn, now],
  )
}

/** The SubscribeURL of a pending topic; undefined when the topic is not pending. */
export async function findSubscribeUrl(db: Queryable, arn: string): Promise<string | undefined> {
  const { rows } = await db.query<TopicRow>(`select subscribe_url from topics where arn = $1 and status = 'pending'`, [
    arn,
  ])
  return rows[0]?.subscribe_url ?? undefined
}

export async function findTopic(db: Queryable, arn: string): Promise<Topic | undefined> {
  const { rows } = await db.query<TopicRow>(`${SELECT} where t.arn = $1`, [arn])
  return rows[0] && topicOf(rows[0])
}

/** A page of topics in the order of their ARNs. */
export async function listTopics(
  db: Queryable,
  filter: { status?: TopicStatus },
  { limit, cursor }: PageRequest,
): Promise<Page<Topic>> {
  const conditions = conditionsOf([
    ['t.arn > ?', placeAfter(cursor, (text) => parseTopicArn(text) && text)],
    ['t.status = ?', filter.status],
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
  return {
    arn: row.arn,
    status: row.status,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    confirmed_at: row.confirmed_at?.toISOString() ?? null,
    unsubscribed_at: row.unsubscribed_at?.toISOString() ?? null,
    last_event_at: row.last_event_at?.toISOString() ?? null,
  }
}
