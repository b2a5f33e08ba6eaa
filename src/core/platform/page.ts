/** Cursor pagination: every list is `{ "data": [...], "next_cursor": string | null }`, newest first. */
import { Type, type TSchema } from 'typebox'
import { Refusal } from './errors.js'
import { idPattern, type IdPrefix } from './id.js'
import type { Queryable } from './queryable.js'

/** The length of the longest cursor: base64 of an alert id with 200 characters of four bytes each. */
const MAX_CURSOR_LENGTH = 1200

/** The query parameters that every list takes. */
export const PageQuery = {
  limit: Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'How many entries a page holds.' }),
  cursor: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: MAX_CURSOR_LENGTH,
      description: 'The next_cursor of the page before; leave out for the first.',
    }),
  ),
}

export interface PageRequest {
  limit: number
  cursor?: string
}

export interface Page<T> {
  data: T[]
  next_cursor: string | null
}

/** The schema of a page of entries. */
export function PageOf<T extends TSchema>(entry: T) {
  return Type.Object({
    data: Type.Array(entry),
    next_cursor: Type.Union([Type.String(), Type.Null()], { description: 'Null on the last page.' }),
  })
}

/**
 * Decodes a cursor into the position after which a page begins.
 * @param cursor undefined: the first page
 * @param read decodes a cursor of this list; undefined for a text that is not one
 * @throws Refusal 'invalid_request' naming /cursor
 */
export function placeAfter<Position>(
  cursor: string | undefined,
  read: (cursor: string) => Position | undefined,
): Position | undefined {
  if (cursor === undefined) return undefined
  const position = read(cursor)
  if (position !== undefined) return position
  const detail =
    'is no cursor of this list: send the next_cursor of the page before as it is, or none for the first page'
  throw new Refusal('invalid_request', `cursor ${detail}`, { errors: [{ path: '/cursor', detail }] })
}

/** The id after which a page begins, for a list that is ordered by ids of one kind. */
export function idAfter(cursor: string | undefined, prefix: IdPrefix): string | undefined {
  const pattern = new RegExp(idPattern(prefix))
  return placeAfter(cursor, (text) => (pattern.test(text) ? text : undefined))
}

/** The conditions of a list's WHERE clause, and their parameters. */
export interface Conditions {
  sql: string[]
  params: unknown[]
}

/**
 * The conditions whose value is given.
 * @param conditions pairs of SQL with `?` where the value goes, and the value; undefined: no condition
 */
export function conditionsOf(conditions: readonly (readonly [sql: string, value: unknown])[]): Conditions {
  const given = conditions.filter(([, value]) => value !== undefined)
  return { sql: given.map(([sql], i) => sql.replace('?', `$${i + 1}`)), params: given.map(([, value]) => value) }
}

/**
 * Reads a page of a list. It selects one row more than the limit, only to know whether there is a next page.
 * @param list.select the SQL up to WHERE
 * @param list.cursorOf the cursor of the page after a row
 */
export async function queryPage<Row, Entry>(
  db: Queryable,
  list: {
    select: string
    conditions: Conditions
    order: string
    cursorOf: (row: Row) => string
    entryOf: (row: Row) => Entry
  },
  limit: number,
): Promise<Page<Entry>> {
  const { select, conditions, order, cursorOf, entryOf } = list
  const where = conditions.sql.length === 0 ? '' : `where ${conditions.sql.join(' and ')}`
  const { rows } = await db.query<Row>(`${select} ${where} order by ${order} limit ${limit + 1}`, conditions.params)
  const last = rows.length > limit ? rows[limit - 1] : undefined
  return { data: rows.slice(0, limit).map(entryOf), next_cursor: last === undefined ? null : cursorOf(last) }
}
