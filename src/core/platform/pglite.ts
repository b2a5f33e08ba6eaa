/** The embedded database: PGlite in DATA_DIR. */
import { mkdir } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { PGlite, types as pglite, type Transaction as PgliteTransaction } from '@electric-sql/pglite'
import { acquireDataDir } from './data-dir.js'
import { throwUnlessNotNow } from './database-errors.js'
import { messageOf, SettingError } from './errors.js'
import { databaseFolder } from './pglite-folder.js'
import type { Database, Queryable } from './queryable.js'
import { writePing } from './write-ping.js'

/**
 * PostgreSQL's defaults are for a server: of its 128 MiB of pages every one is held from the start. What is not in these 32 MiB is
 * read from the file system's cache.
 */
const SETTINGS = ['shared_buffers=32MB', 'wal_buffers=1MB']
const START_PARAMS = [...PGlite.defaultStartParams, ...SETTINGS.flatMap((setting) => ['-c', setting])]

/**
 * Opens the database in `dataDir`, which this process locks until `close`.
 * @throws SettingError when the folder cannot be used or another process has locked it
 */
export async function openPglite(dataDir: string): Promise<Database> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw new SettingError(`DATA_DIR ${dataDir} cannot be made: ${messageOf(error)}`, { cause: error })
  })
  const release = await acquireDataDir(dataDir)
  try {
    const folder = await databaseFolder(dataDir)
    const db = await PGlite.create(folder, { parsers: { [pglite.INT8]: BigInt }, startParams: START_PARAMS })
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
      const { rows, affectedRows } = await target.query<Row>(sql, [...params]).catch(throwUnlessNotNow)
      // PGlite answers without I/O: a loop of queries would never let sockets and timers run
      await setImmediate()
      for (const row of rows) asBuffers(row as Record<string, unknown>)
      return { rows, rowCount: rows.length || (affectedRows ?? 0) }
    },
  })
  return {
    kind: 'embedded',
    url: undefined,
    isPooled: false,
    ...on(db),
    transaction: (work) => db.transaction((tx) => work(on(tx))),
    ping: () => writePing(on(db)),
    async close() {
      await db.close()
      await release()
    },
  }
}

/** PGlite returns bytea as Uint8Array, pg as Buffer. */
function asBuffers(row: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(row)) {
    if (value instanceof Uint8Array) row[key] = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  }
}
