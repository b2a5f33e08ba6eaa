/**
 * `alert-relay reseal`: seals what is sealed at rest with another encryption key. It opens the database itself, so every
 * relay on it is to be stopped.
 *
 * Promise: all of it opens with one key, before and after and whatever dies in between: sealed values and the digest of
 * their key change in one transaction. The new key is on disk before, the old one stays there afterwards.
 *
 * A key in DATA_DIR moves in steps, and a run that finds one done goes on from it:
 *   `encryption-key` is current -> the new one in `encryption-key.new` -> commit -> the old one is
 *   `encryption-key.old-<time>` too -> the new one is `encryption-key`.
 */
import { randomBytes } from 'node:crypto'
import { access, link, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { encryptionKeyOf, loadConfig, type Config } from '../core/platform/config.js'
import { openDatabase, type Database, type Queryable } from '../core/platform/database.js'
import { messageOf } from '../core/platform/errors.js'
import { createSealer, fingerprint, loadEncryptionKey, type Sealer } from '../core/platform/secrets.js'
import { CommandError, type CommandIo } from './client.js'

export const RESEAL_USAGE = `
  NEW_ENCRYPTION_KEY=... alert-relay reseal      to a key of your own: 32 bytes, base64
  alert-relay reseal --generate                  to a new key in DATA_DIR, where the one before it is too

  Stop every relay on the database first. The database and the current key are those of \`alert-relay serve\`:
  DATABASE_URL or DATA_DIR, and ENCRYPTION_KEY or the key in DATA_DIR.
`

/** The connections of a relay that was stopped just now are gone by then. */
const LEAVING_MS = 3000
const LEAVING_PAUSE_MS = 50

/** @throws CommandError, SettingError, or what parseArgs throws: each one line for the person; nothing is changed then */
export async function runReseal(args: string[], { env, print, tell }: CommandIo): Promise<void> {
  const options = { generate: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h' } } as const
  const { values } = parseArgs({ args, options })
  const given = encryptionKeyOf('NEW_ENCRYPTION_KEY', env.NEW_ENCRYPTION_KEY?.trim() ?? '')
  if (values.help || (given === undefined && !values.generate)) return print(RESEAL_USAGE)
  if (given && values.generate) throw new CommandError('--generate and NEW_ENCRYPTION_KEY: one of the two must go')
  const config = loadConfig(env)
  if (given) {
    const sealed = await withDatabase(config, async (database) => reseal(database, await currentKey(config), given))
    print(`resealed values: ${sealed}; the new key alone opens them`)
    return tell('start every relay with ENCRYPTION_KEY set to what NEW_ENCRYPTION_KEY is now')
  }
  if (config.encryptionKey) throw new CommandError('--generate is for a key in DATA_DIR, but ENCRYPTION_KEY is set')
  const { sealed, kept } = await withDatabase(config, (database) => resealToFile(database, config))
  print(`resealed values: ${sealed ?? 'those of an earlier run'}; the new key in ${keyPath(config)} alone opens them`)
  tell(`the key before it is kept in ${kept}: backups of the database from before need it`)
}

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

async function readFingerprint(db: Queryable): Promise<string | undefined> {
  const { rows } = await db.query<{ value: string }>(`select value from settings where name = 'encryption_key'`)
  return rows[0]?.value
}

async function withDatabase<T>(config: Config, work: (database: Database) => Promise<T>): Promise<T> {
  const database = await openDatabase(config)
  try {
    return await work(database)
  } finally {
    await database.close()
  }
}

/** @returns `sealed`: undefined when an earlier run had done it and died before the files were in place */
async function resealToFile(database: Database, config: Config): Promise<{ sealed: number | undefined; kept: string }> {
  const path = keyPath(config)
  const draft = `${path}.new`
  const current = await currentKey(config)
  const begun = Buffer.from(await readFile(draft, 'utf8').catch(() => ''), 'base64')
  const isDone = (await readFingerprint(database)) === fingerprint(begun)
  const sealed = isDone ? undefined : await reseal(database, current, await writeNewKey(draft))
  const kept = `${path}.old-${new Date().toISOString().replace(/[-:.]/g, '')}`
  await link(path, kept)
  await rename(draft, path)
  return { sealed, kept }
}

function keyPath({ dataDir }: Config): string {
  return join(dataDir, 'encryption-key')
}

/** The key that serves. Where there is none, none is made: it would open nothing. */
async function currentKey(config: Config): Promise<Buffer> {
  if (config.encryptionKey === undefined) {
    await access(keyPath(config)).catch((error: unknown) => {
      throw new CommandError(`the current key is neither in ENCRYPTION_KEY nor in ${keyPath(config)}`, { cause: error })
    })
  }
  return loadEncryptionKey(config)
}

/** On disk before anything is sealed with it. What stands there is of a run that changed nothing. */
async function writeNewKey(path: string): Promise<Buffer> {
  const key = randomBytes(32)
  await rm(path, { force: true })
  await writeFile(path, `${key.toString('base64')}\n`, { flag: 'wx', mode: 0o600, flush: true })
  // the folder's entry too
  const folder = await open(dirname(path))
  await folder.sync().finally(() => folder.close())
  return key
}
