/**
 * The saboteur: every few seconds it does to the relay, or to a server that it stands on, what happens to such things.
 *
 * Promise: everything it knows has its turn, in any order; it leaves alone what it is still busy with, and when it has
 * stopped everything is up again.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { TestServer } from '../test/helpers/servers.js'
import { between, pick, type Random } from './random.js'
import type { RelayProcess } from './relay-process.js'
import type { Unrest } from './unrest.js'

export interface Stage {
  apis: RelayProcess[]
  workers: RelayProcess[]
  postgres: TestServer
  redis: TestServer
  unrest: Unrest
}

export interface Saboteur {
  /** How often it did what. */
  readonly counts: ReadonlyMap<string, number>
  /** What it could not do, in words. */
  readonly failures: readonly string[]
  /** Does nothing new, and waits until everything is up. */
  stop(): Promise<void>
}

interface Action {
  kind: string
  /** What nothing else may touch meanwhile. */
  holds: (RelayProcess | TestServer)[]
  act(): Promise<unknown>
}

export const ACTION_KINDS = 9
const PAUSE_MS = [1500, 4500] as const
const FREEZE_MS = [3000, 12_000] as const

/** @param tell is told of each action as it begins */
export function startSaboteur(stage: Stage, random: Random, tell: (line: string) => void): Saboteur {
  const counts = new Map<string, number>()
  const failures: string[] = []
  const held = new Set<unknown>()
  const underWay = new Set<Promise<void>>()
  const stopping = new AbortController()
  /** The kinds that had their turn in this round. */
  const done = new Set<string>()

  async function perform({ kind, holds, act }: Action): Promise<void> {
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
    tell(kind)
    for (const thing of holds) held.add(thing)
    try {
      await act()
    } catch (error) {
      failures.push(`${kind}: ${String(error)}`)
    } finally {
      for (const thing of holds) held.delete(thing)
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await pause(between(random, ...PAUSE_MS), undefined, { signal: stopping.signal }).catch(() => {})
      if (stopping.signal.aborted) return
      const free = actionsOn(stage, held, random).filter(({ holds }) => !holds.some((thing) => held.has(thing)))
      const due = free.filter(({ kind }) => !done.has(kind))
      if (free.length === 0) continue
      const action = pick(random, due.length > 0 ? due : free)
      done.add(action.kind)
      if (done.size === ACTION_KINDS) done.clear()
      const acted = perform(action).finally(() => underWay.delete(acted))
      underWay.add(acted)
    }
  }

  const ran = run()
  return {
    counts,
    failures,
    async stop() {
      stopping.abort()
      await ran
      await Promise.all(underWay)
    },
  }
}

/** One action of each kind, on processes that are not held where there are any. */
function actionsOn(
  { apis, workers, postgres, redis, unrest }: Stage,
  held: ReadonlySet<unknown>,
  random: Random,
): Action[] {
  const victimOf = (relays: RelayProcess[]) => {
    const free = relays.filter((relay) => !held.has(relay))
    return pick(random, free.length > 0 ? free : relays)
  }
  const api = victimOf(apis)
  const worker = victimOf(workers)
  const killAndStart = async (victim: RelayProcess) => {
    await victim.kill()
    await pause(between(random, 0, 2000))
    await victim.start()
  }
  const restart = (server: TestServer) =>
    unrest.during(async () => {
      await server.kill()
      await pause(between(random, 0, 3000))
      await server.start()
    })
  const freeze = (server: TestServer) =>
    unrest.during(async () => {
      try {
        await server.freeze()
        await pause(between(random, ...FREEZE_MS))
      } finally {
        await server.thaw()
      }
    })
  return [
    { kind: 'kill -9 an API process', holds: [api], act: () => killAndStart(api) },
    { kind: 'kill -9 a worker', holds: [worker], act: () => killAndStart(worker) },
    { kind: 'kill -9 every worker', holds: workers, act: () => Promise.all(workers.map(killAndStart)) },
    {
      kind: 'SIGTERM a worker',
      holds: [worker],
      async act() {
        await worker.stop()
        await worker.start()
      },
    },
    { kind: 'restart PostgreSQL', holds: [postgres], act: () => restart(postgres) },
    { kind: 'restart Redis', holds: [redis], act: () => restart(redis) },
    { kind: 'FLUSHALL Redis', holds: [redis], act: () => flush(redis.url) },
    { kind: 'freeze Redis', holds: [redis], act: () => freeze(redis) },
    { kind: 'freeze PostgreSQL', holds: [postgres], act: () => freeze(postgres) },
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
