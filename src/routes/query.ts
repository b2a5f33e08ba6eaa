/** Query parameters that several lists share. */
import { Type } from 'typebox'
import { Refusal } from '../core/platform/errors.js'

export const TimeRange = {
  since: Type.Optional(Type.String({ format: 'date-time', description: 'From this time on (RFC 3339).' })),
  until: Type.Optional(Type.String({ format: 'date-time', description: 'Before this time (RFC 3339).' })),
}

/**
 * Parses a parameter or field that passed the schema's date-time format. RFC 3339 allows leap seconds and the year 0, which
 * JavaScript and PostgreSQL cannot represent.
 * @throws Refusal 'invalid_request' naming the parameter or field
 */
export function dateOf<Name extends string>(fields: { [name in Name]?: string | null | undefined }, name: Name) {
  const text = fields[name]
  if (text === undefined || text === null) return undefined
  const date = new Date(text)
  if (date.getUTCFullYear() >= 1) return date
  const detail = 'is no time that can be compared with: send one of the years 1 to 9999, without a leap second'
  throw new Refusal('invalid_request', `${name} ${detail}`, { errors: [{ path: `/${name}`, detail }] })
}

/** Parses both ends of a time range. @throws Refusal as `dateOf` does */
export function rangeOf(range: { since?: string | undefined; until?: string | undefined }) {
  return { since: dateOf(range, 'since'), until: dateOf(range, 'until') }
}
