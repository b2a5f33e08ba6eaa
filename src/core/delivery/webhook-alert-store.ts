/**
 * What a webhook was spared of an alert (`only_new`), and when it was last sent a delivery of it (`coalesce.every`).
 *
 * Guarantee: a change that a webhook is spared is counted in one delivery, the first of its alert that is sealed afterwards,
 * however often it is dispatched and by how many processes. What a delivery counts is written by the statement that seals it.
 */
import type { StoredEvent } from '../event/event.js'
import type { Queryable } from '../platform/database.js'
import { newId } from '../platform/id.js'

/** A change that a webhook with `only_new` is not sent. */
export interface SparedChange {
  event: Pick<StoredEvent, 'id' | 'alertId' | 'sequence'>
  webhookId: string
}

/** Records changes as dropped and counts those that were not recorded before; repeating it changes nothing. */
export async function recordSpared(db: Queryable, spared: readonly SparedChange[], now: Date): Promise<void> {
  await db.query(
    `with spared as (
       insert into deliveries (id, event_id, webhook_id, alert_id, sequence, status, reason, created_at, updated_at)
       select s.*, 'dropped', 'nothing new in it: the next delivery of its alert counts it', $6, $6
       from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[]) as s
       on conflict (event_id, webhook_id) do nothing
       returning alert_id, webhook_id
     )
     insert into webhook_alerts as w (alert_id, webhook_id, spared)
     select alert_id, webhook_id, count(*) from spared group by alert_id, webhook_id order by alert_id, webhook_id
     on conflict (alert_id, webhook_id) do update set spared = w.spared + excluded.spared`,
    [
      spared.map(() => newId('dlv')),
      spared.map(({ event }) => event.id),
      spared.map(({ webhookId }) => webhookId),
      spared.map(({ event }) => event.alertId),
      spared.map(({ event }) => event.sequence),
      now,
    ],
  )
}

/**
 * For deliveries that are about to be sealed, in the same statement: `taken` is how many spared changes each that is not
 * sealed yet counts from now on. Of several of one alert the first counts them. `$1` is their ids.
 */
export const TAKE_SPARED = `unsealed as (
    select id, alert_id, webhook_id, sequence from deliveries
    where id = any($1) and not sealed and alert_id is not null order by id for update
  ), first as (
    select distinct on (alert_id) * from unsealed order by alert_id, sequence
  ), waiting as (
    select w.alert_id, w.webhook_id, f.id from webhook_alerts w join first f using (alert_id, webhook_id)
    where w.spared > 0 order by w.alert_id for update of w
  ), taken as (
    delete from webhook_alerts w using waiting g where w.alert_id = g.alert_id and w.webhook_id = g.webhook_id
    returning g.id, w.spared
  )`

/**
 * Postpones those of these deliveries that come within `everyMs` of the last delivery of their alert to the end of that time.
 * One that was attempted follows its own schedule, and what is asked for by hand is sent at once.
 * @returns how many were postponed
 */
export async function holdBack(
  db: Queryable,
  webhookId: string,
  deliveryIds: readonly string[],
  { everyMs, now }: { everyMs: number; now: Date },
): Promise<number> {
  const every = `$4::double precision * interval '1 millisecond'`
  const { rowCount } = await db.query(
    `update deliveries d set next_attempt_at = least(w.sent_at, $3) + ${every}
     from webhook_alerts w
     where d.id = any($2) and d.status = 'pending' and d.next_attempt_at <= $3 and not d.sealed and not d.replay
       and w.webhook_id = $1 and w.alert_id = d.alert_id and w.sent_at > $3::timestamptz - ${every}`,
    [webhookId, deliveryIds, now, everyMs],
  )
  return rowCount
}

/** Keeps that attempts at these deliveries start now. */
export async function markSent(db: Queryable, deliveryIds: readonly string[], now: Date): Promise<void> {
  await db.query(
    `insert into webhook_alerts (alert_id, webhook_id, sent_at)
     select distinct alert_id, webhook_id, $2::timestamptz from deliveries
     where id = any($1) and alert_id is not null order by alert_id
     on conflict (alert_id, webhook_id) do update set sent_at = excluded.sent_at`,
    [deliveryIds, now],
  )
}

/** Forgets that an alert was sent: its receiver refused it, and another delivery takes its place. */
export async function unmarkSent(db: Queryable, webhookId: string, alertId: string): Promise<void> {
  await db.query(`update webhook_alerts set sent_at = '-infinity' where alert_id = $2 and webhook_id = $1`, [
    webhookId,
    alertId,
  ])
}

/** Deletes what is kept for a deleted webhook. */
export async function forgetWebhook(db: Queryable, webhookId: string): Promise<void> {
  await db.query('delete from webhook_alerts where webhook_id = $1', [webhookId])
}

/** Deletes up to `limit` rows that say nothing any more: no change is spared, and the longest interval is over. */
export async function deleteOldSends(db: Queryable, before: Date, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `delete from webhook_alerts where spared = 0 and (alert_id, webhook_id) in (
       select alert_id, webhook_id from webhook_alerts where spared = 0 and sent_at < $1 limit $2)`,
    [before, limit],
  )
  return rowCount
}
