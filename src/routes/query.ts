/** Query parameters that several lists share. */
import { Type } from 'typebox'
import { Refusal } from '../core/platform/errors.js'

export const TimeRange = {
  since: Type.Optional(Type.String({ format: 'date-time', description: 'From this time on (RFC 3339).' })),
  until: Type.Optional(Type.String({ format: 'date-time', description: 'Before this time (RFC 3339).' })),
}

/**
 * A parameter that passed the schema's date-time format; RFC 3339 knows leap seconds and a year 0, which neither
 * JavaScript nor PostgreSQL can tell.
 * @throws Refusal 'invalid_request'
 */
export function dateOf(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined
  const date = new Date(text)
  if (date.getUTCFullYear() >= 1) return date
  throw new Refusal('invalid_request', `${text} is no time that can be compared with: leave it out or change it.`)
}
