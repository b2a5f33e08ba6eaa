/**
 * The engine's windows in the database.
 *
 * Guarantee: a locked window is read and written by one transaction at a time, also when it does not exist yet.
 */
import { createHash } from 'node:crypto'
import type { Queryable } from '../platform/database.js'
import { parseJson, stringifyJson, type JsonObject } from '../platform/json.js'
import type { EngineStep, RuleWindow, WindowAlert } from './engine.js'
import { dedupeParts, type RuleMatch } from './rule-match.js'

interface WindowRow {
  alert_id: string
  started_at: Date
  ends_at: Date
  threshold: number
  match_count: bigint
  update_count: bigint | null
  alert: string
}

/** The key of the window that a match belongs to: a SHA-256 digest, since its parts are long. */
export function windowKey(match: RuleMatch): Buffer {
  return createHash('sha256')
    .update(JSON.stringify(dedupeParts(match)))
    .digest()
}

/**
 * Locks a window until the transaction ends; undefined when there is none. Lock order: windows are locked in the order
 * of keys.
 */
export async function lockWindow(tx: Queryable, key: Buffer): Promise<RuleWindow | undefined> {
  const { rows } = await tx.query<WindowRow>(
    `insert into rule_windows as w (key, alert_id, started_at, ends_at, threshold, match_count, alert)
     values ($1, '', 'epoch', 'epoch', 1, 0, '{}')
     on conflict (key) do update set match_count = w.match_count returning *`,
    [key],
  )
  const [row] = rows
  if (!row || row.alert_id === '') return undefined
  return {
    alertId: row.alert_id,
    startedAt: row.started_at,
    endsAt: row.ends_at,
    threshold: row.threshold,
    matchCount: Number(row.match_count),
    updateCount: row.update_count === null ? undefined : Number(row.update_count),
    alert: JSON.parse(row.alert) as WindowAlert,
  }
}

/** The contexts that wait in a locked window for its threshold, in the order of arrival. */
export async function listWaiting(tx: Queryable, key: Buffer): Promise<JsonObject[]> {
  const { rows } = await tx.query<{ context: string }>(
    'select context from rule_matches where window_key = $1 order by position',
    [key],
  )
  return rows.map(({ context }) => parseJson(context) as JsonObject)
}

/** Writes the effect of a batch on a locked window. */
export async function saveStep(
  tx: Queryable,
  key: Buffer,
  { window, began, change, waiting }: EngineStep,
): Promise<void> {
  await tx.query(
    `update rule_windows set alert_id = $2, started_at = $3, ends_at = $4, threshold = $5, match_count = $6,
       update_count = $7, alert = $8
     where key = $1`,
    [
      key,
      window.alertId,
      window.startedAt,
      window.endsAt,
      window.threshold,
      BigInt(window.matchCount),
      window.updateCount === undefined ? null : BigInt(window.updateCount),
      JSON.stringify(window.alert),
    ],
  )
  if (began || (change && window.updateCount === 0)) {
    await tx.query('delete from rule_matches where window_key = $1', [key])
  }
  if (waiting.length === 0) return
  await tx.query(
    `insert into rule_matches (window_key, context)
     select $1, c.context from unnest($2::text[]) with ordinality as c (context, position) order by c.position`,
    [key, waiting.map(stringifyJson)],
  )
}

/** Deletes up to `limit` windows that ended before `before`; the next match of their key begins a new one anyway. */
export async function deleteEndedWindows(db: Queryable, before: Date, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `delete from rule_windows where key in (
       select key from rule_windows where ends_at < $1 order by ends_at limit $2 for update skip locked)`,
    [before, limit],
  )
  return rowCount
}
