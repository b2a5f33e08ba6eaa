/**
 * fair: the effect of receivers that hang on the others. One in ten webhooks accepts requests and never answers; the value
 * is the p99 from POST /sns to arrival at the other nine, and the bare loop the same p99 before they hang.
 *
 * At a steady rate every event goes to 20 webhooks (one group, by topic), of which two hang; these are on ports of their
 * own, ten webhooks each. A delivery that did not arrive counts with the time that the measurement waited for it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { over, type Bench, type Measurement } from './measurement.js'
import { nowMs, startProgram, type Program } from './program.js'
import type { Sink } from './programs/sink.js'
import { createWebhooks, startPair } from './relay.js'
import { percentile } from './statistics.js'
import { withTeardowns } from './teardowns.js'

const GROUP = 20
const HANGING_IN_GROUP = 2
const HEALTHY_PORTS = 4
const HANGING_PER_PORT = 10
const POLL_MS = 100

export function measureFair(bench: Bench): Promise<Measurement[]> {
  const webhooks = bench.quick ? 200 : 1000
  const rate = bench.backend.kind === 'server' ? 20 : 5
  const seconds = bench.quick ? 4 : 60
  const timeoutMs = bench.quick ? 3000 : 60_000
  const groups = webhooks / GROUP
  return withTeardowns(async (t) => {
    const storage = await bench.backend.createStorage(t)
    const sink = startProgram<Sink>(t, 'sink')
    const healthyPorts = await sink.call('listen', HEALTHY_PORTS)
    const hangingPorts = await sink.call('listen', (groups * HANGING_IN_GROUP) / HANGING_PER_PORT)
    const { api } = await startPair(t, storage, await bench.load.call('origin'))
    await createWebhooks(api, webhooks, (index) => {
      const hangs = Math.floor(index / groups) < HANGING_IN_GROUP
      const ports = hangs ? hangingPorts : healthyPorts
      return {
        url: `http://127.0.0.1:${ports[index % ports.length]}/${hangs ? 'hangs' : 'healthy'}/${index}`,
        topics: [`arn:aws:sns:us-east-1:123456789012:group-${index % groups}`],
      }
    })
    const flow = { url: api.url, rate, topics: groups }
    await healthyLatencies(bench, sink, { ...flow, count: rate * 2 }, timeoutMs)
    const without = await healthyLatencies(bench, sink, { ...flow, count: rate * seconds }, timeoutMs)
    await sink.call('configure', { hangingPorts })
    const hung = await healthyLatencies(bench, sink, { ...flow, count: rate * seconds }, timeoutMs)
    const note =
      `${webhooks} webhooks, ${rate} events/s x ${GROUP - HANGING_IN_GROUP} healthy and ${HANGING_IN_GROUP} hanging, ` +
      `${seconds} s; ${hung.missing} of ${hung.latencies.length} had not arrived after ${timeoutMs / 1000} s more`
    return [over('fair, p99', percentile(hung.latencies, 0.99), percentile(without.latencies, 0.99), 'ms', note)]
  })
}

async function healthyLatencies(
  { load }: Bench,
  sink: Program<Sink>,
  flow: { url: string; rate: number; topics: number; count: number },
  timeoutMs: number,
): Promise<{ latencies: number[]; missing: number }> {
  const expected = flow.count * (GROUP - HANGING_IN_GROUP)
  await sink.call('record')
  const { eventIds, atMs } = await load.call('openLoop', flow)
  const deadline = nowMs() + timeoutMs
  while ((await sink.call('countAt', '/healthy/')) < expected && nowMs() < deadline) await sleep(POLL_MS)

  const endMs = nowMs()
  const arrivals = await sink.call('recorded')
  const arrivedAt = new Map<string, number[]>()
  arrivals.eventIds.forEach((id, index) => {
    if (!arrivals.paths[index]!.startsWith('/healthy/')) return
    arrivedAt.set(id, [...(arrivedAt.get(id) ?? []), arrivals.atMs[index]!])
  })
  let missing = 0
  const latencies = eventIds.flatMap((id, index) => {
    const times = arrivedAt.get(id) ?? []
    missing += GROUP - HANGING_IN_GROUP - times.length
    return Array.from({ length: GROUP - HANGING_IN_GROUP }, (_, i) => (times[i] ?? endMs) - atMs[index]!)
  })
  return { latencies, missing }
}
