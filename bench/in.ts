/**
 * in: signed notifications a second that are answered 200 (stored durably), with 0 and with 1 webhook that they are
 * delivered to meanwhile. Bare loop: a Fastify route that parses and verifies the same messages and stores nothing.
 * Rule matches: as many requests of one match, with 1 webhook, beside the notifications of the same run.
 */
import { cpuMs, cpuNote, readCpu } from './cpu.js'
import { over, type Bench, type Measurement } from './measurement.js'
import { startProgram } from './program.js'
import type { Bare } from './programs/bare.js'
import type { MatchOptions } from './programs/load.js'
import type { Sink } from './programs/sink.js'
import { createWebhooks, KEY, startPair } from './relay.js'
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
  const none = await accepted(bench, 0)
  const one = await accepted(bench, 1)
  const matches = await accepted(bench, 1, { alerts: bench.quick ? 1000 : 7500, apiKey: KEY })
  const noteOf = ({ cpu }: Accepted) => cpuNote(cpu.before, cpu.after, cpu.accepted, bare.cpuMsEach)
  return [
    over('in, 0 webhooks', none.perSecond, bare.perSecond, 'messages/s', noteOf(none)),
    over('in, 1 webhooks', one.perSecond, bare.perSecond, 'messages/s', noteOf(one)),
    over('in, rule matches', matches.perSecond, one.perSecond, 'requests/s', noteOf(matches)),
  ]
}

type Accepted = Awaited<ReturnType<typeof accepted>>

function accepted(bench: Bench, webhooks: number, matches?: MatchOptions) {
  return withTeardowns(async (t) => {
    const storage = await bench.backend.createStorage(t)
    const [port] = await startProgram<Sink>(t, 'sink').call('listen', 1)
    const { api, all } = await startPair(t, storage, await bench.load.call('origin'))
    await createWebhooks(api, webhooks, (index) => ({ url: `http://127.0.0.1:${port}/${index}` }))
    const next = await warmUp(bench, api.url, { matches })
    const before = await readCpu(storage, all)
    const { accepted, perSecond } = await timed(bench, api.url, { from: next, matches })
    return { perSecond, cpu: { before, after: await readCpu(storage, all), accepted } }
  })
}

type Sent = { again?: boolean; matches?: MatchOptions | undefined }

/** Node needs some seconds to compile hot code. @returns the index of the next message */
async function warmUp({ load, quick }: Bench, url: string, sent: Sent): Promise<number> {
  const { next } = await load.call('closedLoop', { url, connections: CONNECTIONS, ...sent, seconds: quick ? 0.5 : 6 })
  return next
}

/** Sends messages as fast as they are answered. */
async function timed({ load, quick }: Bench, url: string, messages: Sent & { from: number }) {
  const seconds = quick ? 2.5 : 6
  const sent = await load.call('closedLoop', { url, connections: CONNECTIONS, ...messages, seconds })
  return { accepted: sent.accepted, perSecond: sent.accepted / sent.seconds }
}
