/**
 * The relay as a separate process, for tests that kill it: the built command, on a free port, on the backend of
 * TEST_DATABASE_URL and TEST_REDIS_URL (the embedded default without them).
 *
 * Guarantee: `start` resolves when /readyz succeeds. The process and its data are removed when the test ends.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { createTestDatabaseUrl, createTestDataDir, relayRedisUrl } from './backends.js'
import { until } from './until.js'

export interface Relay {
  readonly url: string
  readonly dataDir: string
  /** The log lines of all starts. */
  readonly lines: string[]
  start(): Promise<void>
  /** Sends SIGTERM. @returns the exit code */
  stop(): Promise<number | null>
  /** Sends SIGKILL. */
  kill(): Promise<void>
  /** Sends a request to the API with the key; a body is sent as JSON. */
  api<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }>
  /** Posts an SNS message. */
  sns(message: unknown, headers?: Record<string, string>): Promise<{ status: number; body: Record<string, unknown> }>
}

const CLI = join(import.meta.dirname, '../../src/cli.js')

/** Starts a relay. @param environment additional settings */
export async function startRelay(t: Test, environment: Record<string, string> = {}): Promise<Relay> {
  const databaseUrl = environment.DATABASE_URL ?? (await createTestDatabaseUrl(t))
  const dataDir = environment.DATA_DIR ?? (await createTestDataDir(t))
  const settings: Record<string, string> = {
    PATH: process.env.PATH ?? '',
    PORT: '0',
    DATA_DIR: dataDir,
    ALLOW_PRIVATE_TARGETS: '127.0.0.0/8',
    SNS_PUBLISH_TOPICS: 'arn:aws:sns:*:*:*',
    ...(databaseUrl ? { DATABASE_URL: databaseUrl } : {}),
    ...(databaseUrl && relayRedisUrl ? { REDIS_URL: relayRedisUrl } : {}),
    ...environment,
  }
  const lines: string[] = []
  let child: ChildProcess | undefined
  let url = ''

  async function start(): Promise<void> {
    const started = spawn(process.execPath, [CLI, 'serve'], {
      env: settings,
      cwd: dataDir,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child = started
    started.stderr.on('data', (chunk) => lines.push(String(chunk)))
    url = await new Promise<string>((resolve, reject) => {
      createInterface(started.stdout).on('line', (line) => {
        lines.push(line)
        const address = /"address":"([^"]+)".*"msg":"listening"/.exec(line)?.[1]
        if (address) resolve(address)
      })
      started.once('exit', (code) => reject(new Error(`the relay stopped (${code}):\n${lines.join('\n')}`)))
    })
  }

  async function end(signal: NodeJS.Signals): Promise<number | null> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const exited = once(child, 'exit')
    child.kill(signal)
    const [code] = (await exited) as [number | null]
    return code
  }

  async function post(path: string, body: string, headers: Record<string, string>) {
    const { status, text } = await exchange(url + path, { method: 'POST', body, headers })
    return { status, body: JSON.parse(text) as Record<string, unknown> }
  }

  t.teardown(() => end('SIGKILL'))
  await start()
  return {
    get url() {
      return url
    },
    dataDir,
    lines,
    start,
    stop: () => end('SIGTERM'),
    async kill() {
      await end('SIGKILL')
    },
    async api<T>(method: string, path: string, body?: unknown) {
      const key = environment.API_KEYS ?? (await readFile(join(dataDir, 'api-key'), 'utf8')).trim()
      const { status, text } = await exchange(url + path, {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
      })
      return { status, body: (text === '' ? undefined : JSON.parse(text)) as T }
    },
    sns: (message, headers = {}) =>
      post('/sns', JSON.stringify(message), { 'content-type': 'text/plain; charset=UTF-8', ...headers }),
  }
}

/** Repeats a request that gets 503 with Retry-After: on a busy machine the relay's event loop may lag for seconds. */
async function exchange(url: string, request: RequestInit): Promise<{ status: number; text: string }> {
  return until(
    async () => {
      const answer = await fetch(url, request)
      const { status, headers } = answer
      return { status, text: await answer.text(), isPressed: status === 503 && headers.has('retry-after') }
    },
    ({ isPressed }) => !isPressed,
  )
}
