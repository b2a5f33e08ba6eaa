/**
 * Reads the values of alerts, as of any of their changes, and marks alerts as quiet. The values are written by
 * event/message-store.ts, in the statement that stores the event.
 */
import type { Queryable } from '../platform/database.js'
import { parseJson, type Json } from '../platform/json.js'
import type { ContextValue } from './context.js'

/** The context of an alert as of one change. */
export interface AlertMemory {
  accumulated: ContextValue[]
  /** The values that this change added: those of `accumulated` that no earlier change had. */
  diff: ContextValue[]
}

/** A change of an alert. */
export interface ChangeRef {
  alertId: string
  sequence: bigint
  /** Earlier changes whose new values count as new in this one, since they are delivered with it. */
  earlier?: readonly bigint[]
}

/** The context of an alert as of one change; the result is the same at any later time. */
export async function recallContext(db: Queryable, change: ChangeRef): Promise<AlertMemory> {
  const [memory] = await recallContexts(db, [change])
  return memory!
}

/** The contexts of several alerts, each as of one change, in the order of the input. */
export async function recallContexts(db: Queryable, changes: readonly ChangeRef[]): Promise<AlertMemory[]> {
  // One JSON text per alert: transferring and parsing one row per value takes longer than finding it.
  const { rows } = await db.query<{ values: string | null }>(
    `select (
       select '[' || string_agg('[' || path || ',' || value || ',' || sequence || ']', ',' order by sequence, ordinal) || ']'
       from alert_values v where v.alert_id = c.alert_id and v.sequence <= c.sequence) as values
     from unnest($1::text[], $2::bigint[]) with ordinality as c (alert_id, sequence, position) order by position`,
    [changes.map(({ alertId }) => alertId), changes.map(({ sequence }) => sequence)],
  )
  return rows.map(({ values }, i) => memoryOf(values, changes[i]!))
}

/** @param values a JSON list of `[path, value, sequence of the change that added it]`; null: there are none */
function memoryOf(values: string | null, { sequence, earlier = [] }: ChangeRef): AlertMemory {
  const newIn = new Set([...earlier, sequence].map(Number))
  const memory: AlertMemory = { accumulated: [], diff: [] }
  for (const [path, value, addedBy] of parseJson(values ?? '[]') as [string[], Json, number][]) {
    const entry = { path, value }
    memory.accumulated.push(entry)
    if (newIn.has(addedBy)) memory.diff.push(entry)
  }
  return memory
}

/** An alert that became quiet, which counts as a change with a sequence of its own. */
export interface QuietAlert {
  id: string
  sequence: bigint
  title: string
  severity: string
  matchCount: bigint | null
  updateCount: bigint | null
}

/**
 * Marks up to `limit` alerts that did not change since `before` as quiet. Must be called in the transaction that stores
 * their events. An alert whose row is locked by a concurrent change is skipped.
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
