/**
 * The stores of the queues beside a server: PostgreSQL, or Redis (Valkey, Redis Cluster), each as a `QueueBackend`.
 *
 * Guarantee: producers fail within seconds when the store is down; consumers wait for it without limit.
 */
import { createPostgresBackend, Queue, Worker, type Processor, type WorkerOptions } from 'bullmq'
import { messageOf, SettingError } from './errors.js'
import { connectRedis, type RedisClient } from './redis-client.js'
import { queueTelemetry } from './tracing.js'

export type Tuning = Omit<WorkerOptions, 'connection' | 'prefix'>

export interface QueueBackend {
  queue(name: string): Queue
  worker<Job>(name: string, processor: Processor<Job>, tuning: Tuning): Worker<Job>
  /** Rejects when the store takes no job now: it writes, since a store that refuses writes still answers reads. */
  ping(): Promise<void>
  /** Closes the connections, after the queues and workers on them. */
  close(): Promise<void>
}

/** How long a producer waits for the answer to a command. */
export const PRODUCER_TIMEOUT_MS = 2000
/** How long a connection is retried at start, so that the store and the relay may be started together. */
const START_TIMEOUT_MS = 10_000
/** How long Redis keeps what a ping wrote. */
const PING_KEPT_MS = 60_000
const SCHEMA = 'bullmq'

/** The queues in a PostgreSQL server, on their own connections. */
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

/** Applies BullMQ's migrations once per process, without a timeout: another process may be applying them. */
async function migrate(connection: PostgresConnection): Promise<void> {
  const { queue } = postgresConstructors(connection, connection)
  const migration = queue('migration')
  try {
    await migration.waitUntilReady()
  } finally {
    await migration.close()
  }
}

type PostgresConnection = Exclude<Parameters<typeof createPostgresBackend>[1]['connection'], string>

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
 * @param urls one server, the nodes of a cluster, or the Sentinels of a primary
 * @param prefix in braces (a hash tag), so that a cluster keeps a queue's keys on one node
 * @throws SettingError when Redis cannot be reached
 */
export async function redisBackend(
  urls: string[],
  prefix: string,
  onError: (error: unknown) => void,
): Promise<QueueBackend> {
  const use = { producerTimeoutMs: PRODUCER_TIMEOUT_MS }
  const producer = connectRedis(urls, { ...use, kind: 'producer' })
  const consumer = connectRedis(urls, { ...use, kind: 'consumer' })
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
      await producer.set(`${prefix}:ping`, '', 'PX', PING_KEPT_MS)
    },
    close,
  }
}

/** @throws SettingError when there is no connection within START_TIMEOUT_MS */
async function ready(connection: RedisClient): Promise<void> {
  if (connection.status === 'ready') return
  let last: unknown = new Error('no answer')
  let lastOfSentinel: unknown
  let timer: NodeJS.Timeout | undefined
  const onError = (error: unknown) => (last = error)
  const onSentinelError = (error: unknown) => (lastOfSentinel = error)
  connection.on('error', onError)
  connection.on('sentinelError', onSentinelError)
  try {
    await new Promise<void>((resolve, reject) => {
      connection.once('ready', () => resolve())
      timer = setTimeout(() => reject(lastOfSentinel ?? last), START_TIMEOUT_MS)
    })
  } catch (error) {
    throw new SettingError(`REDIS_URL cannot be reached: ${messageOf(error)}`, { cause: error })
  } finally {
    clearTimeout(timer)
    connection.off('error', onError)
    connection.off('sentinelError', onSentinelError)
  }
}

/**
 * Redis that is out of memory must refuse writes, not evict keys. Managed services forbid CONFIG: then there is no
 * warning.
 */
async function warnOfEviction(connection: RedisClient, onError: (error: unknown) => void): Promise<void> {
  const answer = await connection.config('GET', 'maxmemory-policy').catch(() => undefined)
  const policy = Array.isArray(answer) ? answer[1] : undefined
  if (policy !== undefined && policy !== 'noeviction') {
    onError(
      new Error(`Redis has maxmemory-policy ${String(policy)}: set it to noeviction, or jobs can be lost until upkeep`),
    )
  }
}
