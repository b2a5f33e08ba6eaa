/**
 * The memory of alerts, read: every value ever seen in one, as of any of its changes; and the alerts that went quiet. What
 * writes it is event/message-store.ts, in the statement that stores the event.
 */
import type { Queryable } from '../platform/database.js'
import { parseJson, type Json } from '../platform/json.js'
import type { ContextValue } from './context.js'

/** The context of an alert as of one change. */
export interface AlertMemory {
  accumulated: ContextValue[]
  /** What that change brought: the part of `accumulated` that no earlier change held. */
  diff: ContextValue[]
}

/** Which change of which alert. */
export interface ChangeRef {
  alertId: string
  sequence: bigint
  /** Changes before that one whose news count as its own. */
  earlier?: readonly bigint[]
}

/** The context of an alert as of one change; the same answer at any later time. */
export async function recallContext(db: Queryable, change: ChangeRef): Promise<AlertMemory> {
  const [memory] = await recallContexts(db, [change])
  return memory!
}

/** The contexts of several alerts, each as of one change, in the order given. */
export async function recallContexts(db: Queryable, changes: readonly ChangeRef[]): Promise<AlertMemory[]> {
  // One JSON text an alert: a row a value would take longer to send and to read than to find.
  const { rows } = await db.query<{ values: string | null }>(
    `select (
       select '[' || string_agg('[' || path || ',' || value || ',' || sequence || ']', ',' order by sequence, ordinal) || ']'
       from alert_values v where v.alert_id = c.alert_id and v.sequence <= c.sequence) as values
     from unnest($1::text[], $2::bigint[]) with ordinality as c (alert_id, sequence, place) order by place`,
    [changes.map(({ alertId }) => alertId), changes.map(({ sequence }) => sequence)],
  )
  return rows.map(({ values }, i) => memoryOf(values, changes[i]!))
}

/** @param values `[path, value, sequence of the change that brought it]` of each, as JSON; null: there are none */
function memoryOf(values: string | null, { sequence, earlier = [] }: ChangeRef): AlertMemory {
  const news = new Set([...earlier, sequence].map(Number))
  const memory: AlertMemory = { accumulated: [], diff: [] }
  for (const [path, value, broughtBy] of parseJson(values ?? '[]') as [string[], Json, number][]) {
    const held = { path, value }
    memory.accumulated.push(held)
    if (news.has(broughtBy)) memory.diff.push(held)
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
