/**
 * The database on a PostgreSQL server.
 *
 * Guarantee: a server that does not answer makes a query fail with 'undecided' within seconds, and its connection is
 * closed.
 */
import pg from 'pg'
import { messageOf, Refusal, SettingError } from './errors.js'
import type { Database, Queryable } from './queryable.js'

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
  // Without a listener, an idle connection that the server closes would end the process; the next query opens another.
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
  const deadline = Date.now() + START_TIMEOUT_MS
  for (;;) {
    try {
      const { rows } = await pool.query<{ server_version_num: string }>('show server_version_num')
      const major = Math.floor(Number(rows[0]!.server_version_num) / 10_000)
      if (major >= MIN_SERVER_VERSION) return
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

function serverDatabase(pool: pg.Pool, url: string): Database {
  const replan = createReplanning()
  const on = (client: pg.PoolClient): Queryable => ({
    async query<Row>(sql: string, params: readonly unknown[] = []) {
      const { rows, rowCount } = await client.query(prepared(sql, params)).catch(unavailable)
      return { rows: rows as Row[], rowCount: rowCount ?? 0 }
    },
  })

  /**
   * Runs the work on a connection of its own. A connection that broke, or whose clean-up failed, is closed, not reused.
   */
  async function withConnection<T>(
    work: (client: pg.PoolClient) => Promise<T>,
    cleanUp?: (client: pg.PoolClient) => Promise<unknown>,
  ): Promise<T> {
    const client = await pool.connect().catch(unavailable)
    let broken: Error | undefined
    // A connection that breaks also emits an error event, which would end the process without a listener.
    const onError = (error: Error) => void (broken = error)
    client.on('error', onError)
    try {
      await replan(client).catch(unavailable)
      return await work(client)
    } catch (error) {
      if (error instanceof Refusal && error.code === 'undecided') broken ??= error
      else await cleanUp?.(client).catch(onError)
      throw error
    } finally {
      client.off('error', onError)
      client.release(broken)
    }
  }

  return {
    kind: 'server',
    url,
    embedded: undefined,
    query: (sql, params) => withConnection((client) => on(client).query(sql, params)),
    transaction: (work) =>
      withConnection(
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

/** SQLSTATE codes of a server that cannot serve now: connection (08), resources (53), shutdown (57P01 to 57P05). */
const UNAVAILABLE = /^(08...|53...|57P0[1-5])$/

/** Throws 'undecided' for an error without SQLSTATE too: the connection failed, and the statement may be repeated. */
function unavailable(error: unknown): never {
  const { code } = error as { code?: unknown }
  const hasSqlState = typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)
  if (hasSqlState && !UNAVAILABLE.test(code)) throw error
  throw new Refusal('undecided', 'The database does not answer; try again.', { cause: error })
}
