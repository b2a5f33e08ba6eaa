/** How much stored work is not done, for /metrics: counted up to a bound, so that a large backlog does not slow its own measurement. */
import type { Queryable } from '../platform/database.js'
import type { Backlog } from '../platform/metrics.js'
import type { Queues } from '../platform/queues.js'

const BOUND = 100_000

export async function readBacklog(db: Queryable, queues: Pick<Queues, 'counts'>, now: Date): Promise<Backlog> {
  const [{ rows }, jobs] = await Promise.all([
    db.query<{ events: bigint; deliveries: bigint; oldest: Date | null }>(
      `select
         (select count(*) from (select 1 from events where dispatched_at is null limit ${BOUND}) e) as events,
         (select count(*) from (select 1 from deliveries where status = 'pending' limit ${BOUND}) d) as deliveries,
         least(
           (select received_at from events where dispatched_at is null order by id limit 1),
           (select min(next_attempt_at) from deliveries where status = 'pending' and next_attempt_at is not null)
         ) as oldest`,
    ),
    queues.counts(),
  ])
  const { events, deliveries, oldest } = rows[0]!
  return {
    undispatchedEvents: Number(events),
    pendingDeliveries: Number(deliveries),
    oldestDueS: oldest === null ? 0 : Math.max(0, (now.getTime() - oldest.getTime()) / 1000),
    jobs,
  }
}
