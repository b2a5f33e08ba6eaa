import { randomBytes } from 'node:crypto'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import t, { type Test } from 'tap'
import { resealCommand } from '../../src/commands/reseal.js'
import { reseal } from '../../src/commands/reseal-database.js'
import { openDatabase, type Database } from '../../src/core/platform/database.js'
import { createSealer } from '../../src/core/platform/secrets.js'
import { listTargets } from '../../src/core/webhook/webhook-store.js'
import { createTestApp, type TestApp } from '../helpers/app.js'
import { createTestDatabaseUrl, createTestDataDir, openTestDatabase } from '../helpers/backends.js'
import { injectUntilAccepted } from '../helpers/inject.js'
import { createReceiver, type Receiver } from '../helpers/receiver.js'

const newKey = () => randomBytes(32).toString('base64')

/** The database and DATA_DIR of a relay, for several starts. */
async function dataLocation(t: Test) {
  const DATABASE_URL = await createTestDatabaseUrl(t)
  return { DATA_DIR: await createTestDataDir(t), ...(DATABASE_URL ? { DATABASE_URL } : {}) }
}

async function run(args: string[], env: Record<string, string>) {
  const [printed, notes]: [string[], string[]] = [[], []]
  const io = { env, print: (line: string) => printed.push(line), note: (line: string) => notes.push(line) }
  t.equal(await resealCommand.run(args, io), 0)
  return { printed, notes }
}

/** Creates a webhook with every sealed field and one without, and gives the receiver the signing secret. */
async function register(app: TestApp, receiver: Receiver): Promise<string> {
  const fields = { url: receiver.url, headers: { 'x-team': 'blue' }, auth: { type: 'bearer', token: 'tk-1' } }
  const made = await app.api('POST', '/v1/webhooks', fields)
  const { id, secret } = made.json<{ id: string; secret: string }>()
  receiver.secrets = [secret]
  await app.api('POST', '/v1/webhooks', { url: receiver.url })
  return id
}

async function checkDelivery(t: Test, app: TestApp, receiver: Receiver, id: string): Promise<void> {
  t.match((await app.api('POST', `/v1/webhooks/${id}/test`)).json(), { status: 'succeeded' })
  const last = receiver.received.at(-1)!
  t.equal(last.verified, true, 'signed with the secret that the receiver knows')
  t.match(last.headers, { 'x-team': 'blue', authorization: 'Bearer tk-1' })
}

t.test('values sealed with the old key open only with the new one', async (t) => {
  const receiver = await createReceiver()
  t.teardown(() => receiver.close())
  const [where, oldKey, key] = [await dataLocation(t), newKey(), newKey()]
  const before = await createTestApp(t, { ...where, ENCRYPTION_KEY: oldKey })
  const id = await register(before, receiver)
  await checkDelivery(t, before, receiver, id)
  await before.close()

  const done = await run([], { ...where, ENCRYPTION_KEY: oldKey, NEW_ENCRYPTION_KEY: key })
  t.same(done.printed, ['resealed values: 5; the new key alone opens them'])
  await t.rejects(createTestApp(t, { ...where, ENCRYPTION_KEY: oldKey }), {
    name: 'SettingError',
    message: /^ENCRYPTION_KEY is not the key/,
  })
  const after = await createTestApp(t, { ...where, ENCRYPTION_KEY: key })
  await checkDelivery(t, after, receiver, id)
  await after.close()
  t.equal(receiver.received.length, 2)
})

t.test('a request that is repeated after it has its first answer, which was sealed', async (t) => {
  const [where, oldKey, key] = [await dataLocation(t), newKey(), newKey()]
  const before = await createTestApp(t, { ...where, ENCRYPTION_KEY: oldKey })
  const made = await before.api('POST', '/v1/keys', { name: 'tool', scope: 'admin' })
  const headers = { authorization: `Bearer ${made.json<{ key: string }>().key}`, 'idempotency-key': 'k' }
  const request = { method: 'POST', url: '/v1/webhooks', payload: { url: 'https://example.com/' }, headers } as const
  const first = await injectUntilAccepted(before.http, request)
  t.equal(first.statusCode, 201)
  await before.close()

  await run([], { ...where, ENCRYPTION_KEY: oldKey, NEW_ENCRYPTION_KEY: key })
  const after = await createTestApp(t, { ...where, ENCRYPTION_KEY: key })
  t.equal((await injectUntilAccepted(after.http, request)).body, first.body)
  await after.close()
  const database = await openDatabase({ databaseUrl: where.DATABASE_URL, dataDir: where.DATA_DIR })
  const { rows } = await database.query<{ answer: null; sealed_answer: Buffer }>('select * from idempotency_keys')
  await database.close()
  t.match(rows, [{ answer: null }])
  t.notOk(Buffer.from(rows[0]!.sealed_answer).includes(first.json<{ secret: string }>().secret))
})

t.test('a key in DATA_DIR is replaced, and the old one is kept', async (t) => {
  const receiver = await createReceiver()
  t.teardown(() => receiver.close())
  const where = await dataLocation(t)
  const before = await createTestApp(t, where)
  const id = await register(before, receiver)
  await before.close()
  const path = join(where.DATA_DIR, 'encryption-key')
  const oldKey = await readFile(path, 'utf8')

  const { printed, notes } = await run(['--generate'], where)
  t.same(printed, [`resealed values: 5; the new key in ${path} alone opens them`])
  const kept = (await readdir(where.DATA_DIR)).filter((name) => name.startsWith('encryption-key'))
  t.match(kept.sort(), ['encryption-key', /^encryption-key\.old-\d{8}T\d{9}Z$/])
  t.match(notes, [new RegExp(`kept in .*/${kept[1]}: backups`)])
  t.equal(await readFile(join(where.DATA_DIR, kept[1]!), 'utf8'), oldKey)
  t.not(await readFile(path, 'utf8'), oldKey)

  const after = await createTestApp(t, where)
  await checkDelivery(t, after, receiver, id)
  await after.close()

  // as after a crash between the commit and the renames
  await rename(path, `${path}.new`)
  await rename(join(where.DATA_DIR, kept[1]!), path)
  await t.rejects(createTestApp(t, where), { name: 'SettingError' })
  t.same((await run(['--generate'], where)).printed, [
    `resealed values: those of an earlier run; the new key in ${path} alone opens them`,
  ])
  await (await createTestApp(t, where)).close()

  // as after a crash before the commit
  await writeFile(`${path}.new`, newKey())
  t.match((await run(['--generate'], where)).printed, [/^resealed values: 5;/])
  const last = await createTestApp(t, where)
  await checkDelivery(t, last, receiver, id)
  await last.close()
})

t.test('after a reseal that fails half-way the old key opens every value', async (t) => {
  const receiver = await createReceiver()
  t.teardown(() => receiver.close())
  const [where, oldKey, key] = [await dataLocation(t), newKey(), newKey()]
  const env = { ...where, ENCRYPTION_KEY: oldKey }
  const before = await createTestApp(t, env)
  const id = await register(before, receiver)
  await before.close()
  const database = await openDatabase({ databaseUrl: where.DATABASE_URL, dataDir: where.DATA_DIR })
  const [from, to] = [Buffer.from(oldKey, 'base64'), Buffer.from(key, 'base64')]
  for (const [sql, count] of [
    [/^update webhooks/, 2],
    [/^update settings/, 1],
  ] as const) {
    await t.rejects(reseal(failingAt(database, sql, count), from, to), { message: 'it died here' })
    const targets = await listTargets(database, createSealer(from))
    t.equal(targets.length, 2, 'every value opens with the old key')
  }
  // a value that another key sealed, as from a restored backup
  const { rows } = await database.query<{ secrets: Buffer }>('select secrets from webhooks where id > $1', [id])
  await database.query('update webhooks set secrets = $2 where id > $1', [id, createSealer(to).seal('[]', 'x')])
  await t.rejects(reseal(database, from, to), { name: 'CommandError', message: /^nothing is resealed: .* of wh_/ })
  await database.query('update webhooks set secrets = $2 where id > $1', [id, rows[0]!.secrets])
  await database.close()

  const after = await createTestApp(t, env)
  await checkDelivery(t, after, receiver, id)
  await after.close()
})

/** Wraps a database: a transaction fails at the nth statement that matches. */
function failingAt(database: Database, sql: RegExp, count: number): Database {
  return interrupted(database, sql, count, () => {
    throw new Error('it died here')
  })
}

/** Wraps a database: `interrupt` is called before the nth statement that matches in a transaction. */
function interrupted(database: Database, sql: RegExp, count: number, interrupt: () => unknown): Database {
  let seen = 0
  return {
    ...database,
    transaction: (work) =>
      database.transaction((tx) =>
        work({
          async query(text, params) {
            if (sql.test(text) && ++seen === count) await interrupt()
            return tx.query(text, params)
          },
        }),
      ),
  }
}

t.test('reseal waits for a relay that is disconnecting', async (t) => {
  const { DATABASE_URL } = await dataLocation(t)
  if (!DATABASE_URL) return
  const database = await openDatabase({ databaseUrl: DATABASE_URL, dataDir: '' })
  t.teardown(() => database.close())
  const relay = new pg.Client({ connectionString: DATABASE_URL, application_name: 'alert-relay' })
  await relay.connect()
  const leaving = interrupted(database, /from pg_stat_activity/, 2, () => relay.end())
  const [from, to] = [randomBytes(32), randomBytes(32)]
  await t.rejects(
    reseal(leaving, from, to),
    { message: /^nothing is sealed in this database/ },
    'it is gone, and work goes on',
  )
})

t.test('a reseal that cannot be done is refused, with its remedy', async (t) => {
  const [where, oldKey] = [await dataLocation(t), newKey()]
  const env = { ...where, ENCRYPTION_KEY: oldKey }
  const refused = (args: string[], settings: Record<string, string>, message: RegExp) =>
    t.rejects(run(args, settings), { message }, String(message))
  await refused([], { ...env, NEW_ENCRYPTION_KEY: newKey() }, /^nothing is sealed in this database/)
  const app = await createTestApp(t, env)
  // the embedded database has a lock file instead, which the same process takes over
  if (where.DATABASE_URL) await refused([], { ...env, NEW_ENCRYPTION_KEY: newKey() }, /^a relay is connected to this/)
  await app.close()
  await refused([], { ...env, NEW_ENCRYPTION_KEY: 'short' }, /^NEW_ENCRYPTION_KEY must be 32 bytes in base64/)
  await refused([], { ...env, NEW_ENCRYPTION_KEY: oldKey }, /^the new encryption key is the current one$/)
  await refused(['--generate'], env, /^--generate is for a key in DATA_DIR/)
  await refused(['--generate'], { ...env, NEW_ENCRYPTION_KEY: newKey() }, /one of the two must go/)
  await refused(['--generate'], where, /^the current key is neither in ENCRYPTION_KEY nor in /)
  const other = { ...env, ENCRYPTION_KEY: newKey(), NEW_ENCRYPTION_KEY: newKey() }
  await refused([], other, /^the current key is not the one that sealed/)
  t.notOk(
    (await readdir(where.DATA_DIR)).some((name) => name.startsWith('encryption-key')),
    'no key was made',
  )
  await writeFile(join(where.DATA_DIR, 'encryption-key'), 'damaged')
  await refused(['--generate'], where, /encryption-key is damaged/)
  await rm(join(where.DATA_DIR, 'encryption-key'))
  await t.rejects(run([], env), { name: 'UsageError', message: 'reseal needs NEW_ENCRYPTION_KEY or --generate' })
})

t.test('reseal covers every sealed column', async (t) => {
  const database = await openTestDatabase(t)
  const { rows } = await database.query<{ name: string }>(
    `select table_name || '.' || column_name as name from information_schema.columns
     where table_schema = 'public' and data_type = 'bytea' order by 1`,
  )
  const digests = ['alert_values.key', 'api_keys.digest', 'idempotency_keys.request_digest', 'indicators.key']
  const keys = ['rule_matches.window_key', 'rule_windows.key', 'value_keying.key']
  const sealed = ['idempotency_keys.sealed_answer', 'webhooks.private', 'webhooks.sealed_url', 'webhooks.secrets']
  t.same(
    rows.map(({ name }) => name),
    [...digests, ...keys, ...sealed].sort(),
    'a new binary column is listed here; if it is sealed, reseal covers it',
  )
})
