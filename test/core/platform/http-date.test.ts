import fc from 'fast-check'
import t from 'tap'
import { parseHttpDate } from '../../../src/core/platform/http-date.js'

const NOW = new Date('2026-01-02T03:04:05.678Z')
const parse = (text: string) => parseHttpDate(text, NOW)?.toISOString()

t.test('the three forms of RFC 9110 are read', async (t) => {
  for (const text of ['Sun, 06 Nov 1994 08:49:37 GMT', 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994']) {
    t.equal(parse(text), '1994-11-06T08:49:37.000Z', text)
  }
  t.equal(parse('Wed Nov 16 08:49:37 1994'), '1994-11-16T08:49:37.000Z')
  t.equal(parse('Sat, 31 Dec 2016 23:59:60 GMT'), '2017-01-01T00:00:00.000Z', 'a leap second')
})

t.test('a year of two digits is at most 50 years ahead, and otherwise the most recent', async (t) => {
  t.equal(parse('Friday, 02-Jan-26 03:05:05 GMT'), '2026-01-02T03:05:05.000Z')
  t.equal(parse('Thursday, 01-Jan-76 03:05:05 GMT'), '2076-01-01T03:05:05.000Z')
  t.equal(parse('Friday, 01-Jan-77 03:05:05 GMT'), '1977-01-01T03:05:05.000Z')
  t.equal(
    parseHttpDate('Sunday, 02-Jan-05 00:00:00 GMT', new Date('1999-06-01'))?.toISOString(),
    '2005-01-02T00:00:00.000Z',
  )
})

t.test('nothing else is read', async (t) => {
  for (const text of [
    '',
    '2026-01-02T03:05:05Z',
    'Fri, 2 Jan 2026 03:05:05 GMT',
    'Fri, 02 Jan 2026 03:05:05 UTC',
    'Fri, 02 Jan 2026 03:05:05',
    'Fri, 31 Feb 2026 03:05:05 GMT',
    'Fri, 02 Jan 2026 24:05:05 GMT',
    'Fri, 02 Jan 2026 03:60:05 GMT',
    'Fri, 02 Jan 2026 03:05:61 GMT',
    'Fri, 02-Jan-26 03:05:05 GMT',
    'Fri Jan 2 03:05:05 2026',
    'Fri, 02 Jan 2026 03:05:05 GMT, Sat, 03 Jan 2026 03:05:05 GMT',
  ]) {
    t.equal(parse(text), undefined, text)
  }
})

t.test('every date is read as it was written', async () => {
  const date = fc.date({ min: new Date('1970-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
  fc.assert(
    fc.property(date, (date) => {
      date.setUTCMilliseconds(0)
      return parseHttpDate(date.toUTCString(), NOW)?.getTime() === date.getTime()
    }),
  )
})
