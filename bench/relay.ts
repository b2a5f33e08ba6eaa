/**
 * The relay under measurement: the built command as separate processes, with its default settings.
 *
 * Logs go to a file: a pipe would make the benchmark read them. BENCH_CLI names another build of the command;
 * BENCH_NODE_FLAGS (for instance `--cpu-prof --cpu-prof-dir=DIR`) are passed to the measured processes.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ROOT } from '../src/core/platform/root.js'
import type { Storage } from './backend.js'
import type { Teardowns } from './program.js'

const run = promisify(execFile)

const CLI = process.env.BENCH_CLI ?? join(import.meta.dirname, '../src/cli.js')
/** The flags of Node in `npm start`. */
const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { scripts: { start: string } }
const START_FLAGS = scripts.start.split(' ').filter((word) => word.startsWith('--'))
const EXTRA_FLAGS = (process.env.BENCH_NODE_FLAGS ?? '').split(' ').filter((flag) => flag !== '')
export const KEY = 'a-key-for-the-benchmark'
const ENCRYPTION_KEY = Buffer.alloc(32, 1).toString('base64')
const START_TIMEOUT_MS = 20_000
const STOP_TIMEOUT_MS = 8000
const RETRY_MS = 200

export interface Relay {
  readonly url: string
  readonly pid: number
  /** Sends a request to the API with the key. */
  api<T = { id: string }>(method: string, path: string, body?: object): Promise<{ status: number; body: T }>
  /** SIGTERM, and kill -9 after a timeout. */
  stop(): Promise<void>
}

export interface RelayOptions {
  role?: 'all' | 'api' | 'worker'
  /** The origin of the simulated SNS, for processes that receive messages. */
  emulator?: string
  /** True when BENCH_NODE_FLAGS apply. */
  measured?: boolean
}

let started = 0

/** Starts one process. On the embedded default it has every role, since one process owns the database. */
export async function startRelay(t: Teardowns, storage: Storage, options: RelayOptions = {}): Promise<Relay> {
  const { role = 'all', emulator = '', measured = true } = options
  const actualRole = storage.databaseUrl === undefined ? 'all' : role
  const path = join(storage.dataDir, `log-${++started}`)
  const log = openSync(path, 'w')
  const child = spawn(
    process.execPath,
    [...START_FLAGS, ...(measured ? EXTRA_FLAGS : []), CLI, 'serve', '--role', actualRole],
    {
      cwd: storage.dataDir,
      stdio: ['ignore', log, log],
      env: {
        PATH: process.env.PATH ?? '',
        PORT: '0',
        DATA_DIR: storage.dataDir,
        DATABASE_URL: storage.databaseUrl ?? '',
        REDIS_URL: storage.redisUrls.join(','),
        API_KEYS: KEY,
        ENCRYPTION_KEY,
        ALLOW_PRIVATE_TARGETS: '127.0.0.0/8',
        SNS_EMULATOR: emulator,
        SNS_TOPICS: 'arn:aws:sns:us-east-1:123456789012:*',
      },
    },
  )
  closeSync(log)
  const exited = once(child, 'exit')
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
      await exited
      clearTimeout(timer)
    }
  }
  t.teardown(stop)
  const url = await addressIn(path, () => child.exitCode !== null)
  return {
    url,
    pid: child.pid!,
    async api<T>(method: string, target: string, body?: object) {
      const answer = await fetch(url + target, {
        method,
        headers: { authorization: `Bearer ${KEY}`, ...(body ? { 'content-type': 'application/json' } : {}) },
        body: body && JSON.stringify(body),
      })
      return { status: answer.status, body: (await answer.json()) as T }
    },
    stop,
  }
}

/** Starts an API process and a worker; one process with both roles on the embedded default. */
export async function startPair(
  t: Teardowns,
  storage: Storage,
  emulator: string,
): Promise<{ api: Relay; all: Relay[] }> {
  const starting = [startRelay(t, storage, { role: 'api', emulator })]
  if (storage.databaseUrl !== undefined) starting.push(startRelay(t, storage, { role: 'worker' }))
  const all = await Promise.all(starting)
  return { api: all[0]!, all }
}

/** Makes webhooks through the API; `fieldsOf` returns the body of POST /v1/webhooks. */
export async function createWebhooks(
  api: Relay,
  count: number,
  fieldsOf: (index: number) => object,
): Promise<string[]> {
  const ids: string[] = []
  for (let index = 0; index < count; index++) {
    const create = () => api.api('POST', '/v1/webhooks', fieldsOf(index))
    let { status, body } = await create()
    // 503: the machine is overloaded
    while (status === 503) {
      await sleep(RETRY_MS)
      ;({ status, body } = await create())
    }
    if (status !== 201) throw new Error(`POST /v1/webhooks: ${status} ${JSON.stringify(body)}`)
    ids.push(body.id)
  }
  return ids
}

/** The resident memory of a process, in MiB. */
export async function residentMib(pid: number): Promise<number> {
  const { stdout } = await run('ps', ['-o', 'rss=', '-p', String(pid)])
  return Number(stdout) / 1024
}

async function addressIn(logPath: string, hasStopped: () => boolean): Promise<string> {
  const log = await open(logPath)
  const head = Buffer.alloc(64 * 1024)
  try {
    for (const deadline = Date.now() + START_TIMEOUT_MS; Date.now() < deadline; await sleep(20)) {
      const { bytesRead } = await log.read(head, 0, head.length, 0)
      const text = head.toString('utf8', 0, bytesRead)
      const address = /"address":"([^"]+)".*"msg":"listening"/.exec(text)?.[1]
      if (address) return address
      if (hasStopped()) throw new Error(`the relay stopped:\n${text}`)
    }
    throw new Error('the relay does not listen')
  } finally {
    await log.close()
  }
}
