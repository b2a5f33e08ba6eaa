/**
 * The database: PostgreSQL, or PGlite (PostgreSQL in WebAssembly) in DATA_DIR when there is no DATABASE_URL.
 *
 * Promise: the same SQL, parameters and result types on both: bigint as bigint, timestamptz as Date, bytea as Buffer.
 * What a transaction wrote is durable when it returns; a database that does not answer is an error within seconds.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { PGlite, types as pglite, type Transaction as PgliteTransaction } from '@electric-sql/pglite'
import pg from 'pg'
import { acquireDataDir } from './data-dir.js'
import { afterQuery } from './pglite-pool.js'
import { messageOf, Refusal, SettingError } from './errors.js'
import { migrate } from './migrations.js'
import type { Queryable, Transaction } from './queryable.js'

export type { Queryable } from './queryable.js'

export interface Database extends Queryable {
  readonly kind: 'embedded' | 'server'
  /** The server's URL; undefined for the embedded engine. */
  readonly url: string | undefined
  /** The embedded engine itself, for the queue that shares it; undefined on a server. */
  readonly embedded: PGlite | undefined
  /**
   * Runs the work between BEGIN and COMMIT; ROLLBACK when it throws. One connection from begin to end, and no other
   * query in between.
   */
  transaction: Transaction
  /** Rejects when the database does not answer. */
  ping(): Promise<void>
  close(): Promise<void>
}

/** A server that is frozen or unreachable makes a query fail within this time: SNS gets its 503 within 10 s. */
const QUERY_TIMEOUT_MS = 7000
const CONNECT_TIMEOUT_MS = 2500
const MAX_CONNECTIONS = 10
/** How long the server is tried at start, so that both may be started together. */
const START_PATIENCE_MS = 10_000
const START_PAUSE_MS = 250
const OLDEST_SERVER = 13
/** The age at which a connection first plans its statements anew, and how often an old one does. */
const FIRST_REPLAN_MS = 500
const LAST_REPLAN_MS = 5000
/** Statements that are prepared; later ones are sent as they are. */
const MOST_STATEMENTS = 500

/**
 * Opens the database and brings its schema up to date.
 * @throws SettingError when DATABASE_URL cannot be reached or is too old, or DATA_DIR is in use by another process
 */
export async function openDatabase(options: { databaseUrl: string | undefined; dataDir: string }): Promise<Database> {
  const database =
    options.databaseUrl === undefined ? await openEmbedded(options.dataDir) : await openServer(options.databaseUrl)
  try {
    await migrate(database.transaction)
    return database
  } catch (error) {
    await database.close()
    if (!(error instanceof Refusal)) throw error
    throw new SettingError(`DATABASE_URL cannot be reached: ${messageOf(error.cause)}`, { cause: error })
  }
}

async function openEmbedded(dataDir: string): Promise<Database> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw new SettingError(`DATA_DIR ${dataDir} cannot be made: ${messageOf(error)}`, { cause: error })
  })
  const release = await acquireDataDir(dataDir)
  try {
    const db = await PGlite.create(join(dataDir, 'db'), { parsers: { [pglite.INT8]: BigInt } })
    return embeddedDatabase(db, release)
  } catch (error) {
    await release()
    throw new SettingError(`the database in DATA_DIR ${dataDir} cannot be opened: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

function embeddedDatabase(db: PGlite, release: () => Promise<void>): Database {
  const on = (target: PGlite | PgliteTransaction): Queryable => ({
    async query<Row>(sql: string, params: readonly unknown[] = []) {
      const { rows, affectedRows } = await target.query<Row>(sql, [...params])
      await afterQuery()
      for (const row of rows) asBuffers(row as Record<string, unknown>)
      return { rows, rowCount: rows.length || (affectedRows ?? 0) }
    },
  })
  return {
    kind: 'embedded',
    url: undefined,
    embedded: db,
    ...on(db),
    transaction: (work) => db.transaction((tx) => work(on(tx))),
    async ping() {
      await db.query('select 1')
    },
    async close() {
      await db.close()
      await release()
    },
  }
}

/** PGlite gives bytea as Uint8Array, pg as Buffer. */
function asBuffers(row: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(row)) {
    if (value instanceof Uint8Array) row[key] = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  }
}

async function openServer(databaseUrl: string): Promise<Database> {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: MAX_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    keepAlive: true,
    application_name: 'alert-relay',
    types: {
      getTypeParser: ((oid: number, format?: 'text') =>
        oid === pg.types.builtins.INT8 ? BigInt : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
    },
  })
  // An idle connection that the server ends is no reason to stop: the next query opens another.
  pool.on('error', () => {})
  try {
    await checkServer(pool)
  } catch (error) {
    await pool.end()
    throw error
  }
  return serverDatabase(pool, databaseUrl)
}

async function checkServer(pool: pg.Pool): Promise<void> {
  const deadline = Date.now() + START_PATIENCE_MS
  for (;;) {
    try {
      const { rows } = await pool.query<{ server_version_num: string }>('show server_version_num')
      const major = Math.floor(Number(rows[0]!.server_version_num) / 10_000)
      if (major >= OLDEST_SERVER) return
      throw new SettingError(`DATABASE_URL is PostgreSQL ${major}: version ${OLDEST_SERVER} or later is needed`)
    } catch (error) {
      if (error instanceof SettingError) throw error
      if (Date.now() > deadline) {
        throw new SettingError(`DATABASE_URL cannot be reached: ${messageOf(error)}`, { cause: error })
      }
      await new Promise((resolve) => setTimeout(resolve, START_PAUSE_MS))
    }
  }
}

/** Statements by their text: a few hundred at most, since lists are narrowed in so many ways. */
const statementNames = new Map<string, string>()

/** A named statement is parsed once a connection, and planned once where the plan does not depend on its values. */
function prepared(text: string, params: readonly unknown[]): pg.QueryConfig {
  let name = statementNames.get(text)
  if (name === undefined && statementNames.size < MOST_STATEMENTS) {
    name = `relay_${statementNames.size}`
    statementNames.set(text, name)
  }
  return { name, text, values: [...params] }
}

function serverDatabase(pool: pg.Pool, url: string): Database {
  const replanned = createReplanning()
  const on = (client: pg.PoolClient): Queryable => ({
    async query<Row>(sql: string, params: readonly unknown[] = []) {
      const { rows, rowCount } = await client.query(prepared(sql, params)).catch(unavailable)
      return { rows: rows as Row[], rowCount: rowCount ?? 0 }
    },
  })

  /** The work has a connection to itself; one that broke, or cannot clean up, is thrown away with whatever it was doing. */
  async function connected<T>(
    work: (client: pg.PoolClient) => Promise<T>,
    cleanUp?: (client: pg.PoolClient) => Promise<unknown>,
  ): Promise<T> {
    const client = await pool.connect().catch(unavailable)
    let broken: Error | undefined
    // A server that goes away tells the client beside the query; unheard, that would end the process.
    const lost = (error: Error) => void (broken = error)
    client.on('error', lost)
    try {
      await replanned(client).catch(unavailable)
      return await work(client)
    } catch (error) {
      if (error instanceof Refusal && error.code === 'undecided') broken ??= error
      else await cleanUp?.(client).catch(lost)
      throw error
    } finally {
      client.off('error', lost)
      client.release(broken)
    }
  }

  return {
    kind: 'server',
    url,
    embedded: undefined,
    query: (sql, params) => connected((client) => on(client).query(sql, params)),
    transaction: (work) =>
      connected(
        async (client) => {
          await client.query('begin').catch(unavailable)
          const result = await work(on(client))
          await client.query('commit').catch(unavailable)
          return result
        },
        (client) => client.query('rollback'),
      ),
    async ping() {
      await pool.query('select 1')
    },
    close: () => pool.end(),
  }
}

/**
 * A server keeps the plan of a prepared statement until the statistics of its tables change. One that was made while a table
 * was small reads the whole of it when it has grown, and a busy minute passes before the statistics are taken: so a
 * connection forgets its plans whenever it has become twice as old, and then every few seconds. Nor does it compile them: for a
 * statement of a millisecond that takes sixty, and an estimate that is wrong for a moment is enough to begin it.
 */
export function createReplanning(
  now = () => performance.now(),
): (client: Pick<pg.PoolClient, 'query'>) => Promise<void> {
  const plans = new WeakMap<object, { bornMs: number; dueMs: number }>()
  return async (client) => {
    const nowMs = now()
    const plan = plans.get(client)
    if (!plan) {
      plans.set(client, { bornMs: nowMs, dueMs: nowMs + FIRST_REPLAN_MS })
      await client.query('set jit = off')
      return
    }
    if (nowMs < plan.dueMs) return
    plan.dueMs = nowMs + Math.min(nowMs - plan.bornMs, LAST_REPLAN_MS)
    await client.query('discard plans')
  }
}

/** SQLSTATE classes and codes of a server that cannot serve now: connection, resources, shutdown. */
const UNAVAILABLE = /^(08...|53...|57P0[1-5])$/

/** An error without SQLSTATE is one of the connection: nothing is wrong with the request, and it may be repeated. */
function unavailable(error: unknown): never {
  const { code } = error as { code?: unknown }
  const isServers = typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)
  if (isServers && !UNAVAILABLE.test(code)) throw error
  throw new Refusal('undecided', 'The database does not answer; try again.', { cause: error })
}
