/**
 * Topics that wait for approval.
 *
 * Guarantee: only verified messages bring a topic here. At most `MAX_OF_ACCOUNT` topics of one AWS account are pending and
 * `MAX_PENDING` in all, so that who owns topics cannot fill the table. When it is full, the newest topic of the account with
 * the most gives way to one of an account with fewer: a stranger displaces an operator only where the operator has more
 * topics waiting than the stranger. One is deleted when nothing came from it while a token would have lived.
 */
import { parseTopicArn } from '../platform/topic-pattern.js'
import type { Database, Queryable } from '../platform/database.js'

export const MAX_PENDING = 100
export const MAX_OF_ACCOUNT = 10
/** A confirmation token is valid for two to three days (AWS, SNS, "ConfirmSubscription"). */
const TOKEN_LIFETIME_MS = 3 * 24 * 3600 * 1000
/** The key of the advisory lock under which topics are counted: "topi". */
const LOCK_KEY = 0x746f7069

export interface PendingTopic {
  arn: string
  /** Of a SubscriptionConfirmation; undefined for a notification: it needs no confirmation. */
  subscribeUrl: string | undefined
  now: Date
}

/** `added`: it was not pending before; `approved`: somebody approved it meanwhile; `full`: it is not stored. */
export interface Kept {
  result: 'added' | 'kept' | 'approved' | 'full'
  /** How many topics are pending. */
  waiting: number
}

/** Stores the topic of a verified message until an operator approves it. */
export async function keepPending(database: Database, topic: PendingTopic): Promise<Kept> {
  return database.transaction(async (tx) => {
    await tx.query('select pg_advisory_xact_lock($1)', [LOCK_KEY])
    await tx.query(`delete from topics where status = 'pending' and updated_at < $1`, [
      new Date(topic.now.getTime() - TOKEN_LIFETIME_MS),
    ])
    const status = await refresh(tx, topic)
    const counts = await countByAccount(tx)
    const waiting = counts.reduce((sum, { count }) => sum + count, 0)
    if (status !== undefined) return { result: status === 'pending' ? 'kept' : 'approved', waiting }
    const account = accountOf(topic.arn)
    const own = counts.find((entry) => entry.account === account)?.count ?? 0
    if (own >= MAX_OF_ACCOUNT) return { result: 'full', waiting }
    if (waiting >= MAX_PENDING) {
      const [fullest] = counts
      // Of accounts with equally many the topic at hand is the newest, so it gives way itself.
      if (!fullest || fullest.count <= own + 1) return { result: 'full', waiting }
      await tx.query('delete from topics where arn = $1', [fullest.newest])
    }
    await tx.query(
      `insert into topics (arn, status, subscribe_url, created_at, updated_at) values ($1, 'pending', $2, $3, $3)`,
      [topic.arn, topic.subscribeUrl, topic.now],
    )
    return { result: 'added', waiting: Math.min(waiting + 1, MAX_PENDING) }
  })
}

/** @returns the topic's status; undefined when it is not stored */
async function refresh(tx: Queryable, { arn, subscribeUrl, now }: PendingTopic): Promise<string | undefined> {
  const { rows } = await tx.query<{ status: string }>('select status from topics where arn = $1 for update', [arn])
  await tx.query(
    `update topics set subscribe_url = coalesce($2, subscribe_url), updated_at = $3 where arn = $1 and status = 'pending'`,
    [arn, subscribeUrl, now],
  )
  return rows[0]?.status
}

interface AccountCount {
  account: string
  count: number
  newest: string
}

/** The accounts with pending topics, those with the most first. */
async function countByAccount(tx: Queryable): Promise<AccountCount[]> {
  const { rows } = await tx.query<{ arn: string }>(
    `select arn from topics where status = 'pending' order by created_at, arn`,
  )
  const counts = new Map<string, AccountCount>()
  for (const { arn } of rows) {
    const account = accountOf(arn)
    const count = (counts.get(account)?.count ?? 0) + 1
    // placed anew, so that of equals the one with the newest topic comes last
    counts.delete(account)
    counts.set(account, { account, count, newest: arn })
  }
  return [...counts.values()].reverse().sort((a, b) => b.count - a.count)
}

function accountOf(arn: string): string {
  return parseTopicArn(arn)?.account ?? ''
}
