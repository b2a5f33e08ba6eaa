/**
 * Migrations: migrations/NNNN_name.sql, applied once each, in order.
 *
 * Guarantee: all missing ones are applied in one transaction under a lock, so processes that start together get one
 * schema. A database with migrations of a newer version is refused.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SettingError } from './errors.js'
import type { Transaction } from './queryable.js'
import { ROOT } from './root.js'

const FOLDER = join(ROOT, 'migrations')
/** The key of the advisory lock: "alrt". */
const LOCK_KEY = 0x616c7274

/** @throws SettingError when the database has a migration that this version does not know */
export async function migrate(transaction: Transaction): Promise<void> {
  const names = (await readdir(FOLDER)).filter((name) => /^\d{4}_\w+\.sql$/.test(name)).sort()
  await transaction(async (tx) => {
    await tx.query('select pg_advisory_xact_lock($1)', [LOCK_KEY])
    await tx.query(
      `create table if not exists schema_migrations (name text primary key, applied_at timestamptz not null default now())`,
    )
    const { rows } = await tx.query<{ name: string }>('select name from schema_migrations')
    const applied = new Set(rows.map(({ name }) => name))
    const unknown = [...applied].find((name) => !names.includes(name))
    if (unknown) throw new SettingError(`the database was made by a newer version of alert-relay (it has ${unknown})`)
    for (const name of names.filter((name) => !applied.has(name))) {
      for (const statement of statementsOf(await readFile(join(FOLDER, name), 'utf8'))) await tx.query(statement)
      await tx.query('insert into schema_migrations (name) values ($1)', [name])
    }
  })
}

/** PGlite runs one statement per query. Migrations must have no semicolon inside a statement. */
function statementsOf(sql: string): string[] {
  return sql
    .replace(/--.*$/gm, '')
    .split(';')
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '')
}
