/**
 * Helpers for tests of delivery queues: a process that works them with receivers in memory, a database that reports its
 * statements, and functions that read and change rows.
 */
import { createDeliver } from '../../src/core/delivery/deliver.js'
import type { AttemptInput, SendAttempt } from '../../src/core/delivery/attempt.js'
import { createRecorder } from '../../src/core/delivery/attempt-recorder.js'
import { createRecall } from '../../src/core/delivery/content.js'
import { createLimiter } from '../../src/core/delivery/limiter.js'
import { workQueue, type QueueWorkerOptions } from '../../src/core/delivery/delivery-queue.js'
import { createSignal } from '../../src/core/platform/signal.js'
import type { Database, Queryable } from '../../src/core/platform/database.js'
import { newId } from '../../src/core/platform/id.js'
import { createMetrics } from '../../src/core/platform/metrics.js'
import { createCircuitTransitions } from '../../src/core/circuit/transitions.js'
import { deleteWebhook } from '../../src/core/webhook/webhook-store.js'
import { log, type TestWorkers } from './workers.js'

type Parts = Pick<TestWorkers, 'database' | 'queues' | 'registry' | 'renderer' | 'authorizer'>

/** Returns the response status of a receiver to an attempt; 'lost': it took the request, and no answer came. */
export type Answer = (input: AttemptInput) => number | 'lost' | Promise<number | 'lost'>

/** @param answer may throw: the worker then fails before it records the attempt, as if the process had crashed */
export function queueProcess(parts: Parts, holder: string, answer: Answer, database: Database = parts.database) {
  const sendAttempt: SendAttempt = async (input) => {
    const startedAt = new Date()
    const answered = await answer(input)
    const statusCode = answered === 'lost' ? null : answered
    const outcome = statusCode === null ? 'timeout' : statusCode < 300 ? 'succeeded' : 'rejected'
    return {
      id: newId('att'),
      number: input.number,
      startedAt,
      durationMs: Date.now() - startedAt.getTime(),
      outcome,
      statusCode,
      retryAfter: null,
      error: null,
      responseBody: null,
      mayBeTaken: outcome !== 'rejected',
    }
  }
  const metrics = createMetrics(() => Promise.reject(new Error('not read')))
  const options: Omit<QueueWorkerOptions, 'isClosing'> = {
    database,
    queues: parts.queues,
    registry: parts.registry,
    deliver: createDeliver({
      sendAttempt,
      renderer: parts.renderer,
      authorizer: parts.authorizer,
      metrics,
      random: () => 0,
    }),
    circuit: createCircuitTransitions({ database, log, disableAfterMs: 5 * 86_400_000, random: () => 0 }),
    limiter: createLimiter(),
    recall: createRecall(database),
    record: createRecorder(database),
    metrics,
    log,
    holder,
  }
  return {
    options,
    /** Works a delivery queue until nothing is due. */
    work: (webhookId: string, isClosing = () => false) =>
      workQueue({ ...options, isClosing }, { webhookId, signal: createSignal() }),
  }
}

/** Wraps a database: `before` is called before each statement, also in transactions. */
export function watched(
  database: Database,
  before: (sql: string, values: readonly unknown[]) => Promise<void> | void,
): Database {
  const watch = (db: Queryable): Queryable => ({
    async query(sql, values) {
      await before(sql, values ?? [])
      return db.query(sql, values)
    },
  })
  return {
    ...database,
    ...watch(database),
    transaction: (work) => database.transaction((tx) => work(watch(tx))),
  }
}

/** Changes columns of a webhook. */
export async function editWebhook(db: Queryable, id: string, columns: Record<string, unknown>): Promise<void> {
  const set = Object.keys(columns).map((column, i) => `${column} = $${i + 2}`)
  await db.query(
    `with changed as (update registry set version = version + 1) update webhooks set ${set.join(', ')} where id = $1`,
    [id, ...Object.values(columns)],
  )
}

interface StoredHealth {
  status: string
  disabled_reason: string | null
  health: string
  failing_since: Date | null
  last_failure: string | null
}

/** The status and the health of a webhook. */
export async function readHealth(db: Queryable, id: string): Promise<StoredHealth | undefined> {
  const { rows } = await db.query<StoredHealth>(
    `select w.status, w.disabled_reason, q.health, q.failing_since, q.last_failure
     from webhooks w join delivery_queues q on q.webhook_id = w.id where w.id = $1`,
    [id],
  )
  return rows[0]
}

/** The process that has the lease of a delivery queue; null when none has; undefined when there is no such queue. */
export async function leaseHolderOf(db: Queryable, webhookId: string): Promise<string | null | undefined> {
  const { rows } = await db.query<{ holder: string | null }>(
    'select holder from delivery_queues where webhook_id = $1',
    [webhookId],
  )
  return rows[0]?.holder
}

/** The number of deliveries in each status. */
export async function countByStatus(db: Queryable): Promise<Record<string, number>> {
  const { rows } = await db.query<{ status: string; count: bigint }>(
    'select status, count(*) from deliveries group by status',
  )
  return Object.fromEntries(rows.map(({ status, count }) => [status, Number(count)]))
}

/** Deletes all rows of a test, for the next test with the same workers. */
export async function deleteAll({ database, dispatches, wakes }: TestWorkers): Promise<void> {
  const { rows } = await database.query<{ id: string }>('select id from webhooks')
  for (const { id } of rows) await deleteWebhook(database, id)
  for (const table of ['delivery_queues', 'events', 'alerts', 'recoveries']) {
    await database.query(`delete from ${table}`)
  }
  dispatches.length = wakes.length = 0
}

/** An alert change with one value, `n`. */
export function alertChange(alertId: string, n: number): string {
  const context = { n: [n] }
  return JSON.stringify({
    updated_alert: { id: alertId, context },
    incoming_rule_matches_context: context,
    context_diff: {},
  })
}

/** A promise that the test resolves. */
export function latch() {
  let open = () => {}
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open }
}
