/**
 * Indicators: which values a webhook was sent, and by which event.
 *
 * Guarantee: of two concurrent events with the same value, one claims it. Claims are idempotent: the same event claims it
 * again at a retry, a replay or a repeated dispatch.
 */
import { contextKey, type ContextValue } from '../alert/context.js'
import type { Queryable } from '../platform/database.js'
import { parseStoredJson, stringifyJson } from '../platform/json.js'
import { expiryOf, type Indicator, type Once } from './once.js'

interface IndicatorRow {
  path: string
  value: string
}

/**
 * Claims for an event those values that the webhook was never sent, or not within `once.within`.
 * @returns the values that belong to the event now, ordered by path; empty: the event is not to be sent
 */
export async function claimIndicators(
  db: Queryable,
  webhookId: string,
  eventId: string,
  values: readonly ContextValue[],
  once: Once,
  now: Date,
): Promise<Indicator[]> {
  if (values.length === 0) return []
  // Lock order: by key, so that two events with the same values cannot deadlock.
  const keyed = values.map((entry) => ({ key: contextKey(entry), entry })).sort((a, b) => Buffer.compare(a.key, b.key))
  const { rows } = await db.query<IndicatorRow>(
    `insert into indicators as i (webhook_id, key, path, value, event_id, sent_at)
     select w.id, v.key, v.path, v.value, $2, $3
     from webhooks w, unnest($4::bytea[], $5::text[], $6::text[]) with ordinality as v (key, path, value, position)
     where w.id = $1 order by v.position
     on conflict (webhook_id, key) do update set event_id = excluded.event_id, sent_at = excluded.sent_at
       where i.event_id = excluded.event_id or i.sent_at < $7
     returning path, value`,
    [
      webhookId,
      eventId,
      now,
      keyed.map(({ key }) => key),
      keyed.map(({ entry }) => entry.path.join('.')),
      keyed.map(({ entry }) => stringifyJson(entry.value)),
      expiryOf(once, now) ?? null,
    ],
  )
  return indicatorsOf(rows)
}

/** The values that an event has claimed. */
export async function findIndicators(db: Queryable, webhookId: string, eventId: string): Promise<Indicator[]> {
  const { rows } = await db.query<IndicatorRow>(
    'select path, value from indicators where webhook_id = $1 and event_id = $2',
    [webhookId, eventId],
  )
  return indicatorsOf(rows)
}

/** Deletes up to `limit` expired values of a webhook. @returns how many */
export async function deleteFreeIndicators(
  db: Queryable,
  webhook: { id: string; once: Once | null },
  now: Date,
  limit: number,
): Promise<number> {
  const before = webhook.once && expiryOf(webhook.once, now)
  if (!before) return 0
  const { rowCount } = await db.query(
    `delete from indicators where (webhook_id, key) in (
       select webhook_id, key from indicators where webhook_id = $1 and sent_at < $2 limit $3)`,
    [webhook.id, before, limit],
  )
  return rowCount
}

/** In a fixed order, so that the body of a retry is the body of the first attempt. */
function indicatorsOf(rows: readonly IndicatorRow[]): Indicator[] {
  const order = (row: IndicatorRow) => `${row.path}\n${row.value}`
  return [...rows]
    .sort((a, b) => (order(a) < order(b) ? -1 : 1))
    .map(({ path, value }) => ({ path, value: parseStoredJson(value) }))
}
