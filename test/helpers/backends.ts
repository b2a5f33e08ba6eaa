/**
 * Databases and queues for tests, on the backend of the environment: TEST_DATABASE_URL (a postgres:// URL whose role may
 * create databases; TEST_POOLER_URL is a pooler in front of it) and TEST_REDIS_URL; the embedded default without them.
 *
 * Guarantee: each test has its own empty database and queues. Everything opened is closed and deleted when the test or its
 * file ends, also after a failure.
 */
import { createHash, randomBytes } from 'node:crypto'
import { cpSync, existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import root, { type Test } from 'tap'
import { openDatabase, type Database } from '../../src/core/platform/database.js'
import { openQueues, type Queues } from '../../src/core/platform/queues.js'
import { redisUrls } from '../../src/core/platform/redis-url.js'
import { ROOT } from '../../src/core/platform/root.js'

/** The default of Redis. */
const REDIS_DATABASES = 16

const adminUrl = process.env.TEST_DATABASE_URL
export const testRedisUrl = adminUrl ? process.env.TEST_REDIS_URL : undefined
/** The Redis database of relays that run as processes: one for each running test file, so that a test may flush it. */
export const relayRedisUrl = testRedisUrl && `${testRedisUrl}/${await claimRedisDatabase()}`

/** Databases of this test file that no test uses. */
const idle: Database[] = []

/**
 * An empty database with the schema, for tests that neither change the schema nor leave work running. It is the emptied
 * database of an earlier test of the file if there is one, since opening one takes longer than a test.
 */
export async function borrowTestDatabase(t: Test): Promise<Database> {
  const database = idle.pop() ?? (await openTestDatabase(root))
  t.teardown(async () => {
    await empty(database)
    idle.push(database)
  })
  return database
}

async function empty(database: Database): Promise<void> {
  const { rows } = await database.query<{ tables: string }>(
    `select string_agg(format('%I', tablename), ', ') as tables from pg_tables
     where schemaname = 'public' and tablename not in ('schema_migrations', 'registry')`,
  )
  await database.query(`truncate ${rows[0]!.tables} restart identity`)
  await database.query('update registry set version = default')
}

/** A new database with the schema. */
export async function openTestDatabase(t: Test): Promise<Database> {
  const databaseUrl = await createTestDatabaseUrl(t)
  const database = await openDatabase({ databaseUrl, dataDir: databaseUrl ? '' : await createTestDataDir(t) })
  t.teardown(() => database.close())
  return database
}

/** Queues in the database, or in Redis under their own prefix; `errors` are those that they reported in the background. */
export async function openTestQueues(t: Test, database: Database): Promise<Queues & { errors: unknown[] }> {
  const errors: unknown[] = []
  const queues = await openQueues({
    database,
    redisUrls: redisUrls(testRedisUrl ?? ''),
    prefix: `{test-${randomBytes(6).toString('hex')}}`,
    onError: (error) => errors.push(error),
  })
  t.teardown(() => queues.close())
  return { ...queues, errors }
}

/**
 * The URL of a database with the schema; undefined on the embedded default. It is a copy of a template that is created once,
 * since the migrations of the relay and of the queue take ten times as long as a copy.
 */
export async function createTestDatabaseUrl(t: Test): Promise<string | undefined> {
  if (!adminUrl) return undefined
  const name = `test_${randomBytes(6).toString('hex')}`
  template ??= templateDatabase()
  await admin(`create database ${name} template ${await template}`)
  t.teardown(() => admin(`drop database ${name} with (force)`))
  return urlOf(name, process.env.TEST_POOLER_URL)
}

let template: Promise<string> | undefined

async function templateDatabase(): Promise<string> {
  const name = `template_${await schemaDigest()}`
  const { rowCount } = await admin(`select from pg_database where datname = '${name}'`)
  if (rowCount === 1) return name
  const draft = `draft_${randomBytes(6).toString('hex')}`
  await admin(`create database ${draft}`)
  await makeSchema({ databaseUrl: urlOf(draft), dataDir: '' })
  // two test files may create the template at once: the first one renames its draft, the other deletes its own
  await admin(`alter database ${draft} rename to ${name}`).catch(() => admin(`drop database ${draft} with (force)`))
  return name
}

function urlOf(database: string, server = adminUrl!): string {
  return Object.assign(new URL(server), { pathname: `/${database}` }).href
}

/** Claims the number of a Redis database by a lock in PostgreSQL, which is released however the process ends. */
async function claimRedisDatabase(): Promise<number> {
  const holder = new pg.Pool({ connectionString: adminUrl, max: 1, idleTimeoutMillis: 0, allowExitOnIdle: true })
  for (let number = 1; number < REDIS_DATABASES; number++) {
    const { rows } = await holder.query<{ claimed: boolean }>('select pg_try_advisory_lock($1) as claimed', [number])
    if (rows[0]!.claimed) return number
  }
  throw new Error(`${REDIS_DATABASES - 1} test files are at work: no Redis database is left`)
}

async function admin(sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: adminUrl })
  await client.connect()
  try {
    return await client.query(sql)
  } finally {
    await client.end()
  }
}

/** A DATA_DIR with an embedded database: a copy of a template that is created once, since that takes seconds. */
export async function createTestDataDir(t: Test): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'alert-relay-'))
  t.teardown(() => rm(dataDir, { recursive: true, force: true }))
  // synchronous: the asynchronous copy of a thousand small files takes a second
  cpSync(await templateDataDir(), dataDir, { recursive: true })
  return dataDir
}

async function templateDataDir(): Promise<string> {
  const cache = join(ROOT, 'node_modules/.cache/alert-relay-test')
  const template = join(cache, await schemaDigest())
  if (existsSync(template)) return template
  await mkdir(cache, { recursive: true })
  const draft = await mkdtemp(join(cache, 'draft-'))
  await makeSchema({ databaseUrl: undefined, dataDir: draft })
  // two test files may create the template at once: the first one renames its draft, the other deletes its own
  await rename(draft, template).catch(() => rm(draft, { recursive: true, force: true }))
  return template
}

/** Opens a database and its queues as a relay does, which migrates them, and closes them. */
async function makeSchema(options: Parameters<typeof openDatabase>[0]): Promise<void> {
  const database = await openDatabase(options)
  const queues = await openQueues({ database, redisUrls: [], onError: () => {} })
  await queues.close()
  await database.close()
}

async function schemaDigest(): Promise<string> {
  const hash = createHash('sha256').update(await readFile(join(ROOT, 'package-lock.json')))
  const folder = join(ROOT, 'migrations')
  for (const name of (await readdir(folder)).sort()) hash.update(name).update(await readFile(join(folder, name)))
  return hash.digest('hex').slice(0, 16)
}
