/**
 * Draining: events that were accepted while no worker ran, then workers. What out, backlog and scale time.
 */
import { createAccept } from '../src/core/event/accept.js'
import { openDatabase } from '../src/core/platform/database.js'
import { newId } from '../src/core/platform/id.js'
import { openQueues } from '../src/core/platform/queues.js'
import type { Place } from './backend.js'
import { cpuMs, cpuNote, readCpu } from './cpu.js'
import type { Bench } from './measurement.js'
import { alertsFor, changeText } from './message.js'
import { startProgram } from './program.js'
import type { Bare } from './programs/bare.js'
import type { Sink } from './programs/sink.js'
import { createWebhooks, startRelay, type Relay } from './relay.js'
import { withTeardowns } from './teardowns.js'

const ACCEPT_CONCURRENCY = 64
/** So many times the events that are timed come before them: Node takes some seconds to compile what it runs. */
const WARM_UP = 2
const BARE_AT_ONCE = 64
const BARE_WARM_UP = 2000
/** For a rate that stands still: two seconds or more; half a second where it must be quick. */
const BARE_COUNT = { full: 100_000, quick: 20_000 }

export interface DrainOptions {
  /** Those that are timed. */
  events: number
  webhooks: number
  workers?: number
  /** Before the events are made; the API is there. */
  before?: (place: Place, api: Relay) => Promise<void>
  /** When the events are made and nothing runs. */
  ready?: (place: Place) => Promise<void>
  /** When all is delivered and the workers have stopped. */
  after?: (place: Place) => Promise<void>
}

export interface Drained {
  /** Deliveries a second, once the workers are warm. */
  perSecond: number
  /** What undici alone posts of the same bodies to the same sink. */
  barePerSecond: number
  /** What a delivery cost, as a note. */
  cpu: string
}

export function drain(bench: Bench, options: DrainOptions): Promise<Drained> {
  const { events, webhooks, workers = 1 } = options
  return withTeardowns(async (t) => {
    const place = await bench.backend.fresh(t)
    const sink = startProgram<Sink>(t, 'sink')
    const [port] = await sink.call('listen', 1)
    const api = await startRelay(t, place, { role: 'api', measured: false })
    await createWebhooks(api, webhooks, (index) => ({ url: `http://127.0.0.1:${port}/${index}` }))
    await options.before?.(place, api)
    await api.stop()
    await makeEvents(place, eventsIn(events))
    await options.ready?.(place)
    const count = events * webhooks
    await sink.call('countAnew')
    const warm = sink.call('arrived', WARM_UP * count)
    const all = sink.call('arrived', eventsIn(events) * webhooks)
    const relays = await Promise.all(Array.from({ length: workers }, () => startRelay(t, place, { role: 'worker' })))
    const warmMs = await warm
    const before = await readCpu(place, relays)
    const lastMs = await all
    const after = await readCpu(place, relays)
    for (const relay of relays) await relay.stop()
    await options.after?.(place)
    const bare = startProgram<Bare>(t, 'bare')
    const url = `http://127.0.0.1:${port}/bare`
    const body = await sink.call('body')
    await bare.call('post', url, body, BARE_WARM_UP, BARE_AT_ONCE)
    const bareBefore = await cpuMs(bare.pid)
    const bareCount = bench.quick ? BARE_COUNT.quick : BARE_COUNT.full
    const bareSeconds = await bare.call('post', url, body, bareCount, BARE_AT_ONCE)
    const bareMsEach = ((await cpuMs(bare.pid)) - bareBefore) / bareCount
    return {
      perSecond: count / ((lastMs - warmMs) / 1000),
      barePerSecond: bareCount / bareSeconds,
      cpu: cpuNote(before, after, count, bareMsEach),
    }
  })
}

/** How many there are in all when so many are timed. */
export function eventsIn(events: number): number {
  return (WARM_UP + 1) * events
}

/** As the API would have left them: stored, in their alerts' memory, queued. */
async function makeEvents({ dataDir, databaseUrl, redisUrls }: Place, count: number): Promise<void> {
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
