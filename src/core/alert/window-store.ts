/**
 * The engine's windows in the database.
 *
 * Guarantee: a locked window is read and written by one transaction at a time, also when it does not exist yet.
 */
import { hash } from 'node:crypto'
import type { Queryable } from '../platform/database.js'
import { parseJson, stringifyJson, type JsonObject } from '../platform/json.js'
import type { EngineStep, RuleWindow, WindowAlert } from './engine.js'
import { dedupeParts, type RuleMatch } from './rule-match.js'

interface WindowRow {
  key: string
  alert_id: string
  started_at: Date
  ends_at: Date
  threshold: number
  match_count: bigint
  update_count: bigint | null
  alert: string
}

/** The key of the window that a match belongs to, in hexadecimal: a SHA-256 digest, since its parts are long. */
export function windowKey(match: RuleMatch): string {
  return hash('sha256', JSON.stringify(dedupeParts(match)))
}

/**
 * Locks windows until the transaction ends. Lock order: windows are locked in the order of their keys.
 * @returns those that exist, by key
 */
export async function lockWindows(tx: Queryable, keys: readonly string[]): Promise<Map<string, RuleWindow>> {
  const { rows } = await tx.query<WindowRow>(
    `insert into rule_windows as w (key, alert_id, started_at, ends_at, threshold, match_count, alert)
     select decode(key, 'hex'), '', 'epoch', 'epoch', 1, 0, '{}' from unnest($1::text[]) as k (key) order by 1
     on conflict (key) do update set match_count = w.match_count
     returning encode(key, 'hex') as key, alert_id, started_at, ends_at, threshold, match_count, update_count, alert`,
    [keys],
  )
  return new Map(rows.flatMap((row) => (row.alert_id === '' ? [] : [[row.key, windowOf(row)]])))
}

function windowOf(row: WindowRow): RuleWindow {
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

/** The contexts that wait in locked windows for their thresholds, by key, in the order of arrival. */
export async function listWaiting(tx: Queryable, keys: readonly string[]): Promise<Map<string, JsonObject[]>> {
  const waiting = new Map<string, JsonObject[]>(keys.map((key) => [key, []]))
  if (keys.length === 0) return waiting
  const { rows } = await tx.query<{ key: string; context: string }>(
    `select encode(window_key, 'hex') as key, context from rule_matches
     where window_key in (select decode(key, 'hex') from unnest($1::text[]) as k (key)) order by window_key, position`,
    [keys],
  )
  for (const { key, context } of rows) waiting.get(key)!.push(parseJson(context) as JsonObject)
  return waiting
}

/** Writes the effects of a batch on locked windows, by key. */
export async function saveSteps(tx: Queryable, steps: ReadonlyMap<string, EngineStep>): Promise<void> {
  const windows = [...steps].map(([key, { window }]) => ({ ...window, key }))
  await tx.query(
    `update rule_windows w set alert_id = s.alert_id, started_at = s.started_at, ends_at = s.ends_at,
       threshold = s.threshold, match_count = s.match_count, update_count = s.update_count, alert = s.alert
     from unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::int[], $6::bigint[], $7::bigint[],
       $8::text[]) as s (key, alert_id, started_at, ends_at, threshold, match_count, update_count, alert)
     where w.key = decode(s.key, 'hex')`,
    [
      windows.map(({ key }) => key),
      windows.map(({ alertId }) => alertId),
      windows.map(({ startedAt }) => startedAt),
      windows.map(({ endsAt }) => endsAt),
      windows.map(({ threshold }) => threshold),
      windows.map(({ matchCount }) => BigInt(matchCount)),
      windows.map(({ updateCount }) => (updateCount === undefined ? null : BigInt(updateCount))),
      windows.map(({ alert }) => JSON.stringify(alert)),
    ],
  )
  await saveWaiting(tx, steps)
}

/** Deletes the contexts that wait no longer, and adds those that wait from now on. */
async function saveWaiting(tx: Queryable, steps: ReadonlyMap<string, EngineStep>): Promise<void> {
  const settled = [...steps].filter(([, { settles }]) => settles).map(([key]) => key)
  const waiting = [...steps].flatMap(([key, step]) => step.waiting.map((context) => ({ key, context })))
  if (settled.length > 0) {
    await tx.query(
      `delete from rule_matches where window_key in (select decode(key, 'hex') from unnest($1::text[]) as k (key))`,
      [settled],
    )
  }
  if (waiting.length === 0) return
  await tx.query(
    `insert into rule_matches (window_key, context)
     select decode(c.key, 'hex'), c.context
     from unnest($1::text[], $2::text[]) with ordinality as c (key, context, position) order by c.position`,
    [waiting.map(({ key }) => key), waiting.map(({ context }) => stringifyJson(context))],
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
