/**
 * A supervised process of the relay: it is started again when it ends by itself.
 *
 * Guarantee: every unexpected end is in `failures`, with the last lines of its log. A start that fails while a server is
 * disturbed is not unexpected: it is counted in `excused`. `peakBytes` is the maximum over all starts.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Disturbances } from './disturbances.js'

export interface RelayProcess {
  readonly name: string
  readonly role: 'all' | 'api' | 'worker'
  /** The URL after the latest start; empty before the first. */
  readonly url: string
  readonly starts: number
  /** Failed starts while a server was disturbed. */
  readonly excused: number
  /** Unexpected ends and failed starts, one line each. */
  readonly failures: readonly string[]
  readonly peakBytes: number
  /** Resolves when the process listens. */
  start(): Promise<void>
  /** kill -9. */
  kill(): Promise<void>
  /** SIGTERM. An unclean end is a failure even while a server is disturbed: disturbances are shorter than the drain time. */
  stop(): Promise<void>
  /** Updates `peakBytes`. */
  measure(): Promise<void>
  /** kill -9, without a further start. */
  end(): Promise<void>
}

export interface RelayProcessOptions {
  name: string
  role: RelayProcess['role']
  /** dist/cli.js. */
  cli: string
  /** Its working directory, which also has its logs. */
  dir: string
  settings: Record<string, string>
  disturbances: Disturbances
}

/** The relay's own drain time after a signal, with a margin. */
const STOP_TIMEOUT_MS = 50_000
const START_TIMEOUT_MS = 60_000
const LOG_LINES = 3

export function createRelayProcess({
  name,
  role,
  cli,
  dir,
  settings,
  disturbances,
}: RelayProcessOptions): RelayProcess {
  const logFile = join(dir, `${name}.log`)
  const failures: string[] = []
  let child: ChildProcess | undefined
  const state = { shouldRun: false, ended: false }
  let url = ''
  let starts = 0
  let excused = 0
  let peakBytes = 0

  async function start(): Promise<void> {
    state.shouldRun = true
    while (!state.ended) {
      const startedMs = Date.now()
      starts++
      const started = spawnRelay()
      child = started
      const address = await addressOf(started, starts)
      if (state.ended) return
      if (address !== undefined) {
        url = address
        started.once('exit', (code, signal) => void restart(started, code ?? signal))
        return
      }
      if (started.exitCode === null && started.signalCode === null) {
        failures.push(`did not listen within ${START_TIMEOUT_MS} ms`)
        await send('SIGKILL')
      } else if (disturbances.since(startedMs)) excused++
      else failures.push(`could not start (${started.exitCode}): ${await logTail()}`)
      await pause(500)
    }
  }

  /** Each start has a log file of its own. */
  function spawnRelay(): ChildProcess {
    const log = openSync(`${logFile}.${starts}`, 'a')
    try {
      return spawn(process.execPath, [cli, 'serve', '--role', role], {
        cwd: dir,
        env: { PATH: process.env.PATH ?? '', PORT: '0', ...settings },
        stdio: ['ignore', log, log],
      })
    } finally {
      closeSync(log)
    }
  }

  async function addressOf(started: ChildProcess, start: number): Promise<string | undefined> {
    const deadlineMs = Date.now() + START_TIMEOUT_MS
    while (started.exitCode === null && started.signalCode === null && Date.now() < deadlineMs) {
      const log = await readFile(`${logFile}.${start}`, 'utf8')
      const address = /"address":"([^"]+)".*"msg":"listening"/.exec(log)?.[1]
      if (address !== undefined) return address
      await pause(50)
    }
    return undefined
  }

  async function logTail(): Promise<string> {
    const log = await readFile(`${logFile}.${starts}`, 'utf8').catch(() => '')
    return log.trim().split('\n').slice(-LOG_LINES).join(' | ').slice(-1500)
  }

  async function restart(ended: ChildProcess, how: unknown): Promise<void> {
    if (!state.shouldRun || state.ended || child !== ended) return
    failures.push(`ended by itself (${String(how)}): ${await logTail()}`)
    if (state.shouldRun) await start()
  }

  async function send(signal: NodeJS.Signals): Promise<void> {
    const ending = child
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return
    const exited = once(ending, 'exit')
    ending.kill(signal)
    await exited
  }

  async function measure(): Promise<void> {
    const status = await readFile(`/proc/${child?.pid}/status`, 'utf8').catch(() => '')
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]
    peakBytes = Math.max(peakBytes, Number(kilobytes ?? 0) * 1024)
  }

  return {
    name,
    role,
    get url() {
      return url
    },
    get starts() {
      return starts
    },
    get excused() {
      return excused
    },
    failures,
    get peakBytes() {
      return peakBytes
    },
    start,
    async kill() {
      state.shouldRun = false
      await measure()
      await send('SIGKILL')
    },
    async stop() {
      state.shouldRun = false
      await measure()
      const timer = setTimeout(() => child?.kill('SIGKILL'), STOP_TIMEOUT_MS)
      await send('SIGTERM')
      clearTimeout(timer)
      if (child?.exitCode === 0) return
      failures.push(`did not stop cleanly (${child?.exitCode ?? child?.signalCode}): ${await logTail()}`)
    },
    measure,
    async end() {
      state.ended = true
      await send('SIGKILL')
    },
  }
}
