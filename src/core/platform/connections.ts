/**
 * Connections of a pool, as they are taken for a piece of work.
 *
 * Promise: a connection is not used any more once another one has shown that its server takes no writes; whether its session
 * is its own is known before its first statement.
 */
import { isReadOnlyError, throwNotNow, throwUnlessUnavailable } from './database-errors.js'

/** Of pg's clients and pools, what is needed here. */
interface Client {
  query(sql: string): Promise<{ rows: unknown[] }>
}
interface PooledClient extends Client {
  release(error?: Error | boolean): void
}
interface Pool<C extends PooledClient> {
  connect(): Promise<C>
}

export interface Connection<C> {
  client: C
  /**
   * Whether every statement meets the same session. A pooler in transaction mode (PgBouncer) gives each transaction another
   * one: there are no named statements and no settings then that outlive a transaction.
   */
  hasSession: boolean
}

export interface Connections<C> {
  /** @throws Refusal 'undecided' */
  take(): Promise<Connection<C>>
  /** Of a connection that broke: its error says whether the others of its age are good. */
  giveUp(client: C, error: Error): void
}

export function createConnections<C extends PooledClient>(pool: Pool<C>): Connections<C> {
  const known = new WeakMap<object, { bornMs: number; hasSession: boolean }>()
  let distrustedBeforeMs = -Infinity

  async function introduce(client: C): Promise<boolean> {
    const hasSession = await hasOwnSession(client)
    known.set(client, { bornMs: performance.now(), hasSession })
    return hasSession
  }

  return {
    async take() {
      for (;;) {
        const client = await pool.connect().catch(throwNotNow)
        const met = known.get(client)
        if (met && met.bornMs < distrustedBeforeMs) {
          client.release(true)
          continue
        }
        try {
          return { client, hasSession: met?.hasSession ?? (await introduce(client)) }
        } catch (error) {
          client.release(true)
          throwUnlessUnavailable(error)
        }
      }
    },
    giveUp(client, error) {
      if (isReadOnlyError(error)) distrustedBeforeMs = performance.now()
      client.release(error)
    },
  }
}

/** A pooler answers for the server at login, with a process id that is not that of any. */
export async function hasOwnSession(client: Client): Promise<boolean> {
  const { rows } = await client.query('select pg_backend_pid() as pid')
  const [row] = rows as { pid: number }[]
  return row?.pid === (client as { processID?: number | null }).processID
}
