/**
 * The backend of the relay: PostgreSQL and Redis, started for the run where their programs are installed, durable as in
 * production (fsync; appendfsync always); otherwise the embedded default.
 *
 * Guarantee: every measurement starts with an empty database and an empty queue.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import pg from 'pg'
import { openDatabase } from '../src/core/platform/database.js'
import { openQueues } from '../src/core/platform/queues.js'
import { startPostgres, startRedis } from '../test/helpers/servers.js'
import type { Teardowns } from './program.js'

const run = promisify(execFile)

/** The empty storage of one relay, which may have several processes. */
export interface Storage {
  dataDir: string
  databaseUrl: string | undefined
  redisUrls: string[]
}

export interface Backend {
  kind: 'embedded' | 'server'
  /** With the versions, for the results. */
  name: string
  createStorage(t: Teardowns): Promise<Storage>
}

export async function startBackend(t: Teardowns, { embedded }: { embedded: boolean }): Promise<Backend> {
  if (embedded || !existsSync('/usr/lib/postgresql')) return embeddedBackend(t)
  const redisVersion = await versionOf('redis-server')
  const { url } = await startPostgres(t)
  const redisUrl = redisVersion === undefined ? undefined : (await startRedis(t)).url
  const [row] = await askPostgres<{ server_version: string }>(url, 'show server_version')
  const name = `PostgreSQL ${row!.server_version.split(' ')[0]}, ${redisVersion ?? 'queue in it'}`
  let databases = 0
  return {
    kind: 'server',
    name,
    async createStorage(t) {
      const database = `bench_${++databases}`
      await askPostgres(url, `create database ${database}`)
      t.teardown(() => askPostgres(url, `drop database ${database} with (force)`))
      // so that writes of the previous measurement do not happen during this one
      await askPostgres(url, 'checkpoint')
      if (redisUrl) await flush(redisUrl)
      return {
        dataDir: await temporaryFolder(t),
        databaseUrl: Object.assign(new URL(url), { pathname: `/${database}` }).href,
        redisUrls: redisUrl ? [redisUrl] : [],
      }
    },
  }
}

/** Each data folder is a copy of one with the schema, which takes seconds to make. */
async function embeddedBackend(t: Teardowns): Promise<Backend> {
  const template = await temporaryFolder(t)
  const database = await openDatabase({ databaseUrl: undefined, dataDir: template })
  const queues = await openQueues({ database, redisUrls: [], onError: console.error })
  await queues.close()
  await database.close()
  return {
    kind: 'embedded',
    name: 'PGlite',
    async createStorage(t) {
      const dataDir = await temporaryFolder(t)
      await cp(template, dataDir, { recursive: true })
      return { dataDir, databaseUrl: undefined, redisUrls: [] }
    },
  }
}

/** Runs one statement on a connection of its own. */
export async function askPostgres<Row>(url: string, sql: string, params: unknown[] = []): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(sql, params)).rows as Row[]
  } finally {
    await client.end()
  }
}

async function flush(redisUrl: string): Promise<void> {
  const redis = new Redis(redisUrl)
  await redis.flushall()
  redis.disconnect()
}

async function versionOf(program: string): Promise<string | undefined> {
  const answer = await run(program, ['--version']).catch(() => undefined)
  const version = /v=([\d.]+)/.exec(answer?.stdout ?? '')?.[1]
  return version && `Redis ${version}`
}

async function temporaryFolder(t: Teardowns): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'alert-relay-bench-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}
