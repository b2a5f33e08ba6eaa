/**
 * Deliveries that begin anew: retried by request, replayed, recovered.
 *
 * Guarantee: whatever became of a delivery, its schedule begins anew with its next attempt, and its attempts stay.
 */
import { TEST_EVENT_TYPE, type StoredEvent } from '../event/event.js'
import type { Queryable } from '../platform/database.js'
import { newId } from '../platform/id.js'
import type { Foreseen } from './recovery.js'

/**
 * Makes a delivery due at once and restarts its schedule, whatever its status, except that a dropped one stays dropped. One
 * that was coalesced is then attempted on its own as well.
 * @returns its webhook; undefined when there is no such delivery or it is dropped
 */
export async function restartDelivery(db: Queryable, id: string, now: Date): Promise<string | undefined> {
  const { rows } = await db.query<{ webhook_id: string }>(
    `update deliveries set ${RESTARTED} where id = $1 and status <> 'dropped' returning webhook_id`,
    [id, now],
  )
  return rows[0]?.webhook_id
}

/** Selects deliveries to restart; all fields that are given must match. */
export interface RestartFilter {
  status: 'dead' | 'pending'
  webhookId?: string
  eventType?: string
  since?: Date
  until?: Date
}

/**
 * Restarts up to `limit` deliveries, the oldest first. Tests are left out: whoever asked for one had its answer.
 * @returns the webhook of each
 */
export async function restartDeliveries(
  db: Queryable,
  filter: RestartFilter,
  now: Date,
  limit: number,
): Promise<string[]> {
  const { rows } = await db.query<{ webhook_id: string }>(
    `update deliveries d set ${RESTARTED}
     where d.id in (select d.id ${TO_RESTART} order by d.id limit $7)
     returning d.webhook_id`,
    [...restartParams(filter, now), limit],
  )
  return rows.map((row) => row.webhook_id)
}

/** Tells what `restartDeliveries` would restart without a limit. @param webhooks how many of them are named at most */
export async function foreseeRestart(
  db: Queryable,
  filter: RestartFilter,
  now: Date,
  webhooks: number,
): Promise<Omit<Foreseen, 'is_complete'>> {
  const { rows } = await db.query<{ webhook_id: string; count: bigint; oldest: Date; newest: Date }>(
    `select d.webhook_id, count(*) as count, min(d.created_at) as oldest, max(d.created_at) as newest
     ${TO_RESTART} group by d.webhook_id order by count desc, d.webhook_id`,
    restartParams(filter, now),
  )
  const times = rows.flatMap(({ oldest, newest }) => [oldest.getTime(), newest.getTime()])
  return {
    deliveries: rows.reduce((sum, { count }) => sum + Number(count), 0),
    webhooks: rows
      .slice(0, webhooks)
      .map(({ webhook_id: webhookId, count }) => ({ webhook_id: webhookId, deliveries: Number(count) })),
    oldest: times.length > 0 ? new Date(Math.min(...times)).toISOString() : null,
    newest: times.length > 0 ? new Date(Math.max(...times)).toISOString() : null,
  }
}

/** The deliveries that a filter selects. @see restartParams */
const TO_RESTART = `from deliveries d join events e on e.id = d.event_id
  where d.status = $1 and e.type <> '${TEST_EVENT_TYPE}' and ($3::text is null or d.webhook_id = $3) and ($4::text is null or e.type = $4)
    and ($5::timestamptz is null or d.created_at >= $5) and ($6::timestamptz is null or d.created_at < $6)
    and ($1 <> 'pending' or d.next_attempt_at > $2)
    and exists (select from webhooks w where w.id = d.webhook_id)`

function restartParams({ status, webhookId, eventType, since, until }: RestartFilter, now: Date): unknown[] {
  return [status, now, webhookId, eventType, since, until]
}

const RESTARTED = `status = 'pending', reason = null, schedule_start = attempt_count, next_attempt_at = $2,
  updated_at = $2`

/**
 * Makes the deliveries of an event to these webhooks due at once and marks them as replays; inserts those that do not exist.
 * @returns their ids
 */
export async function replayDeliveries(
  db: Queryable,
  event: Pick<StoredEvent, 'id' | 'alertId' | 'sequence'>,
  webhookIds: readonly string[],
  now: Date,
): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `insert into deliveries as d
       (id, event_id, webhook_id, status, next_attempt_at, alert_id, sequence, replay, created_at, updated_at)
     select id, $1, webhook_id, 'pending', $2, $3, $4, true, $2, $2
     from unnest($5::text[], $6::text[]) as n (id, webhook_id)
     on conflict (event_id, webhook_id) do update
     set status = 'pending', reason = null, schedule_start = d.attempt_count, next_attempt_at = $2,
       replay = true, updated_at = $2
     returning id`,
    [event.id, now, event.alertId, event.sequence, webhookIds.map(() => newId('dlv')), webhookIds],
  )
  return rows.map(({ id }) => id)
}
