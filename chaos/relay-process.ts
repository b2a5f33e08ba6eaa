/**
 * One process of the relay, as an operator's supervisor would run it: started again whenever it ends.
 *
 * Promise: an end that nobody asked for is on record, with its last words, unless the process was starting while a server
 * that it needs was disturbed; then it is counted. `peakBytes` covers all its lives.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Unrest } from './unrest.js'

export interface RelayProcess {
  readonly name: string
  /** Of its latest life; empty before the first. */
  readonly url: string
  readonly lives: number
  /** Starts given up because a server was disturbed. */
  readonly excused: number
  /** What went wrong, one line each. */
  readonly faults: readonly string[]
  readonly peakBytes: number
  /** Resolves when it listens. */
  start(): Promise<void>
  /** kill -9. */
  kill(): Promise<void>
  /** SIGTERM, and however long it drains: no disturbance lasts as long as its grace, so none excuses an unclean end. */
  stop(): Promise<void>
  /** Reads how much memory it took so far. */
  measure(): Promise<void>
  /** kill -9, and no life after that. */
  end(): Promise<void>
}

export interface RelayProcessOptions {
  name: string
  role: 'api' | 'worker'
  /** dist/cli.js. */
  cli: string
  /** Where it runs and logs. */
  dir: string
  settings: Record<string, string>
  unrest: Unrest
}

/** The relay's own grace after a signal, and a margin. */
const STOP_PATIENCE_MS = 50_000
const START_PATIENCE_MS = 60_000
const LAST_WORDS = 3

export function createRelayProcess({ name, role, cli, dir, settings, unrest }: RelayProcessOptions): RelayProcess {
  const logFile = join(dir, `${name}.log`)
  const faults: string[] = []
  let child: ChildProcess | undefined
  const state = { wanted: false, over: false }
  let url = ''
  let lives = 0
  let excused = 0
  let peakBytes = 0

  async function start(): Promise<void> {
    state.wanted = true
    while (!state.over) {
      const startedMs = Date.now()
      lives++
      const begun = spawnIt()
      child = begun
      const address = await firstAddress(begun, lives)
      if (state.over) return
      if (address !== undefined) {
        url = address
        begun.once('exit', (code, signal) => void rise(begun, code ?? signal))
        return
      }
      if (begun.exitCode === null && begun.signalCode === null) {
        faults.push(`did not listen within ${START_PATIENCE_MS} ms`)
        await send('SIGKILL')
      } else if (unrest.since(startedMs)) excused++
      else faults.push(`could not start (${begun.exitCode}): ${await lastWords()}`)
      await pause(500)
    }
  }

  /** Each life logs to a file of its own. */
  function spawnIt(): ChildProcess {
    const log = openSync(`${logFile}.${lives}`, 'a')
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

  async function firstAddress(begun: ChildProcess, life: number): Promise<string | undefined> {
    const deadlineMs = Date.now() + START_PATIENCE_MS
    while (begun.exitCode === null && begun.signalCode === null && Date.now() < deadlineMs) {
      const log = await readFile(`${logFile}.${life}`, 'utf8')
      const address = /"address":"([^"]+)".*"msg":"listening"/.exec(log)?.[1]
      if (address !== undefined) return address
      await pause(50)
    }
    return undefined
  }

  async function lastWords(): Promise<string> {
    const log = await readFile(`${logFile}.${lives}`, 'utf8').catch(() => '')
    return log.trim().split('\n').slice(-LAST_WORDS).join(' | ').slice(-1500)
  }

  async function rise(ended: ChildProcess, how: unknown): Promise<void> {
    if (!state.wanted || state.over || child !== ended) return
    faults.push(`ended by itself (${String(how)}): ${await lastWords()}`)
    if (state.wanted) await start()
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
    get url() {
      return url
    },
    get lives() {
      return lives
    },
    get excused() {
      return excused
    },
    faults,
    get peakBytes() {
      return peakBytes
    },
    start,
    async kill() {
      state.wanted = false
      await measure()
      await send('SIGKILL')
    },
    async stop() {
      state.wanted = false
      await measure()
      const timer = setTimeout(() => child?.kill('SIGKILL'), STOP_PATIENCE_MS)
      await send('SIGTERM')
      clearTimeout(timer)
      if (child?.exitCode === 0) return
      faults.push(`did not stop cleanly (${child?.exitCode ?? child?.signalCode}): ${await lastWords()}`)
    },
    measure,
    async end() {
      state.over = true
      await send('SIGKILL')
    },
  }
}
