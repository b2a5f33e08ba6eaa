/**
 * in: signed notifications a second that are answered 200 (stored durably), with 0 and with 1 webhook that they are
 * delivered to meanwhile. Bare loop: a Fastify route that parses and verifies the same messages and stores nothing.
 */
import { cpuMs, cpuNote, readCpu } from './cpu.js'
import { over, type Bench, type Measurement } from './measurement.js'
import { startProgram } from './program.js'
import type { Bare } from './programs/bare.js'
import type { Sink } from './programs/sink.js'
import { createWebhooks, startPair } from './relay.js'
import { withTeardowns } from './teardowns.js'

/** Enough to fill the next batch while one is being stored. */
const CONNECTIONS = 256

export async function measureIn(bench: Bench): Promise<Measurement[]> {
  await bench.load.call('prepare', bench.quick ? 10_000 : 75_000)
  const bare = await withTeardowns(async (t) => {
    const program = startProgram<Bare>(t, 'bare')
    const url = await program.call('listen', await bench.load.call('origin'), [])
    const next = await warmUp(bench, url, { again: true })
    const before = await cpuMs(program.pid)
    const { accepted, perSecond } = await timed(bench, url, { from: next, again: true })
    return { perSecond, cpuMsEach: ((await cpuMs(program.pid)) - before) / accepted }
  })
  return [await accepted(bench, 0, bare), await accepted(bench, 1, bare)]
}

function accepted(
  bench: Bench,
  webhooks: number,
  bare: { perSecond: number; cpuMsEach: number },
): Promise<Measurement> {
  return withTeardowns(async (t) => {
    const storage = await bench.backend.createStorage(t)
    const [port] = await startProgram<Sink>(t, 'sink').call('listen', 1)
    const { api, all } = await startPair(t, storage, await bench.load.call('origin'))
    await createWebhooks(api, webhooks, (index) => ({ url: `http://127.0.0.1:${port}/${index}` }))
    const next = await warmUp(bench, api.url)
    const before = await readCpu(storage, all)
    const { accepted, perSecond } = await timed(bench, api.url, { from: next })
    const cpu = cpuNote(before, await readCpu(storage, all), accepted, bare.cpuMsEach)
    return over(`in, ${webhooks} webhooks`, perSecond, bare.perSecond, 'messages/s', cpu)
  })
}

/** Node needs some seconds to compile hot code. @returns the index of the next message */
async function warmUp({ load, quick }: Bench, url: string, { again = false } = {}): Promise<number> {
  const { next } = await load.call('closedLoop', { url, connections: CONNECTIONS, again, seconds: quick ? 0.5 : 6 })
  return next
}

/** Sends messages as fast as they are answered. */
async function timed({ load, quick }: Bench, url: string, messages: { from: number; again?: boolean }) {
  const seconds = quick ? 2.5 : 6
  const sent = await load.call('closedLoop', { url, connections: CONNECTIONS, ...messages, seconds })
  return { accepted: sent.accepted, perSecond: sent.accepted / sent.seconds }
}
