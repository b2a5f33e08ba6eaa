/** Query parameters that several lists share. */
import { Type } from 'typebox'
import { Refusal } from '../core/platform/errors.js'

export const TimeRange = {
  since: Type.Optional(Type.String({ format: 'date-time', description: 'From this time on (RFC 3339).' })),
  until: Type.Optional(Type.String({ format: 'date-time', description: 'Before this time (RFC 3339).' })),
}

/**
 * A parameter or field that passed the schema's date-time format; RFC 3339 knows leap seconds and a year 0, which neither
 * JavaScript nor PostgreSQL can tell.
 * @throws Refusal 'invalid_request' naming it
 */
export function dateOf<Name extends string>(fields: { [name in Name]?: string | null | undefined }, name: Name) {
  const text = fields[name]
  if (text === undefined || text === null) return undefined
  const date = new Date(text)
  if (date.getUTCFullYear() >= 1) return date
  const detail = 'is no time that can be compared with: send one of the years 1 to 9999, without a leap second'
  throw new Refusal('invalid_request', `${name} ${detail}`, { errors: [{ path: `/${name}`, detail }] })
}

/** The times of a range, to be put in the place of their texts. */
export function rangeOf(range: { since?: string | undefined; until?: string | undefined }) {
  return { since: dateOf(range, 'since'), until: dateOf(range, 'until') }
}
