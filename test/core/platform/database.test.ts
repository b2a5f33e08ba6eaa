import { readdir } from 'node:fs/promises'
import t from 'tap'
import { migrate } from '../../../src/core/platform/migrations.js'
import { openDatabase } from '../../../src/core/platform/database.js'
import { openTestDatabase, createTestDatabaseUrl, createTestDataDir } from '../../helpers/backends.js'

t.test('every backend returns the types that it was given', async (t) => {
  const database = await openTestDatabase(t)
  const time = new Date('2026-01-02T03:04:05.678Z')
  const bytes = Buffer.of(0, 1, 254, 255)
  const { rows, rowCount } = await database.query<Record<string, unknown>>(
    `select $1::bigint as big, $2::int as int, $3::text as text, $4::timestamptz as time, $5::bytea as bytes,
       $6::text[] as list, $7::boolean as flag, null::text as nothing`,
    [9007199254740993n, 7, 'Größe \u{1f600}', time, bytes, ['a,b', '{"c"}', ''], true],
  )
  t.equal(rowCount, 1)
  t.same(rows, [
    {
      big: 9007199254740993n,
      int: 7,
      text: 'Größe \u{1f600}',
      time,
      bytes,
      list: ['a,b', '{"c"}', ''],
      flag: true,
      nothing: null,
    },
  ])
  t.ok(Buffer.isBuffer(rows[0]!.bytes))
})

t.test('one statement reads many rows from array parameters', async (t) => {
  const database = await openTestDatabase(t)
  const { rows } = await database.query(
    `select * from unnest($1::text[], $2::int[], $3::bigint[], $4::timestamptz[], $5::bytea[])
       with ordinality as r (text, int, big, time, bytes, position)`,
    [
      ['a', null, 'c"\\,{}'],
      [1, null, 3],
      [1n, null, 3n],
      [new Date(0), null, new Date(1)],
      [Buffer.of(1), null, Buffer.of(0, 255)],
    ],
  )
  t.same(rows, [
    { text: 'a', int: 1, big: 1n, time: new Date(0), bytes: Buffer.of(1), position: 1n },
    { text: null, int: null, big: null, time: null, bytes: null, position: 2n },
    { text: 'c"\\,{}', int: 3, big: 3n, time: new Date(1), bytes: Buffer.of(0, 255), position: 3n },
  ])
})

t.test('rowCount is the number of changed rows', async (t) => {
  const database = await openTestDatabase(t)
  const insert = `insert into settings (name, value) select n, 'v' from unnest($1::text[]) as n on conflict do nothing`
  t.equal((await database.query(insert, [['a', 'b']])).rowCount, 2)
  t.equal((await database.query(insert, [['a', 'b', 'c']])).rowCount, 1)
  t.equal((await database.query(`update settings set value = 'w'`)).rowCount, 3)
  t.equal((await database.query(`delete from settings where name = 'none'`)).rowCount, 0)
  t.equal((await database.query(`delete from settings returning name`)).rowCount, 3)
})

t.test('a transaction commits all of its statements or none, and no other query runs in between', async (t) => {
  const database = await openTestDatabase(t)
  const names = async () =>
    (await database.query<{ name: string }>('select name from settings order by name')).rows.map(({ name }) => name)
  const insert = (name: string) => [`insert into settings (name, value) values ($1, '')`, [name]] as const
  await t.rejects(
    database.transaction(async (tx) => {
      await tx.query(...insert('lost'))
      throw new Error('changed my mind')
    }),
    { message: 'changed my mind' },
  )
  t.same(await names(), [])
  await t.rejects(
    database.transaction(async (tx) => {
      await tx.query(...insert('lost'))
      await tx.query('select 1 / 0')
    }),
    { message: /division by zero/ },
  )
  t.same(await names(), [])
  const [answer] = await Promise.all([
    database.transaction(async (tx) => {
      await tx.query(...insert('a'))
      await tx.query(...insert('b'))
      return 'done'
    }),
    database.query(...insert('c')),
    database.transaction((tx) => tx.query(...insert('d'))),
  ])
  t.equal(answer, 'done')
  t.same(await names(), ['a', 'b', 'c', 'd'])
  await t.resolves(database.ping())
})

t.test('a loop of queries lets sockets and timers run', async (t) => {
  const database = await openTestDatabase(t)
  let turns = 0
  const timer = setInterval(() => turns++, 0)
  t.teardown(() => clearInterval(timer))
  for (let i = 0; i < 300; i++) await database.query('select 1')
  t.ok(turns > 0, 'between queries')
  turns = 0
  await database.transaction(async (tx) => {
    for (let i = 0; i < 300; i++) await tx.query('select 1')
  })
  t.ok(turns > 0, 'in a transaction')
})

t.test('migrations are applied once, also by processes that start together; a newer schema is refused', async (t) => {
  const database = await openTestDatabase(t)
  const applied = async () => (await database.query('select name from schema_migrations')).rows.length
  const before = await applied()
  t.ok(before > 0)
  await Promise.all([migrate(database.transaction), migrate(database.transaction)])
  t.equal(await applied(), before)
  await database.query(`insert into schema_migrations (name) values ('9999_future.sql')`)
  await t.rejects(migrate(database.transaction), {
    name: 'SettingError',
    message: 'the database was made by a newer version of alert-relay (it has 9999_future.sql)',
  })
})

t.test('what was written is there after the database is opened again', async (t) => {
  const databaseUrl = await createTestDatabaseUrl(t)
  const dataDir = databaseUrl ? '' : await createTestDataDir(t)
  const first = await openDatabase({ databaseUrl, dataDir })
  await first.query(`insert into settings (name, value) values ('kept', 'yes')`)
  await first.close()
  const second = await openDatabase({ databaseUrl, dataDir })
  t.teardown(() => second.close())
  t.same((await second.query('select name, value from settings')).rows, [{ name: 'kept', value: 'yes' }])
})

t.test('a start that was killed while it made the embedded database leaves nothing in the way', async (t) => {
  const dataDir = t.testdir({ 'db-new-killed': { PG_VERSION: '18' } })
  const database = await openDatabase({ databaseUrl: undefined, dataDir })
  t.same((await database.query('select 1 as one')).rows, [{ one: 1 }])
  await database.close()
  t.same(await readdir(dataDir), ['db'])
})

t.test('a folder that holds something else than a database is left as it is', async (t) => {
  const dataDir = t.testdir({ db: { photo: 'of a cat' } })
  await t.rejects(openDatabase({ databaseUrl: undefined, dataDir }), {
    message: /^the database in DATA_DIR \S+ cannot be opened: ENOTEMPTY: [^\n]*$/,
  })
  t.same(await readdir(dataDir, { recursive: true }), ['db', 'db/photo'])
})
