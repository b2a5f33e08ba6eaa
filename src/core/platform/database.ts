/**
 * The database: PostgreSQL, or PGlite (PostgreSQL in WebAssembly) in DATA_DIR when DATABASE_URL is not set.
 *
 * Guarantee: both take the same SQL and parameters and return the same types: bigint as bigint, timestamptz as Date,
 * bytea as Buffer. What a transaction wrote is durable when it returns.
 */
import { messageOf, Refusal, SettingError } from './errors.js'
import { migrate } from './migrations.js'
import { openPostgres } from './postgres.js'
import type { Database } from './queryable.js'

export type { Database, Queryable } from './queryable.js'

/**
 * Opens the database and brings its schema up to date.
 * @throws SettingError when DATABASE_URL cannot be reached or is too old, or DATA_DIR is in use by another process
 */
export async function openDatabase(options: { databaseUrl: string | undefined; dataDir: string }): Promise<Database> {
  const database = await open(options)
  try {
    await migrate(database.transaction)
    return database
  } catch (error) {
    await database.close()
    if (!(error instanceof Refusal)) throw error
    throw new SettingError(`DATABASE_URL cannot be reached: ${messageOf(error.cause)}`, { cause: error })
  }
}

async function open({ databaseUrl, dataDir }: { databaseUrl: string | undefined; dataDir: string }): Promise<Database> {
  if (databaseUrl !== undefined) return openPostgres(databaseUrl)
  const { openPglite } = await import('./pglite.js') // not loaded where there is a server
  return openPglite(dataDir)
}
