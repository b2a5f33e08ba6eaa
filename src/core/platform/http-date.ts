/** Dates of HTTP headers. Pure. */

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const DAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)'
const LONG_DAY = '(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)'
const MONTH = `(?<month>${MONTHS.join('|')})`
const TIME = String.raw`(?<hour>\d{2}):(?<minute>\d{2}):(?<second>\d{2})`

/** RFC 9110 section 5.6.7: IMF-fixdate, and the two obsolete forms that a recipient must accept, RFC 850 and asctime. */
const FORMS = [
  new RegExp(String.raw`^${DAY}, (?<day>\d{2}) ${MONTH} (?<year>\d{4}) ${TIME} GMT$`),
  new RegExp(String.raw`^${LONG_DAY}, (?<day>\d{2})-${MONTH}-(?<year>\d{2}) ${TIME} GMT$`),
  new RegExp(String.raw`^${DAY} ${MONTH} (?<day>\d{2}| \d) ${TIME} (?<year>\d{4})$`),
]

/** @returns undefined for anything but a date in one of the three forms of RFC 9110 section 5.6.7 */
export function parseHttpDate(text: string, now: Date): Date | undefined {
  const fields = FORMS.map((form) => form.exec(text)?.groups).find((groups) => groups !== undefined)
  if (!fields) return undefined
  const [day, hour, minute, second] = [fields.day, fields.hour, fields.minute, fields.second].map(Number) as [
    number,
    number,
    number,
    number,
  ]
  const month = MONTHS.indexOf(fields.month!)
  const isTime = hour <= 23 && minute <= 59 && second <= 60
  const at = (year: number) => new Date(Date.UTC(year, month, day, hour, minute, second))
  const year = Number(fields.year)
  const isDay = (date: Date) => new Date(date.getTime() - second * 1000).getUTCDate() === day
  const date = fields.year!.length === 2 ? nearest(year, at, now) : at(year)
  return isTime && isDay(date) ? date : undefined
}

/** A year of two digits: more than 50 years ahead means the most recent past year with these digits (RFC 9110). */
function nearest(digits: number, at: (year: number) => Date, now: Date): Date {
  const century = Math.floor(now.getUTCFullYear() / 100) * 100
  const latest = new Date(now)
  latest.setUTCFullYear(now.getUTCFullYear() + 50)
  const years = [century + 100, century, century - 100].map((start) => start + digits)
  return years.map(at).find((date) => date <= latest)!
}
