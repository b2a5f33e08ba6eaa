/**
 * For tests of delivery queues: a process that works them, with a receiver in memory (what it is sent is decided by the test, without a
 * socket); a database that is watched; a webhook as an operator edits it and as it is written.
 */
import { createDeliver } from '../../src/core/delivery/deliver.js'
import type { AttemptInput, SendAttempt } from '../../src/core/delivery/attempt.js'
import { createLimiter } from '../../src/core/delivery/limiter.js'
import { workQueue, type QueueWorkerOptions } from '../../src/core/delivery/delivery-queue.js'
import { createSignal } from '../../src/core/platform/signal.js'
import type { Database, Queryable } from '../../src/core/platform/database.js'
import { newId } from '../../src/core/platform/id.js'
import { createMetrics } from '../../src/core/platform/metrics.js'
import { createCircuitTransitions } from '../../src/core/circuit/transitions.js'
import { log, type TestWorkers } from './workers.js'

type Parts = Pick<TestWorkers, 'database' | 'queues' | 'registry' | 'renderer' | 'authorizer'>

/** The status that a receiver answers. */
export type Answer = (input: AttemptInput) => number | Promise<number>

/** @param answer may throw: then the process dies of it before the attempt is written */
export function queueProcess(parts: Parts, holder: string, answer: Answer, database: Database = parts.database) {
  const sendAttempt: SendAttempt = async (input) => {
    const startedAt = new Date()
    const statusCode = await answer(input)
    return {
      id: newId('att'),
      number: input.number,
      startedAt,
      durationMs: Date.now() - startedAt.getTime(),
      outcome: statusCode < 300 ? ('succeeded' as const) : ('rejected' as const),
      statusCode,
      retryAfter: null,
      error: null,
      responseBody: null,
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
      log,
      metrics,
      random: () => 0,
    }),
    circuit: createCircuitTransitions({ database, disableAfterMs: 5 * 86_400_000, random: () => 0 }),
    limiter: createLimiter(),
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

/** The database, where `before` is called with each statement before it is carried out, in transactions too. */
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

/** Changes columns of a webhook, as an operator would. */
export async function editWebhook(db: Queryable, id: string, columns: Record<string, unknown>): Promise<void> {
  const set = Object.keys(columns).map((column, i) => `${column} = $${i + 2}`)
  await db.query(
    `with changed as (update registry set version = version + 1) update webhooks set ${set.join(', ')} where id = $1`,
    [id, ...Object.values(columns)],
  )
}

interface Standing {
  status: string
  disabled_reason: string | null
  health: string
  failing_since: Date | null
  last_failure: string | null
}

/** How a webhook is doing, as it is written. */
export async function standingOf(db: Queryable, id: string): Promise<Standing | undefined> {
  const { rows } = await db.query<Standing>(
    `select w.status, w.disabled_reason, q.health, q.failing_since, q.last_failure
     from webhooks w join delivery_queues q on q.webhook_id = w.id where w.id = $1`,
    [id],
  )
  return rows[0]
}
