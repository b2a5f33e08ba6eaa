/**
 * Seals what is sealed in a database with another key.
 *
 * Promise: sealed values and the digest of their key change in one transaction, and with no relay connected.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Database, Queryable } from '../core/platform/database.js'
import { messageOf } from '../core/platform/errors.js'
import { createSealer, fingerprint, type Sealer } from '../core/platform/secrets.js'
import { CommandError } from './command.js'

/** The connections of a relay that was stopped just now are gone by then. */
const LEAVING_MS = 3000
const LEAVING_PAUSE_MS = 50

/**
 * Seals everything with another key.
 * @returns how many values it were
 * @throws CommandError when `from` is not the database's key, `to` is no other, a relay is connected, or a value does not
 *   open; nothing is changed then
 */
export async function reseal(database: Database, from: Buffer, to: Buffer): Promise<number> {
  if (from.equals(to)) throw new CommandError('the new encryption key is the current one')
  return database.transaction(async (tx) => {
    await requireAlone(database, tx)
    // a relay that starts now waits here, and is refused then: its key is the old one
    await tx.query('lock table webhooks, settings in access exclusive mode')
    const known = await readFingerprint(tx)
    if (known === undefined) throw new CommandError('nothing is sealed in this database: no relay ever started on it')
    if (known !== fingerprint(from)) throw new CommandError('the current key is not the one that sealed this database')
    const sealed = await resealWebhooks(tx, createSealer(from), createSealer(to))
    await tx.query(`update settings set value = $1 where name = 'encryption_key'`, [fingerprint(to)])
    return sealed
  })
}

/** The sealed columns, and the contexts that core/webhook/webhook-store.ts binds them to. */
async function resealWebhooks(tx: Queryable, from: Sealer, to: Sealer): Promise<number> {
  let sealed = 0
  const again = (value: Buffer, context: string) => {
    sealed++
    try {
      return to.seal(from.open(value, context), context)
    } catch (error) {
      throw new CommandError(`nothing is resealed: ${messageOf(error)}`, { cause: error })
    }
  }
  const { rows } = await tx.query<{ id: string }>('select id from webhooks order by id')
  for (const { id } of rows) {
    const found = await tx.query<{ secrets: Buffer; private: Buffer | null }>(
      'select secrets, private from webhooks where id = $1',
      [id],
    )
    const { secrets, private: fields } = found.rows[0]!
    await tx.query('update webhooks set secrets = $2, private = $3 where id = $1', [
      id,
      again(secrets, id),
      fields && again(fields, `${id}:private`),
    ])
  }
  return sealed
}

/**
 * What runs now holds the old key. A server tells who is connected, also for a moment after they left; the embedded database
 * has one process anyway.
 */
async function requireAlone({ kind }: Database, tx: Queryable): Promise<void> {
  if (kind === 'embedded') return
  const deadlineMs = performance.now() + LEAVING_MS
  while (await isAnyConnected(tx)) {
    if (performance.now() > deadlineMs) {
      throw new CommandError('a relay is connected to this database: stop every one first')
    }
    await sleep(LEAVING_PAUSE_MS)
  }
}

async function isAnyConnected(tx: Queryable): Promise<boolean> {
  // in a transaction the view stays what it was when it was first read
  await tx.query('select pg_stat_clear_snapshot()')
  const { rows } = await tx.query(
    `select from pg_stat_activity
     where datname = current_database() and application_name = 'alert-relay' and pid <> pg_backend_pid() limit 1`,
  )
  return rows.length > 0
}

/** @returns the digest of the key that sealed the database; undefined before a relay's first start on it */
export async function readFingerprint(db: Queryable): Promise<string | undefined> {
  const { rows } = await db.query<{ value: string }>(`select value from settings where name = 'encryption_key'`)
  return rows[0]?.value
}
