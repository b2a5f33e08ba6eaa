import fc from 'fast-check'
import t, { type Test } from 'tap'
import { createAccept } from '../../src/core/event/accept.js'
import { findSightings, reportValue, wantedValue } from '../../src/core/event/sightings.js'
import { listAlerts } from '../../src/core/alert/alert-list.js'
import { fieldKind, normalForm } from '../../src/core/alert/normal-form.js'
import { areValuesKeyed, keyOldValues } from '../../src/core/alert/value-keying-store.js'
import { openTestApi, FULL_KEY } from '../helpers/api.js'
import type { Database } from '../../src/core/platform/database.js'
import { borrowTestDatabase } from '../helpers/backends.js'

interface Sighting {
  paths: string[][]
  first_seen_at: string | null
  last_seen_at: string | null
  events: number
  events_at_least: boolean
}
interface Found {
  data: { id: string; value: Sighting }[]
}
interface Report extends Found {
  alerts: number
  paths: string[][]
  forms: { kind: string; text: string }[]
  events: number
  first_seen_at: string | null
  last_seen_at: string | null
  is_complete: boolean
}

const T0 = Date.parse('2026-01-01T00:00:00Z')
const at = (minute: number) => new Date(T0 + minute * 60_000)

/** Accepts changes, each a minute after the one before. */
function acceptorOf(database: Database) {
  let minute = 0
  const accept = createAccept({ database, queues: { addDispatches: async () => {} }, now: () => at(minute) })
  return async (id: string, context: object) => {
    minute++
    const change = {
      updated_alert: { id, title: `alert ${id}`, severity: 'low', context },
      incoming_rule_matches_context: context,
      context_diff: {},
    }
    const message = {
      messageId: null,
      topicArn: null,
      subject: undefined,
      message: JSON.stringify(change),
      sentAt: at(minute),
    }
    await accept(message)
    return at(minute).toISOString()
  }
}

async function apiWith(t: Test) {
  const { call, database } = await openTestApi(t)
  const get = async <T>(path: string, query: Record<string, string>) =>
    (await call(FULL_KEY, 'GET', `/v1/${path}?${new URLSearchParams(query).toString()}`)).json<T>()
  return {
    database,
    accept: acceptorOf(database),
    alerts: (value: string, more = {}) => get<Found>('alerts', { value, ...more }),
    values: (value: string, more = {}) => get<Report>('values', { value, ...more }),
    get,
  }
}

t.test('an alert is found by a value that it ever held, with when it was first and last seen', async (t) => {
  const { accept, alerts, values } = await apiWith(t)
  const first = await accept('a', { source: { ip: ['5.205.62.253'] }, related: { ip: ['5.205.62.253'] } })
  await accept('a', { user: { name: ['backup'] } })
  const last = await accept('a', { source: { ip: ['5.205.62.253'] } })
  const other = await accept('b', {
    destination: { ip: ['5.205.62.253'], port: [443] },
    host: { name: ['5.205.62.25'] },
  })
  const { data } = await alerts('5.205.62.253')
  t.match(data, [
    {
      id: 'b',
      title: 'alert b',
      value: { paths: [['destination', 'ip']], first_seen_at: other, last_seen_at: other, events: 1 },
    },
    { id: 'a', value: { first_seen_at: first, last_seen_at: last, events: 2, events_at_least: false } },
  ])
  t.same(data[1]!.value.paths, [
    ['source', 'ip'],
    ['related', 'ip'],
  ])
  t.match((await alerts('5.205.62.253', { path: 'related.ip' })).data, [
    { id: 'a', value: { last_seen_at: first, events: 1 } },
  ])
  t.same((await alerts('5.205.62.253', { path: 'source.address' })).data, [])
  t.same((await alerts('5.205.62')).data, [], 'a part of a value is none')
  t.match((await alerts('443')).data, [{ id: 'b', value: { paths: [['destination', 'port']] } }], 'a number')
  const report = await values('5.205.62.253')
  t.match(report, { alerts: 2, events: 3, first_seen_at: first, last_seen_at: other, is_complete: true })
  t.same(report.forms, [{ kind: 'address', text: '5.205.62.253' }])
  t.same(report.paths.sort(), [
    ['destination', 'ip'],
    ['related', 'ip'],
    ['source', 'ip'],
  ])
  t.same(
    report.data.map(({ id }) => id),
    ['b', 'a'],
  )
  t.match(await values('never seen'), {
    alerts: 0,
    paths: [],
    first_seen_at: null,
    last_seen_at: null,
    events: 0,
    data: [],
  })
})

t.test('spellings of one value are one, whatever its path', async (t) => {
  const { accept, alerts } = await apiWith(t)
  await accept('a', { source: { ip: ['2001:db8:0:0::1'] }, url: { full: ['HTTP://Example.com:80/a/../b'] } })
  await accept('b', { host: { name: ['WEB-1'] }, file: { hash: { md5: ['ABCDEF'] } }, note: ['Web-1'] })
  for (const [value, ids] of [
    ['2001:DB8::1', ['a']],
    ['http://example.com/b', ['a']],
    ['web-1', ['b']],
    ['abcdef', ['b']],
    ['Web-1', ['b']],
    ['WEB-2', []],
  ] as const) {
    t.same(
      (await alerts(value)).data.map(({ id }) => id),
      ids,
      value,
    )
  }
})

t.test('a search goes with the other filters, and pages through', async (t) => {
  const { accept, alerts, get } = await apiWith(t)
  for (const id of ['a', 'b', 'c']) await accept(id, { user: { name: ['eve'] } })
  const first = await alerts('eve', { limit: '2' })
  t.same(
    first.data.map(({ id }) => id),
    ['c', 'b'],
  )
  const { next_cursor: cursor } = first as unknown as { next_cursor: string }
  t.same(
    (await alerts('eve', { limit: '2', cursor })).data.map(({ id }) => id),
    ['a'],
  )
  t.same(
    (await alerts('eve', { until: at(2).toISOString() })).data.map(({ id }) => id),
    ['a'],
  )
  t.match(await get('alerts', { path: 'user.name' }), { status: 400, errors: [{ path: '/path' }] })
  t.match(await get('values', {}), { status: 400, errors: [{ path: '/value' }] })
})

t.test('values from before an upgrade are found once upkeep has given them their key', async (t) => {
  const { database, accept, values } = await apiWith(t)
  for (let i = 0; i < 5; i++) {
    await accept(`alert ${i}`, { user: { name: ['eve'] }, process: { pid: [i], args: [[1]] } })
  }
  await database.query('update alert_values set value_key = null')
  await database.query(`insert into value_keying (alert_id, key) values ('', '')`)
  t.match(await values('eve'), { alerts: 0, is_complete: false })
  t.equal(await areValuesKeyed(database), false)
  while ((await keyOldValues(database, 4)) > 0);
  t.match(await values('eve'), { alerts: 5, is_complete: true })
  t.match(await values('3'), { alerts: 1 })
})

t.test('for any alerts and values the answer is that of a look at every value', async (t) => {
  const database = await borrowTestDatabase(t)
  const spellings = ['Evil.example', 'evil.example.', '::1', '0:0::1', '1', '01', 'a b', 'A B', 'deadbeef', 'DEADBEEF']
  const place = fc.constantFrom('source.ip', 'host.name', 'file.hash.md5', 'file.name', 'note')
  const entry = fc.tuple(fc.constantFrom('a', 'b', 'c'), place, fc.constantFrom<string | number>(...spellings, 1, 2.5))
  let run = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(entry, { minLength: 1, maxLength: 12 }),
      fc.constantFrom(...spellings, '2.50'),
      async (entries, text) => {
        run++
        const accept = acceptorOf(database)
        for (const [alert, path, value] of entries) {
          const context = path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), [value])
          await accept(`${run} ${alert}`, context as object)
        }
        const formOf = (path: string, value: string | number) => {
          const { kind, text: form } = normalForm(fieldKind(path.split('.')), value)
          return `${kind} ${form}`
        }
        const wanted = (path: string) => [
          formOf(path, text),
          ...(/^(0|[1-9]\d*)(\.\d+)?$/.test(text) ? [formOf(path, Number(text))] : []),
        ]
        const expected = new Set(
          entries
            .filter(([, path, value]) =>
              [path, 'host.name', 'file.hash.md5', 'file.name', 'note'].some((at) =>
                wanted(at).includes(formOf(path, value)),
              ),
            )
            .map(([alert]) => `${run} ${alert}`),
        )
        const value = wantedValue(text, undefined)
        const { data } = await listAlerts(database, { value }, { limit: 200 })
        const found = data.map(({ id }) => id).filter((id) => id.startsWith(`${run} `))
        t.same(new Set(found), expected, `${text} in ${JSON.stringify(entries)}`)
        const sightings = await findSightings(database, found, value)
        t.equal(sightings.size, found.length)
        t.ok((await reportValue(database, value)).alerts >= found.length)
      },
    ),
    { numRuns: 25 },
  )
})
