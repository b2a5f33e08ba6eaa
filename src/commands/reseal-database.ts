/**
 * Seals the secrets in a database with another key.
 *
 * Guarantee: the sealed values and the digest of the key change in one transaction, while no relay is connected.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Database, Queryable } from '../core/platform/database.js'
import { messageOf } from '../core/platform/errors.js'
import { contextOf } from '../core/platform/idempotency.js'
import { createSealer, fingerprint, type Sealer } from '../core/platform/secrets.js'
import { CommandError } from './command.js'

/** The connections of a relay that has just stopped are closed by then. */
const DISCONNECT_MS = 3000
const DISCONNECT_POLL_MS = 50

/**
 * Seals every secret with another key.
 * @returns the number of values
 * @throws CommandError when `from` is not the database's key, `to` equals `from`, a relay is connected, or a value cannot be
 *   opened; nothing is changed then
 */
export async function reseal(database: Database, from: Buffer, to: Buffer): Promise<number> {
  if (from.equals(to)) throw new CommandError('the new encryption key is the current one')
  return database.transaction(async (tx) => {
    await requireAlone(database, tx)
    // a relay that starts now waits for this lock; afterwards its old key is refused
    await tx.query('lock table webhooks, settings in access exclusive mode')
    const known = await readFingerprint(tx)
    if (known === undefined) throw new CommandError('nothing is sealed in this database: no relay ever started on it')
    if (known !== fingerprint(from)) throw new CommandError('the current key is not the one that sealed this database')
    const reseal = { from: createSealer(from), to: createSealer(to) }
    const sealed = (await resealWebhooks(tx, reseal)) + (await resealAnswers(tx, reseal))
    await tx.query(`update settings set value = $1 where name = 'encryption_key'`, [fingerprint(to)])
    return sealed
  })
}

interface Reseal {
  from: Sealer
  to: Sealer
}

/** The sealed columns and their contexts must be those of core/webhook/webhook-store.ts. */
async function resealWebhooks(tx: Queryable, reseal: Reseal): Promise<number> {
  let sealed = 0
  const { rows } = await tx.query<{ id: string }>('select id from webhooks order by id')
  for (const { id } of rows) {
    const found = await tx.query<{ secrets: Buffer; private: Buffer | null }>(
      'select secrets, private from webhooks where id = $1',
      [id],
    )
    const { secrets, private: fields } = found.rows[0]!
    await tx.query('update webhooks set secrets = $2, private = $3 where id = $1', [
      id,
      again(reseal, secrets, id),
      fields && again(reseal, fields, `${id}:private`),
    ])
    sealed += fields ? 2 : 1
  }
  return sealed
}

/** Answers of a day, so that a request that is repeated after this is not done twice. */
async function resealAnswers(tx: Queryable, reseal: Reseal): Promise<number> {
  const { rows } = await tx.query<{ key: string; sealed_answer: Buffer }>(
    'select key, sealed_answer from idempotency_keys where sealed_answer is not null',
  )
  for (const { key, sealed_answer: sealed } of rows) {
    const value = again(reseal, sealed, contextOf(key))
    await tx.query('update idempotency_keys set sealed_answer = $2 where key = $1', [key, value])
  }
  return rows.length
}

function again({ from, to }: Reseal, value: Buffer, context: string): Buffer {
  try {
    return to.seal(from.open(value, context), context)
  } catch (error) {
    throw new CommandError(`nothing is resealed: ${messageOf(error)}`, { cause: error })
  }
}

/**
 * Waits until no relay is connected, since a running relay has the old key. PostgreSQL lists connections until a moment after
 * they are closed. The embedded database is only ever open in one process.
 * @throws CommandError when a relay stays connected
 */
async function requireAlone({ kind }: Database, tx: Queryable): Promise<void> {
  if (kind === 'embedded') return
  const deadlineMs = performance.now() + DISCONNECT_MS
  while (await isAnyConnected(tx)) {
    if (performance.now() > deadlineMs) {
      throw new CommandError('a relay is connected to this database: stop every one first')
    }
    await sleep(DISCONNECT_POLL_MS)
  }
}

async function isAnyConnected(tx: Queryable): Promise<boolean> {
  // within a transaction PostgreSQL caches the view at its first read
  await tx.query('select pg_stat_clear_snapshot()')
  const { rows } = await tx.query(
    `select from pg_stat_activity
     where datname = current_database() and application_name = 'alert-relay' and pid <> pg_backend_pid() limit 1`,
  )
  return rows.length > 0
}

/** @returns the digest of the key that sealed the database; undefined before the first start of a relay on it */
export async function readFingerprint(db: Queryable): Promise<string | undefined> {
  const { rows } = await db.query<{ value: string }>(`select value from settings where name = 'encryption_key'`)
  return rows[0]?.value
}
