/**
 * Fault injection: every few seconds a process of the relay or a server is killed, frozen, restarted or flushed.
 *
 * Guarantee: every kind of fault is injected once per round, in a random order; two faults at a time never have the same
 * target; after `stop` every process and server is up.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { TestServer } from '../test/helpers/servers.js'
import type { Disturbances } from './disturbances.js'
import { between, pick, type Random } from './random.js'
import type { RelayProcess } from './relay-process.js'

export interface FaultTargets {
  apis: RelayProcess[]
  workers: RelayProcess[]
  postgres: TestServer
  redis: TestServer
  disturbances: Disturbances
}

export interface FaultInjector {
  /** How often each kind was injected. */
  readonly counts: ReadonlyMap<string, number>
  /** Faults that could not be injected, one line each. */
  readonly failures: readonly string[]
  /** Injects no further fault, and resolves when every target is up. */
  stop(): Promise<void>
}

interface Fault {
  kind: string
  /** No other fault has these targets meanwhile. */
  targets: (RelayProcess | TestServer)[]
  inject(): Promise<unknown>
}

export const FAULT_KINDS = 9
const PAUSE_MS = [1500, 4500] as const
const FREEZE_MS = [3000, 12_000] as const

/** @param log is called with the kind of each fault as it begins */
export function startFaults(targets: FaultTargets, random: Random, log: (line: string) => void): FaultInjector {
  const counts = new Map<string, number>()
  const failures: string[] = []
  const busy = new Set<unknown>()
  const running = new Set<Promise<void>>()
  const stopping = new AbortController()
  /** The kinds injected in this round. */
  const done = new Set<string>()

  async function inject({ kind, targets, inject }: Fault): Promise<void> {
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
    log(kind)
    for (const target of targets) busy.add(target)
    try {
      await inject()
    } catch (error) {
      failures.push(`${kind}: ${String(error)}`)
    } finally {
      for (const target of targets) busy.delete(target)
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await pause(between(random, ...PAUSE_MS), undefined, { signal: stopping.signal }).catch(() => {})
      if (stopping.signal.aborted) return
      const possible = faultsOn(targets, busy, random).filter(({ targets }) => !targets.some((one) => busy.has(one)))
      const due = possible.filter(({ kind }) => !done.has(kind))
      if (possible.length === 0) continue
      const fault = pick(random, due.length > 0 ? due : possible)
      done.add(fault.kind)
      if (done.size === FAULT_KINDS) done.clear()
      const injected = inject(fault).finally(() => running.delete(injected))
      running.add(injected)
    }
  }

  const ran = run()
  return {
    counts,
    failures,
    async stop() {
      stopping.abort()
      await ran
      await Promise.all(running)
    },
  }
}

/** One fault of each kind, on processes that are not busy where there are any. */
function faultsOn(
  { apis, workers, postgres, redis, disturbances }: FaultTargets,
  busy: ReadonlySet<unknown>,
  random: Random,
): Fault[] {
  const oneOf = (relays: RelayProcess[]) => {
    const free = relays.filter((relay) => !busy.has(relay))
    return pick(random, free.length > 0 ? free : relays)
  }
  const api = oneOf(apis)
  const worker = oneOf(workers)
  const killAndStart = async (relay: RelayProcess) => {
    await relay.kill()
    await pause(between(random, 0, 2000))
    await relay.start()
  }
  const restart = (server: TestServer) =>
    disturbances.during(async () => {
      await server.kill()
      await pause(between(random, 0, 3000))
      await server.start()
    })
  const freeze = (server: TestServer) =>
    disturbances.during(async () => {
      try {
        await server.freeze()
        await pause(between(random, ...FREEZE_MS))
      } finally {
        await server.thaw()
      }
    })
  return [
    { kind: 'kill -9 an API process', targets: [api], inject: () => killAndStart(api) },
    { kind: 'kill -9 a worker', targets: [worker], inject: () => killAndStart(worker) },
    { kind: 'kill -9 every worker', targets: workers, inject: () => Promise.all(workers.map(killAndStart)) },
    {
      kind: 'SIGTERM a worker',
      targets: [worker],
      async inject() {
        await worker.stop()
        await worker.start()
      },
    },
    { kind: 'restart PostgreSQL', targets: [postgres], inject: () => restart(postgres) },
    { kind: 'restart Redis', targets: [redis], inject: () => restart(redis) },
    { kind: 'FLUSHALL Redis', targets: [redis], inject: () => flush(redis.url) },
    { kind: 'freeze Redis', targets: [redis], inject: () => freeze(redis) },
    { kind: 'freeze PostgreSQL', targets: [postgres], inject: () => freeze(postgres) },
  ]
}

async function flush(url: string): Promise<void> {
  const client = new Redis(url, { maxRetriesPerRequest: 3 })
  client.on('error', () => {})
  try {
    await client.flushall()
  } finally {
    client.disconnect()
  }
}
