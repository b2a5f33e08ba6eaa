/**
 * Counts the stored work that is not done, for /metrics, in all and by webhook, up to a limit, so that a large backlog does not
 * slow the scrape.
 */
import { DISABLED_BY_OPERATOR } from '../circuit/health.js'
import { countHealth } from '../circuit/health-store.js'
import type { Queryable } from '../platform/database.js'
import type { Backlog } from '../platform/metrics.js'
import type { Queues } from '../platform/queues.js'
import { MAX_WEBHOOKS, type WebhookStates } from '../platform/webhook-metrics.js'

const MAX_COUNT = 100_000

export async function readBacklog(db: Queryable, queues: Pick<Queues, 'counts'>, now: Date): Promise<Backlog> {
  const [{ rows }, webhooks, jobs] = await Promise.all([
    db.query<{ events: bigint; deliveries: bigint; oldest: Date | null; topics: bigint }>(
      `select
         (select count(*) from (select 1 from undispatched limit ${MAX_COUNT}) e) as events,
         (select count(*) from (select 1 from deliveries where status = 'pending' limit ${MAX_COUNT}) d) as deliveries,
         (select count(*) from topics where status = 'pending') as topics,
         least(
           (select received_at from undispatched order by batch_id limit 1),
           (select min(due.at) from delivery_queues q cross join lateral (
              select next_attempt_at as at from deliveries d
              where d.webhook_id = q.webhook_id and d.status = 'pending' order by next_attempt_at limit 1) due)
         ) as oldest`,
    ),
    countHealth(db),
    queues.counts(),
  ])
  const { events, deliveries, oldest, topics } = rows[0]!
  const count = Object.values(webhooks).reduce((sum, ofState) => sum + ofState, 0)
  return {
    undispatchedEvents: Number(events),
    pendingDeliveries: Number(deliveries),
    pendingTopics: Number(topics),
    oldestDueS: oldest === null ? 0 : Math.max(0, (now.getTime() - oldest.getTime()) / 1000),
    webhooks,
    byWebhook: await readStates(db, count),
    jobs,
  }
}

/** The state of `webhooks w` and its `delivery_queues q`, with who disabled it. */
const STATE = `case when w.status = 'enabled' then q.health
  when w.disabled_reason = '${DISABLED_BY_OPERATOR}' then 'disabled_by_operator' else 'disabled' end`
const FROM = 'from webhooks w join delivery_queues q on q.webhook_id = w.id'

/** Reads the webhooks one by one; of each are counted as many deliveries as fit into `MAX_COUNT`. @param count of webhooks */
async function readStates(db: Queryable, count: number): Promise<WebhookStates> {
  const { rows: listed } = await db.query<{ id: string; name: string | null; state: string; waiting: bigint }>(
    `select w.id, w.name, w.state, (select count(*) from (
         select from deliveries d where d.webhook_id = w.id and d.status = 'pending' limit $2) d) as waiting
     from (select w.id, w.name, ${STATE} as state ${FROM} order by w.id limit $1) w order by w.id`,
    [MAX_WEBHOOKS, Math.ceil(MAX_COUNT / Math.min(Math.max(count, 1), MAX_WEBHOOKS))],
  )
  const states = listed.map(({ waiting, ...webhook }) => ({ ...webhook, waiting: Number(waiting) }))
  return { listed: states, others: count > MAX_WEBHOOKS ? await readOthers(db, states.at(-1)!.id) : undefined }
}

async function readOthers(db: Queryable, last: string): Promise<WebhookStates['others']> {
  const [states, waiting] = await Promise.all([
    db.query<{ state: string; count: bigint }>(
      `select ${STATE} as state, count(*) ${FROM} where w.id > $1 group by 1`,
      [last],
    ),
    db.query<{ count: bigint }>(
      `select count(*) from (
         select from deliveries where webhook_id > $1 and status = 'pending' limit ${MAX_COUNT}) d`,
      [last],
    ),
  ])
  return {
    states: Object.fromEntries(states.rows.map(({ state, count }) => [state, Number(count)])),
    waiting: Number(waiting.rows[0]!.count),
  }
}
