/**
 * `alert-relay reseal`: seals the secrets at rest with another encryption key. It opens the database itself, so every relay
 * on it must be stopped.
 *
 * Guarantee: at any time, even after a crash, one key opens every sealed value: the values and the digest of their key
 * change in one transaction. A generated key is on disk before the transaction, and the old key is kept after it.
 *
 * A key in DATA_DIR is replaced in steps; a run continues after the last step of an interrupted one:
 *   1. the new key is written to `encryption-key.new`
 *   2. the transaction commits
 *   3. `encryption-key` is linked as `encryption-key.old-<time>`
 *   4. `encryption-key.new` is renamed to `encryption-key`
 */
import { randomBytes } from 'node:crypto'
import { access, link, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { encryptionKeyOf, loadConfig, type Config } from '../core/platform/config.js'
import { openDatabase, type Database } from '../core/platform/database.js'
import { fingerprint, loadEncryptionKey } from '../core/platform/secrets.js'
import { CommandError, UsageError, type Command, type CommandIo, type ExitCode } from './command.js'
import { readFingerprint, reseal } from './reseal-database.js'

const USAGE = `
  NEW_ENCRYPTION_KEY=... alert-relay reseal      to a key of your own: 32 bytes, base64
  alert-relay reseal --generate                  to a new key in DATA_DIR, where the one before it is too

  Stop every relay on the database first. The database and the current key are those of \`alert-relay serve\`:
  DATABASE_URL or DATA_DIR, and ENCRYPTION_KEY or the key in DATA_DIR.
`

export const resealCommand: Command = {
  usage: USAGE,
  async run(args, io) {
    const { values } = parseArgs({ args, options: { generate: { type: 'boolean', default: false } } })
    const given = encryptionKeyOf('NEW_ENCRYPTION_KEY', io.env.NEW_ENCRYPTION_KEY?.trim() ?? '')
    if (given && values.generate) throw new UsageError('--generate and NEW_ENCRYPTION_KEY: one of the two must go')
    if (values.generate) return resealToFile(loadConfig(io.env), io)
    if (given) return resealTo(given, loadConfig(io.env), io)
    throw new UsageError('reseal needs NEW_ENCRYPTION_KEY or --generate')
  },
}

async function resealTo(key: Buffer, config: Config, { print, note }: CommandIo): Promise<ExitCode> {
  const sealed = await withDatabase(config, async (database) => reseal(database, await currentKey(config), key))
  print(`resealed values: ${sealed}; the new key alone opens them`)
  note('start every relay with ENCRYPTION_KEY set to what NEW_ENCRYPTION_KEY is now')
  return 0
}

async function resealToFile(config: Config, { print, note }: CommandIo): Promise<ExitCode> {
  if (config.encryptionKey) throw new CommandError('--generate is for a key in DATA_DIR, but ENCRYPTION_KEY is set')
  const { sealed, kept } = await withDatabase(config, (database) => moveKey(database, config))
  print(`resealed values: ${sealed ?? 'those of an earlier run'}; the new key in ${keyPath(config)} alone opens them`)
  note(`the key before it is kept in ${kept}: backups of the database from before need it`)
  return 0
}

async function withDatabase<T>(config: Config, work: (database: Database) => Promise<T>): Promise<T> {
  const database = await openDatabase(config)
  try {
    return await work(database)
  } finally {
    await database.close()
  }
}

/** @returns `sealed`: undefined when an earlier run committed and was interrupted before it renamed the files */
async function moveKey(database: Database, config: Config): Promise<{ sealed: number | undefined; kept: string }> {
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

/** The key of the relay. Unlike the relay, this generates no missing key: a new one would open nothing. */
async function currentKey(config: Config): Promise<Buffer> {
  if (config.encryptionKey === undefined) {
    await access(keyPath(config)).catch((error: unknown) => {
      throw new CommandError(`the current key is neither in ENCRYPTION_KEY nor in ${keyPath(config)}`, { cause: error })
    })
  }
  return loadEncryptionKey(config)
}

/** Writes a new key, durably. A file that exists is from a run that did not commit, so it is replaced. */
async function writeNewKey(path: string): Promise<Buffer> {
  const key = randomBytes(32)
  await rm(path, { force: true })
  await writeFile(path, `${key.toString('base64')}\n`, { flag: 'wx', mode: 0o600, flush: true })
  // the directory entry must be durable too
  const folder = await open(dirname(path))
  await folder.sync().finally(() => folder.close())
  return key
}
