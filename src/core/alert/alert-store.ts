/**
 * Reads the values of alerts, as of any of their changes, and marks alerts as quiet. The values are written by
 * event/message-store.ts, in the statement that stores the event.
 */
import type { Queryable } from '../platform/database.js'
import { parseStoredJson, type Json } from '../platform/json.js'
import type { ContextValue } from './context.js'

/** The context of an alert as of one change. */
export interface AlertMemory {
  /** Every value that it held by then; undefined where only the diff was asked for. */
  accumulated: ContextValue[] | undefined
  /** What that change brought: the values that no earlier change held. */
  diff: ContextValue[]
}

/** Which change of which alert, and how much of its context is read. */
export interface ChangeRef {
  alertId: string
  sequence: bigint
  /** Earlier changes whose new values count as new in this one, since they are delivered with it. */
  earlier?: readonly bigint[]
  /** False: only the diff is read. */
  whole?: boolean
}

/** Values in the order in which they came, and the sequence of the change that brought each. */
interface HeldValues {
  values: ContextValue[]
  sequences: number[]
}

const NOTHING_HELD: HeldValues = { values: [], sequences: [] }

/** The context of an alert as of one change; the result is the same at any later time. */
export async function recallContext(db: Queryable, change: ChangeRef): Promise<AlertMemory> {
  const [memory] = await recallContexts(db, [change])
  return memory!
}

/**
 * The contexts of several alerts, each as of one change, in the order given. An alert is read once, up to the highest change
 * of which the whole is asked for.
 */
export async function recallContexts(db: Queryable, changes: readonly ChangeRef[]): Promise<AlertMemory[]> {
  const highest = new Map<string, bigint>()
  for (const { alertId, sequence, whole = true } of changes) {
    if (whole && sequence > (highest.get(alertId) ?? 0n)) highest.set(alertId, sequence)
  }
  const partial = changes.filter(({ whole }) => whole === false)
  const [wholes, diffs] = await Promise.all([
    readUpTo(db, highest),
    readBroughtBy(
      db,
      partial.flatMap((change) => newsOf(change).map((sequence) => ({ alertId: change.alertId, sequence }))),
    ),
  ])
  return changes.map((change) => {
    const news = new Set(newsOf(change).map(Number))
    const whole = change.whole !== false
    const held = (whole ? wholes : diffs).get(change.alertId) ?? NOTHING_HELD
    const diff = held.values.filter((_, i) => news.has(held.sequences[i]!))
    const count = countUpTo(held.sequences, Number(change.sequence))
    return { diff, accumulated: whole ? held.values.slice(0, count) : undefined }
  })
}

function newsOf({ sequence, earlier = [] }: ChangeRef): bigint[] {
  return [...earlier, sequence]
}

/** How many of the sequences, which are in order, are up to this one. */
function countUpTo(sequences: readonly number[], sequence: number): number {
  let [low, high] = [0, sequences.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sequences[middle]! <= sequence) low = middle + 1
    else high = middle
  }
  return low
}

/** One JSON text an alert: a row a value would take longer to send and to read than to find. */
const AS_JSON = `'[' || string_agg('[' || path || ',' || value || ',' || sequence || ']', ',' order by sequence, ordinal) || ']'`

async function readUpTo(db: Queryable, highest: ReadonlyMap<string, bigint>): Promise<Map<string, HeldValues>> {
  if (highest.size === 0) return new Map()
  const { rows } = await db.query<{ alert_id: string; values: string | null }>(
    `select c.alert_id, (
       select ${AS_JSON} from alert_values v where v.alert_id = c.alert_id and v.sequence <= c.sequence) as values
     from unnest($1::text[], $2::bigint[]) as c (alert_id, sequence)`,
    [[...highest.keys()], [...highest.values()]],
  )
  return new Map(rows.map(({ alert_id: alertId, values }) => [alertId, heldValues(values)]))
}

async function readBroughtBy(
  db: Queryable,
  changes: readonly { alertId: string; sequence: bigint }[],
): Promise<Map<string, HeldValues>> {
  if (changes.length === 0) return new Map()
  const { rows } = await db.query<{ alert_id: string; values: string | null }>(
    `select v.alert_id, ${AS_JSON} as values
     from (select distinct * from unnest($1::text[], $2::bigint[]) as c (id, brought)) c
     join alert_values v on v.alert_id = c.id and v.sequence = c.brought group by v.alert_id`,
    [changes.map(({ alertId }) => alertId), changes.map(({ sequence }) => sequence)],
  )
  return new Map(rows.map(({ alert_id: alertId, values }) => [alertId, heldValues(values)]))
}

/** @param rows `[path, value, sequence of the change that brought it]` of each, as JSON; null: there are none */
function heldValues(rows: string | null): HeldValues {
  const held: HeldValues = { values: [], sequences: [] }
  for (const [path, value, sequence] of parseStoredJson(rows ?? '[]') as [string[], Json, number][]) {
    held.values.push({ path, value })
    held.sequences.push(sequence)
  }
  return held
}

/** An alert that became quiet, which counts as a change with a sequence of its own. */
export interface QuietAlert {
  id: string
  sequence: bigint
  title: string
  severity: string
  source: string | null
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
    source: string | null
    match_count: bigint | null
    update_count: bigint | null
  }>(
    `update alerts set quiet_at = $2, sequence = sequence + 1
     where id in (
       select id from alerts where quiet_at is null and last_seen_at < $1
       order by last_seen_at limit $3 for update skip locked)
     returning id, sequence, title, severity, source, match_count, update_count`,
    [before, now, limit],
  )
  return rows.map(({ match_count: matchCount, update_count: updateCount, ...alert }) => ({
    ...alert,
    matchCount,
    updateCount,
  }))
}
