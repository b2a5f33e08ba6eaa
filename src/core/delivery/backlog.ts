/** Counts the stored work that is not done, for /metrics, up to a limit, so that a large backlog does not slow the scrape. */
import type { Queryable } from '../platform/database.js'
import type { Backlog } from '../platform/metrics.js'
import type { Queues } from '../platform/queues.js'
import { countHealth } from '../circuit/health-store.js'

const MAX_COUNT = 100_000

export async function readBacklog(db: Queryable, queues: Pick<Queues, 'counts'>, now: Date): Promise<Backlog> {
  const [{ rows }, webhooks, jobs] = await Promise.all([
    db.query<{ events: bigint; deliveries: bigint; oldest: Date | null }>(
      `select
         (select count(*) from (select 1 from undispatched limit ${MAX_COUNT}) e) as events,
         (select count(*) from (select 1 from deliveries where status = 'pending' limit ${MAX_COUNT}) d) as deliveries,
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
  const { events, deliveries, oldest } = rows[0]!
  return {
    undispatchedEvents: Number(events),
    pendingDeliveries: Number(deliveries),
    oldestDueS: oldest === null ? 0 : Math.max(0, (now.getTime() - oldest.getTime()) / 1000),
    webhooks,
    jobs,
  }
}
