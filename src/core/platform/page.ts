/** Cursor pagination: every list is `{ "data": [...], "next_cursor": string | null }`, newest first. */
import { Type, type TSchema } from 'typebox'

/** The query parameters that every list takes. */
export const PageQuery = {
  limit: Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'How many entries a page holds.' }),
  cursor: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 300,
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

/** A page out of up to `limit + 1` rows: the row too many only says that there is a next page. */
export function pageOf<T>(rows: T[], limit: number, cursorOf: (row: T) => string): Page<T> {
  const data = rows.slice(0, limit)
  const last = data.at(-1)
  return { data, next_cursor: rows.length > limit && last !== undefined ? cursorOf(last) : null }
}

/** The conditions of a list's WHERE clause and their parameters, gathered one by one. */
export interface Conditions {
  sql: string[]
  params: unknown[]
}

/**
 * Adds a condition unless its value is undefined.
 * @param condition SQL with `?` where the value goes
 */
export function addCondition(conditions: Conditions, condition: string, value: unknown): void {
  if (value === undefined) return
  conditions.params.push(value)
  conditions.sql.push(condition.replace('?', `$${conditions.params.length}`))
}

/** `where a and b`, or nothing. */
export function whereClause({ sql }: Conditions): string {
  return sql.length === 0 ? '' : `where ${sql.join(' and ')}`
}
