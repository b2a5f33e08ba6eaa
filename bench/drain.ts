/**
 * Drains a backlog: events are accepted while no worker runs, then workers are started. Used by out, backlog and scale.
 */
import { createAccept } from '../src/core/event/accept.js'
import { openDatabase } from '../src/core/platform/database.js'
import { newId } from '../src/core/platform/id.js'
import { openQueues } from '../src/core/platform/queues.js'
import type { Storage } from './backend.js'
import { cpuMs, cpuNote, readCpu } from './cpu.js'
import type { Bench } from './measurement.js'
import { alertsFor, changeText } from './message.js'
import { startProgram } from './program.js'
import type { Bare } from './programs/bare.js'
import type { Sink } from './programs/sink.js'
import { createWebhooks, startRelay, type Relay } from './relay.js'
import { withTeardowns } from './teardowns.js'

const ACCEPT_CONCURRENCY = 64
/** Warm-up events per timed event: Node needs some seconds to compile hot code. */
const WARM_UP = 2
const BARE_CONCURRENCY = 64
const BARE_WARM_UP = 2000
/** Enough posts for a stable rate: two seconds or more; half a second in a quick run. */
const BARE_COUNT = { full: 100_000, quick: 20_000 }

export interface DrainOptions {
  /** The number of timed events. */
  events: number
  webhooks: number
  workers?: number
  /** How long the receivers take to answer. */
  delayMs?: number
  /** Called before the events are made, while the API runs. */
  before?: (storage: Storage, api: Relay) => Promise<void>
  /** Called when the events are made and no process runs. */
  ready?: (storage: Storage) => Promise<void>
  /** Called when everything is delivered and the workers have stopped. */
  after?: (storage: Storage) => Promise<void>
}

export interface Drained {
  /** Deliveries a second after the warm-up. */
  perSecond: number
  /** Posts a second of the same bodies to the same sink by undici alone. */
  barePerSecond: number
  /** The CPU time of a delivery, as a note. */
  cpu: string
}

export function drain(bench: Bench, options: DrainOptions): Promise<Drained> {
  const { events, webhooks, workers = 1, delayMs } = options
  return withTeardowns(async (t) => {
    const storage = await bench.backend.createStorage(t)
    const sink = startProgram<Sink>(t, 'sink')
    const [port] = await sink.call('listen', 1)
    const api = await startRelay(t, storage, { role: 'api', measured: false })
    await createWebhooks(api, webhooks, (index) => ({ url: `http://127.0.0.1:${port}/${index}` }))
    await options.before?.(storage, api)
    await api.stop()
    await makeEvents(storage, eventsIn(events))
    await options.ready?.(storage)
    const count = events * webhooks
    await sink.call('configure', { delayMs })
    await sink.call('resetCount')
    const warm = sink.call('arrived', WARM_UP * count)
    const all = sink.call('arrived', eventsIn(events) * webhooks)
    const relays = await Promise.all(Array.from({ length: workers }, () => startRelay(t, storage, { role: 'worker' })))
    const warmMs = await warm
    const before = await readCpu(storage, relays)
    const lastMs = await all
    const after = await readCpu(storage, relays)
    for (const relay of relays) await relay.stop()
    await options.after?.(storage)
    await sink.call('configure', {})
    const bare = startProgram<Bare>(t, 'bare')
    const url = `http://127.0.0.1:${port}/bare`
    const body = await sink.call('body')
    await bare.call('post', url, body, BARE_WARM_UP, BARE_CONCURRENCY)
    const bareBefore = await cpuMs(bare.pid)
    const bareCount = bench.quick ? BARE_COUNT.quick : BARE_COUNT.full
    const bareSeconds = await bare.call('post', url, body, bareCount, BARE_CONCURRENCY)
    const bareMsEach = ((await cpuMs(bare.pid)) - bareBefore) / bareCount
    return {
      perSecond: count / ((lastMs - warmMs) / 1000),
      barePerSecond: bareCount / bareSeconds,
      cpu: cpuNote(before, after, count, bareMsEach),
    }
  })
}

/** The number of events in all, with the warm-up, for a number of timed ones. */
export function eventsIn(events: number): number {
  return (WARM_UP + 1) * events
}

/** Stores and queues events as the API does. */
export async function makeEvents({ dataDir, databaseUrl, redisUrls }: Storage, count: number): Promise<void> {
  const database = await openDatabase({ databaseUrl, dataDir })
  const queues = await openQueues({ database, redisUrls, onError: console.error })
  const accept = createAccept({ database, queues })
  let next = 0
  try {
    await Promise.all(
      Array.from({ length: ACCEPT_CONCURRENCY }, async () => {
        for (let index = next++; index < count; index = next++) {
          await accept({
            messageId: newId('evt'),
            topicArn: 'arn:aws:sns:us-east-1:123456789012:alerts',
            subject: undefined,
            message: changeText(index, alertsFor(count)),
            sentAt: new Date(),
          })
        }
      }),
    )
  } finally {
    await queues.close()
    await database.close()
  }
}
