/**
 * Where a value was seen: in which alerts, at which paths, first, last and how often.
 *
 * Guarantee: the work is bounded however often a value was seen. The first time is that of the change that brought the value. A
 * repetition writes nothing when it arrives, so the last time and the count are read from the newest events that are kept; where
 * those are not all, the answer says so.
 */
import { listAlertsWith } from '../alert/alert-list.js'
import type { Alert } from '../alert/alert.js'
import { flattenContext } from '../alert/context.js'
import { formsOf, keyOf, valueKey } from '../alert/value-key.js'
import type { Queryable } from '../platform/database.js'
import { isJsonObject } from '../platform/json.js'
import { storedChange } from './reading.js'

/** A value that is looked for: all its spellings, at one path or everywhere. */
export interface WantedValue {
  keys: readonly bigint[]
  path: readonly string[] | undefined
}

/** What is known of a value in one alert. */
export interface Sighting {
  paths: string[][]
  /** Null when the event that brought it is deleted. */
  firstSeenAt: Date | null
  lastSeenAt: Date | null
  /** In how many of its events it was seen, of those that are kept and were read. */
  events: number
  /** True when there may be more. */
  isAtLeast: boolean
}

/** Of an alert: the newest events that are read, and the largest of them in bytes. */
const EVENTS = 10
const MAX_EVENT_BYTES = 64 * 1024
/** Rows of one value that are counted. */
const COUNTED = 10_000
/** Alerts that are shown with a value. */
const SHOWN = 20

/** @param path keys joined by dots */
export function wantedValue(text: string, path: string | undefined): WantedValue {
  const keys = path?.split('.')
  return { keys: formsOf(text, keys).map(keyOf), path: keys }
}

/** What is known of a value in these alerts, by their ids. */
export async function findSightings(
  db: Queryable,
  alertIds: readonly string[],
  wanted: WantedValue,
): Promise<Map<string, Sighting>> {
  const found = new Map<string, Sighting>()
  if (alertIds.length === 0) return found
  const path = wanted.path && JSON.stringify(wanted.path)
  const [firsts, events] = await Promise.all([
    db.query<{ alert_id: string; path: string; received_at: Date | null }>(
      `select v.alert_id, v.path, e.received_at
       from alert_values v left join events e on e.alert_id = v.alert_id and e.sequence = v.sequence
       where v.alert_id = any($1) and v.value_key = any($2) and ($3::text is null or v.path = $3)
       order by v.sequence, v.ordinal`,
      [alertIds, wanted.keys, path],
    ),
    db.query<{ alert_id: string; received_at: Date; text: string | null }>(
      `select a.id as alert_id, e.received_at, e.text
       from unnest($1::text[]) as a (id) cross join lateral (
         select e.received_at, case when octet_length(coalesce(e.change, e.payload)) <= ${MAX_EVENT_BYTES}
           then coalesce(e.change, e.payload) end as text
         from events e where e.alert_id = a.id order by e.sequence desc limit ${EVENTS}) e`,
      [alertIds],
    ),
  ])
  for (const { alert_id: id, path: text, received_at: at } of firsts.rows) {
    const sighting = found.get(id) ?? { paths: [], firstSeenAt: at, lastSeenAt: at, events: 0, isAtLeast: false }
    sighting.paths.push(JSON.parse(text) as string[])
    found.set(id, sighting)
  }
  const read = new Map<string, number>()
  for (const { alert_id: id, received_at: at, text } of events.rows) {
    const sighting = found.get(id)
    if (!sighting) continue
    read.set(id, (read.get(id) ?? 0) + 1)
    sighting.isAtLeast ||= text === null || read.get(id) === EVENTS
    if (text === null || !holds(text, wanted)) continue
    sighting.events++
    if (sighting.lastSeenAt === null || at > sighting.lastSeenAt) sighting.lastSeenAt = at
  }
  return found
}

/** Whether what came in with a change holds the value. */
function holds(text: string, { keys, path }: WantedValue): boolean {
  const context = storedChange(text)?.incoming_rule_matches_context
  if (context === undefined || !isJsonObject(context)) return false
  const at = path && JSON.stringify(path)
  return flattenContext(context).some((entry) => {
    const key = at === undefined || JSON.stringify(entry.path) === at ? valueKey(entry) : null
    return key !== null && keys.includes(key)
  })
}

/** Where a value was seen, over all alerts. */
export interface ValueReport {
  /** Of how many alerts; `isMore`: of so many at least. */
  alerts: number
  isMore: boolean
  paths: string[][]
  firstSeenAt: Date | null
  lastSeenAt: Date | null
  events: number
  isAtLeast: boolean
  /** The alerts that changed last. */
  shown: (Alert & { sighting: Sighting })[]
}

export async function reportValue(db: Queryable, wanted: WantedValue): Promise<ValueReport> {
  const path = wanted.path && JSON.stringify(wanted.path)
  const [{ rows }, newest] = await Promise.all([
    db.query<{ alerts: bigint; count: bigint; paths: string[] | null; first_seen_at: Date | null }>(
      `select count(distinct v.alert_id) as alerts, count(*) as count, array_agg(distinct v.path) as paths,
         min(e.received_at) as first_seen_at
       from (
         select alert_id, path, sequence from alert_values
         where value_key = any($1) and ($2::text is null or path = $2) limit ${COUNTED + 1}) v
       left join events e on e.alert_id = v.alert_id and e.sequence = v.sequence`,
      [wanted.keys, path],
    ),
    listAlertsWith(db, wanted, SHOWN),
  ])
  const { alerts, count, paths, first_seen_at: firstSeenAt } = rows[0]!
  const sightings = await findSightings(
    db,
    newest.map(({ id }) => id),
    wanted,
  )
  const shown = newest.flatMap((alert) => {
    const sighting = sightings.get(alert.id)
    return sighting ? [{ ...alert, sighting }] : []
  })
  const last = Math.max(...shown.map(({ sighting }) => sighting.lastSeenAt?.getTime() ?? -Infinity))
  return {
    alerts: Number(alerts),
    isMore: count > COUNTED,
    paths: (paths ?? []).map((text) => JSON.parse(text) as string[]),
    firstSeenAt,
    lastSeenAt: Number.isFinite(last) ? new Date(last) : null,
    events: shown.reduce((sum, { sighting }) => sum + sighting.events, 0),
    isAtLeast: alerts > BigInt(shown.length) || shown.some(({ sighting }) => sighting.isAtLeast),
    shown,
  }
}
