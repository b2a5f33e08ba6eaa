/**
 * Fault injection: every few seconds a process of the relay or a server is killed, frozen, restarted, flushed, filled or
 * replaced by its replica. After a burst of faults a calm follows in which everything must be on time again.
 *
 * Guarantee: every kind of fault is injected once per round, in a random order; two faults at a time never have the same
 * target; after `stop` every process and server is up.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { TestServer } from '../test/helpers/servers.js'
import type { Disturbances } from './disturbances.js'
import { ON_TIME_MS, type Interval } from './lateness.js'
import { between, pick, type Random } from './random.js'
import type { RelayProcess } from './relay-process.js'
import { command, type PostgresPair, type ServerPair } from './server-pairs.js'

export interface FaultTargets {
  apis: RelayProcess[]
  workers: RelayProcess[]
  postgres: PostgresPair
  redis: ServerPair
  disturbances: Disturbances
}

export interface FaultInjector {
  /** How many kinds there are. */
  readonly kinds: number
  /** How often each kind was injected. */
  readonly counts: ReadonlyMap<string, number>
  /** Faults that could not be injected, one line each. */
  readonly failures: readonly string[]
  /** When the faults that are over were injected, in the order of their beginnings. */
  intervals(): Interval[]
  /** Injects no further fault, and resolves when every target is up. */
  stop(): Promise<void>
}

interface Fault {
  kind: string
  /** No other fault has these targets meanwhile. */
  targets: (RelayProcess | TestServer)[]
  inject(): Promise<unknown>
}

const PAUSE_MS = [1500, 4500] as const
const FREEZE_MS = [3000, 12_000] as const
const FULL_DISK_MS = [2000, 6000] as const
/** So many faults, and then a calm in which an alert that comes late is excused by none. */
const BURST = 5
const CALM_MS = ON_TIME_MS + 2000

/** @param log is called with the kind of each fault as it begins */
export function startFaults(targets: FaultTargets, random: Random, log: (line: string) => void): FaultInjector {
  const counts = new Map<string, number>()
  const failures: string[] = []
  const intervals: Interval[] = []
  const kinds = faultsOn(targets, new Set(), () => 0).length
  const busy = new Set<unknown>()
  const running = new Set<Promise<void>>()
  const stopping = new AbortController()
  /** The kinds injected in this round. */
  const done = new Set<string>()

  async function inject({ kind, targets, inject }: Fault): Promise<void> {
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
    log(kind)
    for (const target of targets) busy.add(target)
    const fromMs = Date.now()
    try {
      await inject()
    } catch (error) {
      failures.push(`${kind}: ${String(error)}`)
    } finally {
      for (const target of targets) busy.delete(target)
      intervals.push({ fromMs, toMs: Date.now() })
    }
  }

  async function run(): Promise<void> {
    for (let count = 1; !stopping.signal.aborted;) {
      await wait(between(random, ...PAUSE_MS))
      if (stopping.signal.aborted) return
      const possible = faultsOn(targets, busy, random).filter(({ targets }) => !targets.some((one) => busy.has(one)))
      const due = possible.filter(({ kind }) => !done.has(kind))
      if (possible.length === 0) continue
      const fault = pick(random, due.length > 0 ? due : possible)
      done.add(fault.kind)
      if (done.size === kinds) done.clear()
      const injected = inject(fault).finally(() => running.delete(injected))
      running.add(injected)
      if (count++ % BURST > 0) continue
      await Promise.all(running)
      await wait(CALM_MS)
    }
  }

  const wait = (ms: number) => pause(ms, undefined, { signal: stopping.signal }).catch(() => {})

  const ran = run()
  return {
    kinds,
    counts,
    failures,
    intervals: () => intervals.toSorted((a, b) => a.fromMs - b.fromMs),
    async stop() {
      stopping.abort()
      await ran
      await Promise.all(running)
    },
  }
}

/** One fault of each kind that can be injected here, on processes that are not busy where there are any. */
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
  const promote = (pair: ServerPair) => disturbances.during(() => pair.promote())
  const { disk } = postgres
  const fill = (disk: NonNullable<PostgresPair['disk']>) =>
    disturbances.during(async () => {
      try {
        await disk.fill()
        await pause(between(random, ...FULL_DISK_MS))
      } finally {
        await disk.free()
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
    { kind: 'promote the standby of PostgreSQL', targets: [postgres], inject: () => promote(postgres) },
    { kind: 'promote the replica of Redis', targets: [redis], inject: () => promote(redis) },
    { kind: 'FLUSHALL Redis', targets: [redis], inject: () => command(redis, 'FLUSHALL') },
    { kind: 'freeze Redis', targets: [redis], inject: () => freeze(redis) },
    { kind: 'freeze PostgreSQL', targets: [postgres], inject: () => freeze(postgres) },
    ...(disk ? [{ kind: 'fill the disk of PostgreSQL', targets: [postgres], inject: () => fill(disk) }] : []),
  ]
}
