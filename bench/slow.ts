/**
 * slow: receivers that take their time to answer.
 *
 * drain: deliveries a second by one worker that drains the delivery queues of one webhook or of ten, divided by what undici
 * posts with as many connections as the relay had at most. first attempts: the same of events that are not dispatched yet, over
 * undici at a receiver that answers at once. steady: the p99 from POST /sns to arrival at one such receiver, divided by the
 * same at one that answers at once.
 */
import { openDatabase } from '../src/core/platform/database.js'
import type { Storage } from './backend.js'
import { cpuMs, cpuNote, readCpu } from './cpu.js'
import { drain, makeEvents } from './drain.js'
import { over, type Bench, type Measurement } from './measurement.js'
import { startProgram, type Program } from './program.js'
import type { Bare } from './programs/bare.js'
import type { Sink } from './programs/sink.js'
import { createWebhooks, startPair, startRelay } from './relay.js'
import { percentile } from './statistics.js'
import { withTeardowns } from './teardowns.js'

/** How long the receivers take. */
const DELAYS_MS = { full: [50, 200, 400, 1000], quick: [200] }
const WEBHOOKS = [1, 10]
/** Deliveries that are drained: the first ones warm up. */
const DELIVERIES = { full: 36_000, quick: 18_000 }
const WARM_UP_SHARE = 1 / 2
/** Events that are accepted; the others are copies of them. */
const ACCEPTED = 1000
const BARE_SECONDS = 3
const STEADY_RATE = 150

export async function measureSlow(bench: Bench): Promise<Measurement[]> {
  const share = bench.backend.kind === 'server' ? 1 : 5
  const delays = bench.quick ? DELAYS_MS.quick : DELAYS_MS.full
  const deliveries = (bench.quick ? DELIVERIES.quick : DELIVERIES.full) / share
  const results: Measurement[] = []
  for (const webhooks of WEBHOOKS) {
    for (const delayMs of delays) results.push(await measureDrain(bench, { webhooks, delayMs, deliveries }))
    for (const delayMs of delays) results.push(await measureFirst(bench, { webhooks, delayMs, deliveries }))
  }
  return [...results, ...(await measureSteady(bench, delays, STEADY_RATE / share))]
}

interface DrainSize {
  webhooks: number
  delayMs: number
  deliveries: number
}

async function measureFirst(bench: Bench, { webhooks, delayMs, deliveries }: DrainSize): Promise<Measurement> {
  const events = deliveries / webhooks / 3
  const { perSecond, barePerSecond, cpu } = await drain(bench, { events, webhooks, delayMs })
  return over(`slow, first attempts to ${webhooks} of ${delayMs} ms`, perSecond, barePerSecond, 'deliveries/s', cpu)
}

function measureDrain(bench: Bench, { webhooks, delayMs, deliveries }: DrainSize): Promise<Measurement> {
  return withTeardowns(async (t) => {
    const storage = await bench.backend.createStorage(t)
    const sink = startProgram<Sink>(t, 'sink')
    const ports = await sink.call('listen', webhooks)
    await sink.call('configure', { delayMs })
    const api = await startRelay(t, storage, { role: 'api', measured: false })
    const ids = await createWebhooks(api, webhooks, (index) => ({ url: `http://127.0.0.1:${ports[index]}/` }))
    await api.stop()
    await makeEvents(storage, ACCEPTED)
    await insertDue(storage, ids, deliveries / webhooks)

    await sink.call('record')
    const warm = sink.call('arrived', deliveries * WARM_UP_SHARE)
    const all = sink.call('arrived', deliveries)
    const relay = await startRelay(t, storage, { role: 'worker' })
    const warmMs = await warm
    const before = await readCpu(storage, [relay])
    const lastMs = await all
    const after = await readCpu(storage, [relay])
    await relay.stop()
    const timed = deliveries * (1 - WARM_UP_SHARE)
    const { maxInFlight } = await sink.call('recorded')
    const bare = startProgram<Bare>(t, 'bare')
    const barePerSecond = await postsPerSecond(sink, bare, ports, { delayMs, concurrency: maxInFlight })
    const perSecond = timed / ((lastMs - warmMs) / 1000)
    const note = `at most ${maxInFlight} at once; ${cpuNote(before, after, timed, barePerSecond.cpuMsEach)}`
    return over(`slow, drain to ${webhooks} of ${delayMs} ms`, perSecond, barePerSecond.rate, 'deliveries/s', note)
  })
}

/** What undici posts, with so many requests at once over all ports. */
async function postsPerSecond(
  sink: Program<Sink>,
  bare: Program<Bare>,
  ports: readonly number[],
  { delayMs, concurrency }: { delayMs: number; concurrency: number },
): Promise<{ rate: number; cpuMsEach: number }> {
  const body = await sink.call('body')
  const each = Math.ceil(concurrency / ports.length)
  const count = Math.ceil((each * BARE_SECONDS * 1000) / delayMs)
  const post = (posts: number) =>
    Promise.all(ports.map((port) => bare.call('post', `http://127.0.0.1:${port}/`, body, posts, each)))
  await post(each)
  const before = await cpuMs(bare.pid)
  const seconds = Math.max(...(await post(count)))
  const posts = count * ports.length
  return { rate: posts / seconds, cpuMsEach: ((await cpuMs(bare.pid)) - before) / posts }
}

/** Copies the accepted events until there are `count`, each due at each of the webhooks. */
async function insertDue(storage: Storage, webhookIds: string[], count: number): Promise<void> {
  const database = await openDatabase(storage)
  try {
    const copies = Math.ceil(count / ACCEPTED) - 1
    await database.query('delete from undispatched')
    await database.query(
      `insert into events select (jsonb_populate_record(e, jsonb_build_object(
         'id', 'evt_0' || lpad(row_number() over ()::text, 25, '0'), 'message_id', 'copy-' || row_number() over ()))).*
       from events e, generate_series(1, $1::int)`,
      [copies],
    )
    await database.query(
      `insert into deliveries
         (id, event_id, webhook_id, status, next_attempt_at, alert_id, sequence, sealed, created_at, updated_at)
       select 'dlv_0' || lpad(row_number() over ()::text, 25, '0'), e.id, w.id, 'pending',
         now() - n * interval '1 millisecond', e.alert_id, e.sequence, true, now(), now()
       from (select *, row_number() over (order by id desc) as n from events order by id limit $2) e, unnest($1::text[]) as w (id)`,
      [webhookIds, count],
    )
    await database.query('analyze')
  } finally {
    await database.close()
  }
}

async function measureSteady(bench: Bench, delays: readonly number[], rate: number): Promise<Measurement[]> {
  return withTeardowns(async (t) => {
    const storage = await bench.backend.createStorage(t)
    const sink = startProgram<Sink>(t, 'sink')
    const [port] = await sink.call('listen', 1)
    const { api } = await startPair(t, storage, await bench.load.call('origin'))
    await createWebhooks(api, 1, () => ({ url: `http://127.0.0.1:${port}/` }))
    const seconds = bench.quick ? 4 : 15
    let from = 0
    const p99 = async (delayMs: number) => {
      await sink.call('configure', { delayMs })
      const count = rate * seconds
      await sink.call('resetCount')
      await sink.call('record')
      const arrived = sink.call('arrived', count)
      const { eventIds, atMs } = await bench.load.call('openLoop', { url: api.url, rate, count, from })
      from += count
      await arrived
      const sentAt = new Map(eventIds.map((id, index) => [id, atMs[index]!]))
      const arrivals = await sink.call('recorded')
      return percentile(
        arrivals.eventIds.map((id, index) => arrivals.atMs[index]! - sentAt.get(id)!),
        0.99,
      )
    }
    await p99(0)
    const atOnce = await p99(0)
    const results: Measurement[] = []
    for (const delayMs of delays) {
      const value = await p99(delayMs)
      results.push(over(`slow, steady at ${delayMs} ms, p99`, value, atOnce, 'ms', `${rate} messages/s`))
    }
    return results
  })
}
