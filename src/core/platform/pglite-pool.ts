/** PGlite behind the interface of a `pg` pool, as far as BullMQ's PostgreSQL backend uses it. */
import { EventEmitter } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import type { PGlite } from '@electric-sql/pglite'
import type { PgNotification, PgPool, PgPoolClient, PgQueryResult } from 'bullmq'

export type { PGlite } from '@electric-sql/pglite'

/**
 * PGlite answers without I/O, so a loop of queries would never let sockets and timers run: every query ends with a turn
 * of the event loop.
 */
export async function yieldToEventLoop(): Promise<void> {
  await setImmediate()
}

/**
 * Every client uses the one engine. LISTEN and UNLISTEN go through PGlite's listeners, so that a notification reaches
 * only the clients that listen on its channel.
 */
export function createPglitePool(db: PGlite): PgPool {
  const events = new EventEmitter()
  const query = async <R>(text: string, params: readonly unknown[] = []): Promise<PgQueryResult<R>> => {
    if (params.length === 0) {
      const results = await db.exec(text)
      await yieldToEventLoop()
      const last = results.at(-1)
      return { rows: (last?.rows ?? []) as R[], rowCount: last?.affectedRows ?? 0 }
    }
    const { rows, affectedRows } = await db.query<R>(text, [...params])
    await yieldToEventLoop()
    return { rows, rowCount: rows.length || (affectedRows ?? 0) }
  }
  const pool = {
    query,
    connect: async () => createClient(db, query),
    async end() {
      events.removeAllListeners()
    },
    on(event: string, listener: (...args: never[]) => void) {
      events.on(event, listener as (...args: unknown[]) => void)
      return pool
    },
    removeAllListeners(event?: string) {
      events.removeAllListeners(event)
      return pool
    },
  }
  return pool as PgPool
}

function createClient(db: PGlite, query: PgPoolClient['query']): PgPoolClient {
  const events = new EventEmitter()
  const channels = new Map<string, () => Promise<void>>()
  const client = {
    // BullMQ sets TCP keep-alive; the embedded engine has no socket.
    connection: { stream: { setKeepAlive: () => {} } },
    async query<R>(text: string, params?: readonly unknown[]): Promise<PgQueryResult<R>> {
      const [, verb, channel = ''] = /^(?:\s|--.*\n)*(LISTEN|UNLISTEN)\s+"?([^";\s]+)"?/i.exec(text) ?? []
      if (verb === undefined) return query<R>(text, params)
      if (verb.toUpperCase() === 'LISTEN') await listen(channel)
      else await unlisten(channel)
      return { rows: [], rowCount: 0 }
    },
    on(event: string, listener: (...args: never[]) => void) {
      events.on(event, listener as (...args: unknown[]) => void)
      return client
    },
    removeListener(event: string, listener: (...args: never[]) => void) {
      events.removeListener(event, listener as (...args: unknown[]) => void)
      return client
    },
    removeAllListeners(event?: string) {
      events.removeAllListeners(event)
      return client
    },
    release() {
      events.removeAllListeners()
      for (const channel of [...channels.keys()]) unlisten(channel).catch(() => {})
    },
  }

  async function listen(channel: string): Promise<void> {
    if (channels.has(channel)) return
    const emit = (payload: string) => events.emit('notification', { channel, payload } satisfies PgNotification)
    channels.set(channel, await db.listen(channel, emit))
  }

  async function unlisten(channel: string): Promise<void> {
    const stop = channels.get(channel)
    channels.delete(channel)
    if (stop && !db.closed) await stop()
  }

  return client as PgPoolClient
}
