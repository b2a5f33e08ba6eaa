/**
 * What happened at topics, written to the database.
 *
 * Guarantee: an approval is never made here. With `mayAdd` a topic is added, as confirmed; without it only topics that are
 * approved are changed. A refusal changes a topic that is stored and adds none: what is refused is not verified.
 */
import type { Database, Queryable } from '../platform/database.js'

/** The latest message that was taken: when, and SNS's Timestamp of it. */
export interface Received {
  at: Date
  sentAt: Date
}

/** By topic ARN; `subscriptions` by the topic's and the subscription's ARN. */
export interface Notes {
  topics: ReadonlyMap<string, Received>
  subscriptions: ReadonlyMap<string, Received & { topicArn: string }>
  refused: ReadonlyMap<string, { at: Date; code: string }>
}

/** Of one topic; nobody is known to have more than a few. */
const MAX_SUBSCRIPTIONS = 20

/** Writes notes. The rows of topics are locked in the order of their ARNs. */
export async function writeNotes(database: Database, notes: Notes, mayAdd: boolean): Promise<void> {
  await database.transaction(async (tx) => {
    await tx.query('select from topics where arn = any($1) order by arn for update', [
      [...notes.topics.keys(), ...notes.refused.keys()],
    ])
    if (notes.topics.size > 0) await writeTopics(tx, notes.topics, mayAdd)
    if (notes.subscriptions.size > 0) await writeSubscriptions(tx, notes.subscriptions)
    if (notes.refused.size > 0) await writeRefused(tx, notes.refused)
  })
}

/** A message that SNS sent after a subscription ended shows that there is another, or that it began anew. */
async function writeTopics(tx: Queryable, topics: Notes['topics'], mayAdd: boolean): Promise<void> {
  const entries = [...topics].sort(([a], [b]) => (a < b ? -1 : 1))
  const arns = entries.map(([arn]) => arn)
  const times = entries.map(([, { at }]) => at)
  if (mayAdd) {
    await tx.query(
      `insert into topics (arn, status, created_at, updated_at)
       select arn, 'confirmed', at, at from unnest($1::text[], $2::timestamptz[]) as g (arn, at)
       on conflict (arn) do nothing`,
      [arns, times],
    )
  }
  await tx.query(
    `with given as (
       select * from unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) as g (arn, at, sent_at)
     ), news as (
       select t.arn, g.at,
         t.status <> 'confirmed' and (t.unsubscribed_at is null or t.unsubscribed_at < g.sent_at) as begins
       from topics t join given g on g.arn = t.arn where t.status <> 'pending' or $4
     )
     update topics t set
       last_message_at = greatest(t.last_message_at, n.at),
       status = case when n.begins then 'confirmed' else t.status end,
       subscribe_url = case when n.begins then null else t.subscribe_url end,
       unsubscribed_at = case when n.begins then null else t.unsubscribed_at end,
       updated_at = case when n.begins then n.at else t.updated_at end
     from news n where n.arn = t.arn`,
    [arns, times, entries.map(([, { sentAt }]) => sentAt), mayAdd],
  )
}

async function writeSubscriptions(tx: Queryable, subscriptions: Notes['subscriptions']): Promise<void> {
  const entries = [...subscriptions].sort(([a], [b]) => (a < b ? -1 : 1))
  const given = [
    entries.map(([, { topicArn }]) => topicArn),
    entries.map(([arn]) => arn),
    entries.map(([, { at }]) => at),
  ]
  const { rows: added } = await tx.query<{ topic_arn: string }>(
    `insert into topic_subscriptions (topic_arn, arn, last_message_at)
     select g.* from unnest($1::text[], $2::text[], $3::timestamptz[]) as g (topic_arn, arn, at)
     join topics t on t.arn = g.topic_arn and t.status <> 'pending'
     on conflict (topic_arn, arn) do nothing returning topic_arn`,
    given,
  )
  await tx.query(
    `update topic_subscriptions s set
       last_message_at = greatest(s.last_message_at, g.at),
       unsubscribed_at = case when s.unsubscribed_at < g.sent_at then null else s.unsubscribed_at end
     from unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[]) as g (topic_arn, arn, at, sent_at)
     where s.topic_arn = g.topic_arn and s.arn = g.arn`,
    [...given, entries.map(([, { sentAt }]) => sentAt)],
  )
  if (added.length > 0) await trimSubscriptions(tx, [...new Set(added.map(({ topic_arn: arn }) => arn))])
}

/**
 * Deletes the subscriptions of topics over `MAX_SUBSCRIPTIONS`. Those that the relay confirmed itself, which SNS named in
 * its answer, are kept longest, then those that bring messages: the name in a message is not signed.
 */
export async function trimSubscriptions(tx: Queryable, topicArns: readonly string[]): Promise<void> {
  await tx.query(
    `delete from topic_subscriptions s using (
       select topic_arn, arn, row_number() over (partition by topic_arn order by unsubscribed_at is null desc,
         confirmed_at is not null desc, greatest(last_message_at, confirmed_at, unsubscribed_at) desc, arn) as place
       from topic_subscriptions where topic_arn = any($1)
     ) ranked
     where ranked.place > ${MAX_SUBSCRIPTIONS} and s.topic_arn = ranked.topic_arn and s.arn = ranked.arn`,
    [topicArns],
  )
}

async function writeRefused(tx: Queryable, refused: Notes['refused']): Promise<void> {
  await tx.query(
    `update topics t set last_refused_at = g.at, last_refused_code = g.code
     from unnest($1::text[], $2::timestamptz[], $3::text[]) as g (arn, at, code)
     where g.arn = t.arn and (t.last_refused_at is null or t.last_refused_at <= g.at)`,
    [[...refused.keys()], [...refused.values()].map(({ at }) => at), [...refused.values()].map(({ code }) => code)],
  )
}
