import t from 'tap'
import { byIdentity, flattenContext } from '../../../src/core/alert/context.js'
import { valueColumns } from '../../../src/core/event/value-columns.js'
import { inSlices } from '../../../src/core/platform/slices.js'
import { borrowTestDatabase } from '../../helpers/backends.js'

/** What array literals must escape, and what they take for something else. */
const ODD = [
  '',
  ' ',
  'null',
  'NULL',
  '{',
  '}',
  ',',
  '"',
  '\\',
  '\\\\"',
  'a\nb',
  '{"a":[1]}',
  'é\u{1f600}',
  "'",
  '\\x41',
]

t.test('the database reads the columns as they were', async (t) => {
  const database = await borrowTestDatabase(t)
  const context = { [ODD.join('')]: ODD, 'a"b\\': { c: [1, 1.5, true, null, { d: ODD }] } }
  const values = byIdentity(flattenContext(context))
  const {
    alertIds,
    ordinals,
    keys,
    paths,
    values: texts,
    valueKeys,
  } = await valueColumns([
    { alertId: 'a"\\,', values },
    { alertId: 'b', values: new Map() },
  ])
  const { rows } = await database.query<Record<'alert_id' | 'path' | 'value', string>>(
    `select * from unnest($1::text[], $2::int[], $3::bytea[], $4::text[], $5::text[], $6::bigint[])
       as v (alert_id, ordinal, key, path, value, value_key)`,
    [alertIds, ordinals, keys, paths, texts, valueKeys],
  )
  t.same(
    rows.map(({ alert_id: id, path, value }) => [id, JSON.parse(path), JSON.parse(value)]),
    [...values.values()].map(({ path, value }) => ['a"\\,', path, value]),
  )
  t.same(
    rows.map((row) => (row as unknown as { ordinal: number }).ordinal),
    rows.map((_, i) => i + 1),
  )
})

t.test('no values are no rows', async (t) => {
  const database = await borrowTestDatabase(t)
  const { keys } = await valueColumns([])
  t.same((await database.query('select * from unnest($1::bytea[]) as k', [keys])).rows, [])
})

t.test('long work lets others pass, and is done in order', async (t) => {
  const done: number[] = []
  const seen: number[] = []
  setImmediate(() => seen.push(done.length))
  await inSlices(
    Array.from({ length: 1024 }, (_, i) => i),
    (entry) => {
      const until = performance.now() + 0.1
      while (performance.now() < until);
      done.push(entry)
    },
  )
  t.equal(done.length, 1024)
  t.same(
    done,
    [...done].sort((a, b) => a - b),
  )
  t.ok(seen[0]! > 0 && seen[0]! < 1024, 'others passed before the end')
})
