/**
 * The database on a PostgreSQL server.
 *
 * Guarantee: a server that does not answer makes a query fail with 'undecided' within seconds, and its connection is
 * closed.
 */
import pg from 'pg'
import { createConnections, hasOwnSession, type Connection } from './connections.js'
import { throwUnlessUnavailable } from './database-errors.js'
import { isUndecided, messageOf, SettingError } from './errors.js'
import type { Database, Queryable, Transaction } from './queryable.js'
import { writePing } from './write-ping.js'

/** A query on a frozen or unreachable server fails within this time, so that SNS is answered 503 within 10 s. */
const QUERY_TIMEOUT_MS = 7000
const CONNECT_TIMEOUT_MS = 2500
const MAX_CONNECTIONS = 10
/** How long a connection is retried at start, so that the server and the relay may be started together. */
const START_TIMEOUT_MS = 10_000
const START_RETRY_MS = 250
const MIN_SERVER_VERSION = 13
/** The age at which a connection first discards its plans, and the longest time between two discards. */
const FIRST_REPLAN_MS = 500
const MAX_REPLAN_MS = 5000
/** Statements beyond this number are not prepared. */
const MAX_STATEMENTS = 500

/**
 * Connects to the server.
 * @throws SettingError when it cannot be reached or is too old
 */
export async function openPostgres(databaseUrl: string): Promise<Database> {
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
  // Without a listener, a connection that the server closes would end the process, whether it is idle, in use or given up.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  try {
    const isPooled = await checkServer(pool)
    return serverDatabase(pool, { url: databaseUrl, isPooled })
  } catch (error) {
    await pool.end()
    throw error
  }
}

/** @returns whether a pooler is in between */
async function checkServer(pool: pg.Pool): Promise<boolean> {
  const deadline = Date.now() + START_TIMEOUT_MS
  for (;;) {
    try {
      const { major, isPooled } = await askServer(pool)
      if (major >= MIN_SERVER_VERSION) return isPooled
      throw new SettingError(`DATABASE_URL is PostgreSQL ${major}: version ${MIN_SERVER_VERSION} or later is needed`)
    } catch (error) {
      if (error instanceof SettingError) throw error
      if (Date.now() > deadline) {
        throw new SettingError(`DATABASE_URL cannot be reached: ${messageOf(error)}`, { cause: error })
      }
      await new Promise((resolve) => setTimeout(resolve, START_RETRY_MS))
    }
  }
}

async function askServer(pool: pg.Pool): Promise<{ major: number; isPooled: boolean }> {
  const client = await pool.connect()
  try {
    const { rows } = await client.query<{ server_version_num: string }>('show server_version_num')
    const major = Math.floor(Number(rows[0]!.server_version_num) / 10_000)
    return { major, isPooled: !(await hasOwnSession(client)) }
  } finally {
    client.release()
  }
}

/** Names of prepared statements, by their text. There are a few hundred: one for each combination of list filters. */
const statementNames = new Map<string, string>()

/** A named statement is parsed once per connection, and planned once where the plan does not depend on its values. */
function prepared(text: string, params: readonly unknown[]): pg.QueryConfig {
  let name = statementNames.get(text)
  if (name === undefined && statementNames.size < MAX_STATEMENTS) {
    name = `relay_${statementNames.size}`
    statementNames.set(text, name)
  }
  return { name, text, values: [...params] }
}

function serverDatabase(pool: pg.Pool, { url, isPooled }: { url: string; isPooled: boolean }): Database {
  const replan = createReplanning()
  const connections = createConnections<pg.PoolClient>(pool)
  const on = ({ client, hasSession }: Connection<pg.PoolClient>): Queryable => ({
    async query<Row>(sql: string, params: readonly unknown[] = []) {
      const query = hasSession ? prepared(sql, params) : { text: sql, values: [...params] }
      const { rows, rowCount } = await client.query(query).catch(throwUnlessUnavailable)
      return { rows: rows as Row[], rowCount: rowCount ?? 0 }
    },
  })

  /**
   * Runs the work on a connection of its own. A connection that broke, or whose clean-up failed, is closed, not reused.
   */
  async function withConnection<T>(
    work: (db: Queryable, client: pg.PoolClient) => Promise<T>,
    cleanUp?: (client: pg.PoolClient) => Promise<unknown>,
  ): Promise<T> {
    const connection = await connections.take()
    const { client, hasSession } = connection
    let broken: Error | undefined
    const onError = (error: Error) => void (broken = error)
    client.on('error', onError)
    try {
      if (hasSession) await replan(client).catch(throwUnlessUnavailable)
      return await work(on(connection), client)
    } catch (error) {
      if (isUndecided(error)) broken = (error.cause ?? error) as Error
      else await cleanUp?.(client).catch(onError)
      throw error
    } finally {
      client.off('error', onError)
      if (broken) connections.giveUp(client, broken)
      else client.release()
    }
  }

  const query: Queryable['query'] = (sql, params) => withConnection((db) => db.query(sql, params))
  const transaction: Transaction = (work) =>
    withConnection(
      async (db, client) => {
        await client.query('begin').catch(throwUnlessUnavailable)
        const result = await work(db)
        await client.query('commit').catch(throwUnlessUnavailable)
        return result
      },
      (client) => client.query('rollback'),
    )
  return {
    kind: 'server',
    url,
    isPooled,
    query,
    transaction,
    ping: () => writePing({ query }),
    close: () => pool.end(),
  }
}

/**
 * Makes a function that is called before each use of a connection and sends `discard plans` when it is due.
 *
 * PostgreSQL keeps the plan of a prepared statement until the statistics of its tables change. A plan made while a
 * table was small scans the whole table after it has grown, and autovacuum takes statistics once a minute. So a
 * connection discards its plans each time its age has doubled, and later every few seconds. JIT compilation is off: it
 * takes some 60 ms for a statement of 1 ms, and a wrong estimate is enough to start it.
 */
export function createReplanning(
  now = () => performance.now(),
): (client: Pick<pg.PoolClient, 'query'>) => Promise<void> {
  const plans = new WeakMap<object, { openedMs: number; dueMs: number }>()
  return async (client) => {
    const nowMs = now()
    const plan = plans.get(client)
    if (!plan) {
      plans.set(client, { openedMs: nowMs, dueMs: nowMs + FIRST_REPLAN_MS })
      await client.query('set jit = off')
      return
    }
    if (nowMs < plan.dueMs) return
    plan.dueMs = nowMs + Math.min(nowMs - plan.openedMs, MAX_REPLAN_MS)
    await client.query('discard plans')
  }
}
