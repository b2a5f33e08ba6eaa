/** Alerts as the API shows them, read from the database. */
import type { Queryable } from '../platform/database.js'
import { numberOf, parseJson, type Json } from '../platform/json.js'
import { conditionsOf, queryPage, type Page, type PageRequest } from '../platform/page.js'
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
  quiet_at: Date | null
}

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
    ['(quiet_at is not null) = ?', filter.status && filter.status === 'quiet'],
    ['last_seen_at >= ?', filter.since],
    ['last_seen_at < ?', filter.until],
  ])
  if (cursor !== undefined) {
    conditions.params.push(...positionOf(cursor))
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

function cursorOf({ last_seen_at: at, id }: AlertRow): string {
  return Buffer.from(`${at.toISOString()} ${id}`).toString('base64url')
}

/** The position after which a page begins; an invalid cursor is the end of the list. */
function positionOf(cursor: string): [Date, string] {
  const [time = '', id = ''] = Buffer.from(cursor, 'base64url')
    .toString('utf8')
    .replaceAll('\u0000', '')
    .split(/ (.*)/s)
  const at = new Date(time)
  return [at.getUTCFullYear() >= 1 ? at : new Date(0), id]
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
  if (cursor !== undefined) {
    conditions.params.push(...valuePlaceOf(cursor))
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

function valuePlaceOf(cursor: string): [string, string] {
  const [, sequence, ordinal] = /^(\d{1,18})\.(\d{1,9})$/.exec(cursor) ?? []
  return [sequence ?? '0', ordinal ?? '0']
}

function alertValueOf(row: AlertValueRow): AlertValue {
  return {
    path: JSON.parse(row.path) as string[],
    value: parseJson(row.value),
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
    status: row.quiet_at === null ? 'active' : 'quiet',
    sequence: Number(row.sequence),
    match_count: row.match_count === null ? null : (numberOf(row.match_count) as number),
    first_seen_at: row.first_seen_at.toISOString(),
    last_seen_at: row.last_seen_at.toISOString(),
    quiet_at: row.quiet_at?.toISOString() ?? null,
  }
}
