/**
 * through: the latency from POST /sns to arrival at the receiver, at half the rate that the relay sustains end to end, for
 * 1 and 10 webhooks. Bare loop: a route that verifies and forwards without storing, at the same rate.
 * alone: the same latency at low rates, of one process with every role, and its CPU time a message.
 */
import { readCpu } from './cpu.js'
import { alone, over, type Bench, type Measurement } from './measurement.js'
import { nowMs, startProgram, type Program } from './program.js'
import type { Bare } from './programs/bare.js'
import type { Sink } from './programs/sink.js'
import { createWebhooks, startPair, startRelay } from './relay.js'
import { percentile } from './statistics.js'
import { withTeardowns } from './teardowns.js'

const CONNECTIONS = 64
/** Messages a second that come alone, mostly. */
const QUIET_RATES = [20, 200]

export function measureAlone(bench: Bench): Promise<Measurement[]> {
  return withTeardowns(async (t) => {
    const storage = await bench.backend.createStorage(t)
    const sink = startProgram<Sink>(t, 'sink')
    const [port] = await sink.call('listen', 1)
    const origin = await bench.load.call('origin')
    const relay = await startRelay(t, storage, { role: 'all', emulator: origin })
    await createWebhooks(relay, 1, () => ({ url: `http://127.0.0.1:${port}/0` }))
    const seconds = bench.quick ? 3 : 15
    const warmUp = bench.quick ? 800 : 8000
    const total = warmUp + QUIET_RATES.reduce((sum, rate) => sum + rate * seconds, 0)
    await bench.load.call('prepare', total)
    await secondsUntilDelivered(bench, sink, { url: relay.url, from: 0, count: warmUp }, 1)
    let from = warmUp
    const results: Measurement[] = []
    for (const rate of QUIET_RATES) {
      const before = await readCpu(storage, [relay])
      const taken = await latencies(bench, sink, { url: relay.url, rate, count: rate * seconds, from }, 1)
      const after = await readCpu(storage, [relay])
      from += rate * seconds
      const each = (of: 'relay' | 'postgres' | 'redis') =>
        before && after ? ((after[of] - before[of]) / (rate * seconds)).toFixed(2) : '?'
      const note = `CPU ms a message: ${each('relay')} relay, ${each('postgres')} PostgreSQL, ${each('redis')} Redis`
      for (const share of [0.5, 0.99]) {
        results.push(alone(`alone, ${rate}/s, p${share * 100}`, percentile(taken, share), 'ms', note))
      }
    }
    return results
  })
}

export function measureThrough(bench: Bench): Promise<Measurement[]> {
  return withTeardowns(async (t) => {
    const storage = await bench.backend.createStorage(t)
    const sink = startProgram<Sink>(t, 'sink')
    const [port] = await sink.call('listen', 1)
    const origin = await bench.load.call('origin')
    const { api } = await startPair(t, storage, origin)
    const results: Measurement[] = []
    const urls: string[] = []
    let next = 0
    for (const webhooks of [1, 10]) {
      const more = Array.from(
        { length: webhooks - urls.length },
        (_, i) => `http://127.0.0.1:${port}/${urls.length + i}`,
      )
      await createWebhooks(api, more.length, (index) => ({ url: more[index] }))
      urls.push(...more)
      const bareUrl = await startProgram<Bare>(t, 'bare').call('listen', origin, urls)
      const compared = await compare(bench, sink, { relayUrl: api.url, bareUrl, webhooks, from: next })
      results.push(...compared.results)
      next = compared.next
    }
    return results
  })
}

/** Sends the messages from `from` on, which are new to the relay, to the relay and to the bare loop. */
async function compare(
  bench: Bench,
  sink: Program<Sink>,
  { relayUrl, bareUrl, webhooks, from }: { relayUrl: string; bareUrl: string; webhooks: number; from: number },
): Promise<{ results: Measurement[]; next: number }> {
  const seconds = bench.quick ? 3 : 15
  const calibration = { from, count: (bench.quick ? 800 : 16_000) / (bench.backend.kind === 'server' ? 1 : 5) }
  const first = from + calibration.count
  await bench.load.call('prepare', first)
  const rate = (await sustained(bench, sink, { url: relayUrl, ...calibration }, webhooks)) / 2
  const flow = { rate, count: Math.ceil(rate * seconds), from: first }
  const next = first + flow.count
  await bench.load.call('prepare', next)
  const relayed = await latencies(bench, sink, { url: relayUrl, ...flow }, webhooks)
  await sustained(bench, sink, { url: bareUrl, ...calibration }, webhooks)
  const bare = await latencies(bench, sink, { url: bareUrl, ...flow }, webhooks)
  const results = [0.5, 0.99].map((share) =>
    over(
      `through, ${webhooks} webhooks, p${share * 100}`,
      percentile(relayed, share),
      percentile(bare, share),
      'ms',
      `at ${Math.round(rate)} messages/s`,
    ),
  )
  return { results, next }
}

interface MessageRange {
  url: string
  from: number
  count: number
}

/** Messages a second, from the first POST to the last arrival; the first three quarters of them warm up. */
async function sustained(bench: Bench, sink: Program<Sink>, { url, from, count }: MessageRange, webhooks: number) {
  const warmUp = Math.ceil((count * 3) / 4)
  const rest = count - warmUp
  await secondsUntilDelivered(bench, sink, { url, from, count: warmUp }, webhooks)
  return rest / (await secondsUntilDelivered(bench, sink, { url, from: from + warmUp, count: rest }, webhooks))
}

/** Sends messages as fast as they are answered, and waits until every webhook has each of them. */
async function secondsUntilDelivered({ load }: Bench, sink: Program<Sink>, range: MessageRange, webhooks: number) {
  await sink.call('resetCount')
  const arrived = sink.call('arrived', range.count * webhooks)
  const started = nowMs()
  await load.call('closedLoop', { ...range, connections: CONNECTIONS })
  const lastMs = await arrived
  return (lastMs - started) / 1000
}

async function latencies(
  bench: Bench,
  sink: Program<Sink>,
  flow: MessageRange & { rate: number },
  webhooks: number,
): Promise<number[]> {
  await sink.call('resetCount')
  const arrived = sink.call('arrived', flow.count * webhooks)
  await sink.call('record')
  const { eventIds, atMs } = await bench.load.call('openLoop', flow)
  await arrived
  const sentAt = new Map(eventIds.map((id, index) => [id, atMs[index]!]))
  const arrivals = await sink.call('recorded')
  return arrivals.eventIds.flatMap((id, index) => {
    const sent = sentAt.get(id)
    return sent === undefined ? [] : [arrivals.atMs[index]! - sent]
  })
}
