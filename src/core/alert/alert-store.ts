/**
 * The memory of alerts: how often each changed, and every value ever seen in it.
 *
 * Promise: `rememberChange` gives two changes of one alert different sequences, in the order of their commits, and gives
 * each value to exactly one of them, on any number of processes.
 */
import type { Queryable } from '../platform/database.js'
import { parseJson, stringifyJson } from '../platform/json.js'
import { labelOf } from '../platform/text.js'
import type { AlertChange } from './change.js'
import { contextKey, type ContextValue } from './context.js'

/** What an alert was right after one change. */
export interface AlertMoment {
  /** 1 for the first change that we saw, whatever its update_count. */
  sequence: bigint
  /** The highest count seen so far: upstream's repeat and go back. */
  matchCount: bigint | null
  updateCount: bigint | null
  /** How many values this change brought that the alert never held. */
  newValues: number
}

/** The context of an alert as of one change. */
export interface AlertMemory {
  accumulated: ContextValue[]
  /** What that change brought: the part of `accumulated` that no earlier change held. */
  diff: ContextValue[]
}

/**
 * Writes a change into the alert's memory. To be called in the transaction that stores the event: the alert's row stays
 * locked until it ends, so changes of one alert take their turns.
 */
export async function rememberChange(tx: Queryable, change: AlertChange, receivedAt: Date): Promise<AlertMoment> {
  const { rows } = await tx.query<{ sequence: bigint; match_count: bigint | null; update_count: bigint | null }>(
    `insert into alerts as a (id, sequence, title, severity, match_count, update_count, first_seen_at, last_seen_at, tables)
     values ($1, 1, $2, $3, $4, $5, $6, $6, $7)
     on conflict (id) do update set
       sequence = a.sequence + 1,
       title = excluded.title,
       severity = excluded.severity,
       match_count = greatest(a.match_count, excluded.match_count),
       update_count = greatest(a.update_count, excluded.update_count),
       last_seen_at = greatest(a.last_seen_at, excluded.last_seen_at),
       tables = excluded.tables,
       quiet_at = null
     returning sequence, match_count, update_count`,
    [
      change.alertId,
      labelOf(change.title),
      labelOf(change.severity),
      change.matchCount ?? null,
      change.updateCount ?? null,
      receivedAt,
      change.tables.map(labelOf),
    ],
  )
  const { sequence, match_count: matchCount, update_count: updateCount } = rows[0]!
  const newValues = await rememberValues(tx, change, sequence)
  return { sequence, matchCount, updateCount, newValues }
}

async function rememberValues(tx: Queryable, change: AlertChange, sequence: bigint): Promise<number> {
  if (change.values.length === 0) return 0
  const { rowCount } = await tx.query(
    `insert into alert_values (alert_id, sequence, ordinal, key, path, value)
     select $1, $2, v.ordinal, v.key, v.path, v.value
     from unnest($3::bytea[], $4::text[], $5::text[]) with ordinality as v (key, path, value, ordinal)
     on conflict (alert_id, key) do nothing`,
    [
      change.alertId,
      sequence,
      change.values.map(contextKey),
      change.values.map(({ path }) => JSON.stringify(path)),
      change.values.map(({ value }) => stringifyJson(value)),
    ],
  )
  return rowCount
}

/** The alert's context as of its change number `sequence`; the same answer at any later time. */
export async function recallContext(db: Queryable, alertId: string, sequence: bigint): Promise<AlertMemory> {
  const { rows } = await db.query<{ path: string; value: string; sequence: bigint }>(
    `select path, value, sequence from alert_values
     where alert_id = $1 and sequence <= $2 order by sequence, ordinal`,
    [alertId, sequence],
  )
  const memory: AlertMemory = { accumulated: [], diff: [] }
  const paths = new Map<string, string[]>()
  for (const row of rows) {
    let path = paths.get(row.path)
    if (!path) paths.set(row.path, (path = JSON.parse(row.path) as string[]))
    const held = { path, value: parseJson(row.value) }
    memory.accumulated.push(held)
    if (row.sequence === sequence) memory.diff.push(held)
  }
  return memory
}

/** An alert that went quiet, and the sequence of that change. */
export interface QuietAlert {
  id: string
  sequence: bigint
  title: string
  severity: string
  matchCount: bigint | null
  updateCount: bigint | null
}

/**
 * Marks up to `limit` alerts that did not change since `before` as quiet. To be called in the transaction that stores
 * their events. An alert that is being changed at this moment is passed by.
 */
export async function markQuiet(tx: Queryable, before: Date, now: Date, limit: number): Promise<QuietAlert[]> {
  const { rows } = await tx.query<{
    id: string
    sequence: bigint
    title: string
    severity: string
    match_count: bigint | null
    update_count: bigint | null
  }>(
    `update alerts set quiet_at = $2, sequence = sequence + 1
     where id in (
       select id from alerts where quiet_at is null and last_seen_at < $1
       order by last_seen_at limit $3 for update skip locked)
     returning id, sequence, title, severity, match_count, update_count`,
    [before, now, limit],
  )
  return rows.map(({ match_count: matchCount, update_count: updateCount, ...alert }) => ({
    ...alert,
    matchCount,
    updateCount,
  }))
}
