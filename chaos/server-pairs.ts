/**
 * PostgreSQL and Redis with a replica each, behind an address that follows the primary.
 *
 * Guarantee: what PostgreSQL committed is on its standby, so that a promotion loses nothing. Redis replicates later: its
 * queue may lose what it took last.
 */
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { Redis } from 'ioredis'
import { startPostgres, startRedis, type PostgresServer, type TestServer } from '../test/helpers/servers.js'
import { mountSmallDisk, type SmallDisk } from '../test/helpers/small-disk.js'
import { startProxy } from '../test/helpers/tcp-proxy.js'

interface Scope {
  teardown(close: () => unknown): void
}

/** The primary, behind an address that stays. */
export interface ServerPair extends TestServer {
  /** Kills the primary of PostgreSQL, or demotes that of Redis; its replica takes over, and gets a replica of its own. */
  promote(): Promise<void>
}

export interface PostgresPair extends ServerPair {
  /** Fills and frees the disk of the primary; undefined where no small disk can be mounted. */
  disk: Pick<SmallDisk, 'fill' | 'free'> | undefined
}

const DISK_MEGABYTES = 2048
const POLL_MS = 50
/** Little log is kept, and a standby that lost its primary looks for it again soon. */
const SETTINGS = ['max_wal_size=128MB', 'wal_retrieve_retry_interval=200ms']

interface PostgresSlot {
  server: PostgresServer
  disk: SmallDisk | undefined
}

export async function startPostgresPair(scope: Scope): Promise<PostgresPair> {
  const startIn = async (disk: SmallDisk | undefined, standbyOf?: string): Promise<PostgresSlot> => {
    const server = await startPostgres(scope, { settings: SETTINGS, folder: disk?.folder, standbyOf })
    return { server, disk }
  }
  let primary = await startIn(await mountSmallDisk(scope, DISK_MEGABYTES))
  let standby = await startIn(await mountSmallDisk(scope, DISK_MEGABYTES), primary.server.url)
  await commitOnBoth(primary.server)
  const proxy = await startProxy(scope, primary.server.url)
  return {
    url: proxy.url,
    ...current(() => primary.server),
    async promote() {
      await untilSynchronous(primary.server)
      await primary.server.kill()
      await standby.server.promote()
      const { disk } = primary
      primary = standby
      proxy.point(primary.server.url)
      standby = await startIn(disk, primary.server.url)
      await commitOnBoth(primary.server)
    },
    disk: primary.disk && {
      fill: () => primary.disk!.fill(),
      async free() {
        await primary.disk!.free()
        // a server that cannot write its log ends
        while (!(await canWrite(primary.server))) {
          if (!(await primary.server.isRunning())) await primary.server.start().catch(() => {})
          await pause(POLL_MS)
        }
      },
    },
  }
}

export async function startRedisPair(scope: Scope): Promise<ServerPair> {
  let [primary, replica] = [await startRedis(scope), await startRedis(scope)]
  await follow(replica, primary)
  const proxy = await startProxy(scope, primary.url)
  return {
    url: proxy.url,
    ...current(() => primary),
    async promote() {
      await command(replica, 'REPLICAOF', 'NO', 'ONE')
      const demoted = primary
      primary = replica
      replica = demoted
      const following = follow(replica, primary)
      proxy.point(primary.url)
      await following
    },
  }
}

/** The controls of the server that is the primary when they are used. */
function current(primary: () => TestServer): Omit<TestServer, 'url'> {
  return {
    freeze: () => primary().freeze(),
    thaw: () => primary().thaw(),
    kill: () => primary().kill(),
    start: () => primary().start(),
  }
}

/** From now on a commit waits until the standby has it. The standby's own settings, copied before, wait for none. */
async function commitOnBoth(server: PostgresServer): Promise<void> {
  await query(server, `alter system set synchronous_standby_names = '*'`)
  await query(server, 'select pg_reload_conf()')
  await untilSynchronous(server)
}

async function untilSynchronous(server: PostgresServer): Promise<void> {
  const sql = `select from pg_stat_replication where sync_state = 'sync'`
  while ((await query(server, sql)).rowCount === 0) await pause(POLL_MS)
}

async function canWrite(server: PostgresServer): Promise<boolean> {
  const sql = 'create table written (); drop table written'
  return query(server, sql).then(
    () => true,
    () => false,
  )
}

async function query({ url }: PostgresServer, sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000, query_timeout: 30_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    return await client.query(sql)
  } finally {
    await client.end().catch(() => {})
  }
}

async function follow(replica: TestServer, primary: TestServer): Promise<void> {
  await command(replica, 'REPLICAOF', '127.0.0.1', new URL(primary.url).port)
  while (!String(await command(replica, 'INFO', 'replication')).includes('master_link_status:up')) await pause(POLL_MS)
}

/** Runs one command of Redis, and waits for a server that does not answer yet. */
export async function command({ url }: Pick<TestServer, 'url'>, name: string, ...words: string[]): Promise<unknown> {
  const client = new Redis(url, { maxRetriesPerRequest: 3 })
  client.on('error', () => {})
  try {
    return await client.call(name, ...words)
  } finally {
    client.disconnect()
  }
}
