/** Alerts as the API shows them, read from the database. */
import type { Queryable } from '../platform/database.js'
import { numberOf, parseStoredJson, type Json } from '../platform/json.js'
import { conditionsOf, placeAfter, queryPage, type Conditions, type Page, type PageRequest } from '../platform/page.js'
import type { Alert, AlertStatus } from './alert.js'

interface AlertRow {
  id: string
  title: string
  severity: string
  tables: string[]
  sequence: bigint
  match_count: bigint | null
  first_seen_at: Date
  last_seen_at: Date
  /** When it became quiet or, where it is resolved, when it was. */
  quiet_at: Date | null
  is_resolved: boolean
  state_reason: string | null
  source: string | null
}

/** A status of the API, by the columns that it comes from. */
const STATUS = `case when is_resolved then 'resolved' when quiet_at is null then 'active' else 'quiet' end`

/** The filter of a list of alerts; every given condition must hold. */
export interface AlertFilter {
  severity?: string
  table?: string
  /** A part of the title, case-insensitive. */
  title?: string
  status?: AlertStatus
  /** Changed at this time or later. */
  since?: Date
  /** Changed last before this time. */
  until?: Date
  /** Holds a value with one of these keys, at this path if there is one. */
  value?: ValueCondition
}

export interface ValueCondition {
  keys: readonly bigint[]
  path: readonly string[] | undefined
}

/** One value of an alert, and the change that added it. */
export interface AlertValue {
  path: string[]
  value: Json
  sequence: number
  event_id: string | null
  first_seen_at: string | null
}

/** A page of alerts, the latest change first; the cursor is the time and id of the last entry. */
export async function listAlerts(
  db: Queryable,
  filter: AlertFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<Alert>> {
  const conditions = conditionsOf([
    ['severity = ?', filter.severity],
    ['tables @> ?', filter.table === undefined ? undefined : [filter.table]],
    ['strpos(lower(title), lower(?)) > 0', filter.title],
    [`${STATUS} = ?`, filter.status],
    ['last_seen_at >= ?', filter.since],
    ['last_seen_at < ?', filter.until],
  ])
  if (filter.value) addValueCondition(conditions, filter.value)
  const place = placeAfter(cursor, placeOf)
  if (place) {
    conditions.params.push(...place)
    conditions.sql.push(
      `(last_seen_at, id) < ($${conditions.params.length - 1}::timestamptz, $${conditions.params.length})`,
    )
  }
  return queryPage(
    db,
    {
      select: 'select * from alerts',
      conditions,
      order: 'last_seen_at desc, id desc',
      cursorOf,
      entryOf: alertOf,
    },
    limit,
  )
}

function addValueCondition({ sql, params }: Conditions, { keys, path }: ValueCondition): void {
  params.push(keys)
  const isThere = `value_key = any($${params.length}::bigint[])`
  if (path) params.push(JSON.stringify(path))
  const andPath = path ? ` and path = $${params.length}` : ''
  // An array: the planner would walk all alerts by time, to look for each in the list.
  sql.push(`id = any(array(select alert_id from alert_values where ${isThere}${andPath}))`)
}

/** The alerts that hold a value, the latest change first. */
export async function listAlertsWith(db: Queryable, value: ValueCondition, limit: number): Promise<Alert[]> {
  return (await listAlerts(db, { value }, { limit })).data
}

function cursorOf({ last_seen_at: at, id }: Pick<AlertRow, 'last_seen_at' | 'id'>): string {
  return Buffer.from(`${at.toISOString()} ${id}`).toString('base64url')
}

/** What `cursorOf` wrote; undefined for any other text. */
function placeOf(cursor: string): [Date, string] | undefined {
  const [, time, id] = /^([\d:.TZ-]{24}) ([^\0]+)$/su.exec(Buffer.from(cursor, 'base64url').toString('utf8')) ?? []
  const at = new Date(time ?? NaN)
  if (id === undefined || Number.isNaN(at.getTime())) return undefined
  return cursorOf({ last_seen_at: at, id }) === cursor ? [at, id] : undefined
}

/** An alert, and how many values it holds. */
export async function findAlert(db: Queryable, id: string): Promise<(Alert & { value_count: number }) | undefined> {
  const { rows } = await db.query<AlertRow & { value_count: bigint }>(
    `select a.*, coalesce(s.value_count, 0) as value_count from alerts a left join alert_sizes s on s.alert_id = a.id
     where a.id = $1`,
    [id],
  )
  return rows[0] && { ...alertOf(rows[0]), value_count: Number(rows[0].value_count) }
}

interface AlertValueRow {
  path: string
  value: string
  sequence: bigint
  ordinal: number
  event_id: string | null
  received_at: Date | null
}

/**
 * A page of what was ever seen in an alert, with when and in which event it was first seen, in that order; the cursor is the
 * place of the last value.
 */
export async function listAlertValues(
  db: Queryable,
  alertId: string,
  { limit, cursor }: PageRequest,
): Promise<Page<AlertValue>> {
  const conditions = conditionsOf([['v.alert_id = ?', alertId]])
  const place = placeAfter(cursor, valuePlaceOf)
  if (place !== undefined) {
    conditions.params.push(...place)
    conditions.sql.push('(v.sequence, v.ordinal) > ($2::bigint, $3::integer)')
  }
  return queryPage(
    db,
    {
      select: `select v.path, v.value, v.sequence, v.ordinal, e.id as event_id, e.received_at
     from alert_values v left join events e on e.alert_id = v.alert_id and e.sequence = v.sequence`,
      conditions,
      order: 'v.sequence, v.ordinal',
      cursorOf: ({ sequence, ordinal }: AlertValueRow) => `${sequence}.${ordinal}`,
      entryOf: alertValueOf,
    },
    limit,
  )
}

/** The sequence and ordinal of the last value of the page before; undefined for any other text. */
function valuePlaceOf(cursor: string): [string, string] | undefined {
  const [, sequence, ordinal] = /^(\d{1,18})\.(\d{1,9})$/.exec(cursor) ?? []
  return sequence === undefined || ordinal === undefined ? undefined : [sequence, ordinal]
}

function alertValueOf(row: AlertValueRow): AlertValue {
  return {
    path: JSON.parse(row.path) as string[],
    value: parseStoredJson(row.value),
    sequence: Number(row.sequence),
    event_id: row.event_id,
    first_seen_at: row.received_at?.toISOString() ?? null,
  }
}

function alertOf(row: AlertRow): Alert {
  return {
    id: row.id,
    title: row.title,
    severity: row.severity,
    tables: row.tables,
    status: row.is_resolved ? 'resolved' : row.quiet_at === null ? 'active' : 'quiet',
    state_reason: row.state_reason,
    source: row.source,
    sequence: Number(row.sequence),
    match_count: row.match_count === null ? null : (numberOf(row.match_count) as number),
    first_seen_at: row.first_seen_at.toISOString(),
    last_seen_at: row.last_seen_at.toISOString(),
    quiet_at: row.is_resolved ? null : (row.quiet_at?.toISOString() ?? null),
    resolved_at: row.is_resolved ? (row.quiet_at?.toISOString() ?? null) : null,
  }
}
