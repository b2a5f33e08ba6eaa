/**
 * The forms in which producers write times. Pure.
 *
 * Guarantee: a form that is not known, and a date that does not exist, is no time; one without a zone is UTC.
 */
import type { Json } from '../platform/json.js'
import { numberAt } from './fields.js'

/** ISO 8601, with a space instead of T, and as Go prints it: `2024-05-01 10:00:00.1 +0000 UTC`. */
const ISO =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)? ?(?:Z|UTC|([+-])(\d\d):?(\d\d))?(?: [A-Z]{3,5})?$/i
/** RFC 1123, as AWS Health writes it: `Thu, 15 Jan 2026 09:30:00 GMT`. */
const RFC_1123 = /^[a-z]{3}, (\d{1,2}) ([a-z]{3}) (\d{4}) (\d\d):(\d\d):(\d\d) (?:GMT|UTC|Z|[+-]0000)$/i
/** Java's, as Inspector writes it: `Wed Sep 04 16:59:44.356 UTC 2024`. */
const JAVA = /^[a-z]{3} ([a-z]{3}) (\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))? (?:UTC|GMT|Z) (\d{4})$/i
/** `Dec 3, 2021, 6:02:30 PM`; the space before PM may be a narrow one. */
const AMERICAN = /^([a-z]{3}) (\d{1,2}), (\d{4}),? (\d{1,2}):(\d\d)(?::(\d\d))?\s([ap])m$/i

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
/** A smaller number of seconds is a year, a date or a count. */
const SECONDS_FROM = 1e8
/** From here a number is milliseconds, and microseconds. */
const MILLISECONDS_FROM = 1e11
const MICROSECONDS_FROM = 1e14
/** The latest time that PostgreSQL and ISO 8601 write with four digits of a year. */
const LATEST = Date.UTC(9999, 11, 31)

/** The time that a text or a number (epoch seconds, milliseconds, microseconds) says. */
export function timeOf(value: Json | undefined): Date | undefined {
  const epoch = numberAt(value)
  if (epoch !== undefined) return fromEpoch(epoch)
  if (typeof value !== 'string' || value.length > 64) return undefined
  const text = value.trim()
  return iso(text) ?? rfc1123(text) ?? java(text) ?? american(text)
}

/** The first of these that is a time. */
export function firstTime(...values: (Json | undefined)[]): Date | undefined {
  for (const value of values) {
    const time = timeOf(value)
    if (time) return time
  }
  return undefined
}

function fromEpoch(epoch: number): Date | undefined {
  if (epoch < SECONDS_FROM) return undefined
  if (epoch >= MICROSECONDS_FROM) return existing(epoch / 1000)
  return existing(epoch >= MILLISECONDS_FROM ? epoch : epoch * 1000)
}

function iso(text: string): Date | undefined {
  const found = ISO.exec(text)
  if (!found) return undefined
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', sign, zoneHours, zoneMinutes] =
    found
  const offset = sign ? (sign === '-' ? -1 : 1) * (Number(zoneHours) * 60 + Number(zoneMinutes)) : 0
  const time = utc(year!, Number(month) - 1, day!, hour, minute, second, fraction)
  return time && existing(time.getTime() - offset * 60_000)
}

function rfc1123(text: string): Date | undefined {
  const found = RFC_1123.exec(text)
  if (!found) return undefined
  const [, day, month, year, hour, minute, second] = found
  return utc(year!, monthOf(month!), day!, hour!, minute!, second!, '')
}

function java(text: string): Date | undefined {
  const found = JAVA.exec(text)
  if (!found) return undefined
  const [, month, day, hour, minute, second, fraction = '', year] = found
  return utc(year!, monthOf(month!), day!, hour!, minute!, second!, fraction)
}

function american(text: string): Date | undefined {
  const found = AMERICAN.exec(text)
  if (!found) return undefined
  const [, month, day, year, hour, minute, second = '0', half] = found
  if (Number(hour) < 1 || Number(hour) > 12) return undefined
  const hours = (Number(hour) % 12) + (half!.toLowerCase() === 'p' ? 12 : 0)
  return utc(year!, monthOf(month!), day!, String(hours), minute!, second, '')
}

function monthOf(name: string): number {
  return MONTHS.indexOf(name.toLowerCase())
}

/** The time of these fields; undefined when there is no such date, and for the year 1, which is Go's for "none". */
function utc(
  year: string,
  month: number,
  day: string,
  hour: string,
  minute: string,
  second: string,
  fraction: string,
): Date | undefined {
  if (month < 0 || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined
  const milliseconds = Number(fraction.padEnd(3, '0').slice(0, 3))
  const time = new Date(
    Date.UTC(Number(year), month, Number(day), Number(hour), Number(minute), Number(second), milliseconds),
  )
  const dayStart = new Date(Date.UTC(Number(year), month, Number(day)))
  if (Number(year) < 1970 || dayStart.getUTCMonth() !== month) return undefined
  return existing(time.getTime())
}

function existing(milliseconds: number): Date | undefined {
  return milliseconds > 0 && milliseconds < LATEST ? new Date(milliseconds) : undefined
}
