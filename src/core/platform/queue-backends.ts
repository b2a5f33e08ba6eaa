/**
 * Where the queues live: PGlite, PostgreSQL, or Redis (Valkey, Redis Cluster). One `QueueBackend` each, the same to use.
 *
 * Promise: what produces fails within seconds when the store is down; what consumes waits for it for ever.
 */
import {
  createPostgresBackend,
  Queue,
  runMigrations,
  Worker,
  type PgPool,
  type Processor,
  type WorkerOptions,
} from 'bullmq'
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { messageOf, SettingError } from './errors.js'
import { createPglitePool, type PGlite } from './pglite-pool.js'
import { queueTelemetry } from './tracing.js'

export type Tuning = Omit<WorkerOptions, 'connection' | 'prefix'>

export interface QueueBackend {
  queue(name: string): Queue
  worker<Job>(name: string, processor: Processor<Job>, tuning: Tuning): Worker<Job>
  /** Rejects when the store does not answer. */
  ping(): Promise<void>
  /** Closes the connections, after the queues and workers on them. */
  close(): Promise<void>
}

/** A command of a producer that is not answered within this time fails. */
export const PRODUCER_TIMEOUT_MS = 2000
/** How long the store is tried at start, so that both may be started together. */
const START_PATIENCE_MS = 10_000
const RECONNECT_MAX_MS = 2000
const SCHEMA = 'bullmq'

/** The queues on the database's own PGlite: one engine, one connection. */
export async function embeddedBackend(db: PGlite): Promise<QueueBackend> {
  const pool = createPglitePool(db)
  await runMigrations(pool, SCHEMA)
  // Our tables first: BullMQ's names are singular, ours plural.
  await db.exec(`set search_path to public, ${SCHEMA}`)
  return {
    ...postgresConstructors(pool, pool),
    async ping() {
      await db.query('select 1')
    },
    close: () => pool.end(),
  }
}

/** The queues in a PostgreSQL server, on connections of their own. */
export async function postgresBackend(connectionString: string): Promise<QueueBackend> {
  const base = { connectionString, schema: SCHEMA, keepAlive: true, application_name: 'alert-relay queue' }
  await migrate({ ...base, max: 1, migrate: true })
  const limits = { connectionTimeoutMillis: PRODUCER_TIMEOUT_MS, query_timeout: PRODUCER_TIMEOUT_MS }
  const constructors = postgresConstructors({ ...base, ...limits, max: 2 }, { ...base, max: 4 })
  const probe = constructors.queue('ping')
  return {
    ...constructors,
    async ping() {
      await probe.getWaitingCount()
    },
    close: () => probe.close(),
  }
}

/** Once for the process, and for as long as it takes: another process may be at it. */
async function migrate(connection: PostgresConnection): Promise<void> {
  const { queue } = postgresConstructors(connection, connection)
  const migration = queue('migration')
  try {
    await migration.waitUntilReady()
  } finally {
    await migration.close()
  }
}

type PostgresConnection = PgPool | Exclude<Parameters<typeof createPostgresBackend>[1]['connection'], string>

function postgresConstructors(producer: PostgresConnection, consumer: PostgresConnection) {
  const telemetry = queueTelemetry()
  return {
    queue: (name: string) =>
      new Queue(name, { connection: producer, ...telemetry }, createPostgresBackend) as unknown as Queue,
    worker: <Job>(name: string, processor: Processor<Job>, tuning: Tuning) =>
      new Worker(
        name,
        processor,
        { ...tuning, connection: consumer, ...telemetry },
        createPostgresBackend,
      ) as unknown as Worker<Job>,
  }
}

/**
 * The queues in Redis.
 * @param urls one node, or the nodes of a cluster
 * @param prefix in braces, so that a cluster keeps a queue's keys on one node
 * @throws SettingError when Redis cannot be reached
 */
export async function redisBackend(
  urls: string[],
  prefix: string,
  onError: (error: unknown) => void,
): Promise<QueueBackend> {
  const producer = connect(urls, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    commandTimeout: PRODUCER_TIMEOUT_MS,
  })
  const consumer = connect(urls, { maxRetriesPerRequest: null })
  const telemetry = queueTelemetry()
  const connections = [producer, consumer]
  for (const connection of connections) connection.on('error', onError)
  const close = async () => connections.forEach((connection) => connection.disconnect())
  try {
    await Promise.all(connections.map(ready))
    await warnOfEviction(producer, onError)
  } catch (error) {
    await close()
    throw error
  }
  return {
    queue: (name) => new Queue(name, { connection: producer, prefix, ...telemetry }),
    worker: (name, processor, tuning) =>
      new Worker(name, processor, { ...tuning, connection: consumer, prefix, ...telemetry }),
    async ping() {
      await producer.ping()
    },
    close,
  }
}

function connect(urls: string[], options: RedisOptions): Redis | Cluster {
  const [first] = urls
  const redisOptions: RedisOptions = {
    ...options,
    keepAlive: 10_000,
    retryStrategy: (times) => Math.min(times * 100, RECONNECT_MAX_MS),
  }
  if (urls.length === 1) return new Redis(first!, redisOptions)
  const { username, password, protocol } = new URL(first!)
  const account = {
    ...(username ? { username: decodeURIComponent(username) } : {}),
    ...(password ? { password: decodeURIComponent(password) } : {}),
    ...(protocol === 'rediss:' ? { tls: {} } : {}),
  }
  const nodes = urls.map((url) => ({ host: new URL(url).hostname, port: Number(new URL(url).port || 6379) }))
  return new Cluster(nodes, {
    enableOfflineQueue: options.enableOfflineQueue,
    redisOptions: { ...redisOptions, ...account },
    clusterRetryStrategy: (times) => Math.min(times * 100, RECONNECT_MAX_MS),
  })
}

/** Resolves at the first connection; there is none within the time limit: DATABASE and Redis may be started together. */
async function ready(connection: Redis | Cluster): Promise<void> {
  if (connection.status === 'ready') return
  let last: unknown = new Error('no answer')
  let timer: NodeJS.Timeout | undefined
  const note = (error: unknown) => (last = error)
  connection.on('error', note)
  try {
    await new Promise<void>((resolve, reject) => {
      connection.once('ready', () => resolve())
      timer = setTimeout(() => reject(last), START_PATIENCE_MS)
    })
  } catch (error) {
    throw new SettingError(`REDIS_URL cannot be reached: ${messageOf(error)}`, { cause: error })
  } finally {
    clearTimeout(timer)
    connection.off('error', note)
  }
}

/** Redis under memory pressure must refuse, not forget. Managed services forbid CONFIG: then nothing is said. */
async function warnOfEviction(connection: Redis | Cluster, onError: (error: unknown) => void): Promise<void> {
  const answer = await connection.config('GET', 'maxmemory-policy').catch(() => undefined)
  const policy = Array.isArray(answer) ? answer[1] : undefined
  if (policy !== undefined && policy !== 'noeviction') {
    onError(
      new Error(`Redis has maxmemory-policy ${String(policy)}: set it to noeviction, or jobs can be lost until upkeep`),
    )
  }
}
