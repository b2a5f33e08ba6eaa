/**
 * Indicators: which values a webhook was sent, and by which event.
 *
 * Guarantee: of two concurrent events with the same value, one claims it. Claims are idempotent: the same event claims it
 * again at a retry, a replay or a repeated dispatch. Claims of earlier versions count (rekey-store.ts).
 */
import type { Database, Queryable } from '../platform/database.js'
import { parseStoredJson, stringifyJson } from '../platform/json.js'
import { storable } from '../platform/text.js'
import { expiryOf, type Indicator, type Once, type SelectedIndicator } from './once.js'
import { rekeyIndicators } from './rekey-store.js'

interface IndicatorRow {
  path: string
  value: string
}

interface ClaimedRow extends IndicatorRow {
  /** True for one row that says that the webhook has claims of an earlier version. */
  is_old: boolean
}

/**
 * Claims for an event those values that the webhook was never sent, or not within `once.within`.
 * @returns the values that belong to the event now, ordered by path; empty: the event is not to be sent
 */
export async function claimIndicators(
  db: Queryable,
  webhookId: string,
  eventId: string,
  values: readonly SelectedIndicator[],
  once: Once,
  now: Date,
): Promise<Indicator[]> {
  if (values.length === 0) return []
  // Lock order: by key, so that two events with the same values cannot deadlock.
  const keyed = [...values].sort((a, b) => Buffer.compare(a.key, b.key))
  const { rows } = await db.query<IndicatorRow>(
    `insert into indicators as i (webhook_id, key, path, value, kind, event_id, sent_at)
     select w.id, v.key, v.path, v.value, v.kind, $2, $3
     from webhooks w,
       unnest($4::bytea[], $5::text[], $6::text[], $7::text[]) with ordinality as v (key, path, value, kind, position)
     where w.id = $1 order by v.position
     on conflict (webhook_id, key) do update
       set event_id = excluded.event_id, sent_at = excluded.sent_at, path = excluded.path, value = excluded.value
       where i.event_id = excluded.event_id or i.sent_at < $8
     returning path, value`,
    [
      webhookId,
      eventId,
      now,
      keyed.map(({ key }) => key),
      keyed.map(({ path }) => storable(path.join('.'))),
      keyed.map(({ value }) => stringifyJson(value)),
      keyed.map(({ kind }) => kind),
      expiryOf(once, now) ?? null,
    ],
  )
  return indicatorsOf(rows)
}

/** The values that an event has claimed. When there are none, claims of earlier versions are ready for `claimIndicators`. */
export async function findIndicators(database: Database, webhookId: string, eventId: string): Promise<Indicator[]> {
  const { rows } = await database.query<ClaimedRow>(
    `select path, value, false as is_old from indicators where webhook_id = $1 and event_id = $2
     union all
     select '', '', true where exists (select from indicators where webhook_id = $1 and kind is null)`,
    [webhookId, eventId],
  )
  const claimed = rows.filter((row) => !row.is_old)
  if (claimed.length === 0 && rows.length > 0) await rekeyIndicators(database, webhookId)
  return indicatorsOf(claimed)
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
