/**
 * peers: what alert-relay and other webhook senders do with the same load and the same receiver, each by its public API: see
 * `peers/`. Those whose addresses are set are measured one after the other; without any, only alert-relay and the bare loop
 * are. Bare loop: the load posts to the receiver itself.
 *
 * accept: messages a second that are answered, with one receiver that answers at once. out: deliveries a second from the first
 * post to the last arrival of the same, and with ten receivers. drain: the deliveries of a backlog a second, by receivers that
 * take their time. steady: from post to arrival. The load's and the receiver's own CPU time are those of the steady flow.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { cpuMs } from './cpu.js'
import { alone, over, type Bench, type Measurement } from './measurement.js'
import { configuredPeers } from './peers/configured.js'
import { alertRelay, bare } from './peers/own.js'
import type { Prepared, Target } from './peers/target.js'
import { startProgram, type Program } from './program.js'
import type { Flooded, Publisher } from './programs/publisher.js'
import type { Sink } from './programs/sink.js'
import { percentile } from './statistics.js'
import { withTeardowns } from './teardowns.js'

/** The name under which the peers reach 127.0.0.1: some refuse the address. */
const RECEIVER_HOST = process.env.PEER_RECEIVER_HOST ?? '127.0.0.1'
const RECEIVERS = 10
const CONNECTIONS = 128
/** Of a load whose answers come from receivers that take their time. */
const CONNECTIONS_OF_LATE_ANSWERS = 2048
const STEADY_RATE = 200
/** How long what waits may take to arrive. */
const DRAIN_LIMIT_MS = 10_000
/** A backlog is a tenth of what was accepted, or more: less says nothing of how fast it drains. */
const BACKLOG_SHARE = 0.1
const POLL_MS = 20
const QUIET_MS = 1000

interface Line {
  name: string
  unit: string
  value: number
  note: string
}

interface Stage {
  target: Target
  sink: Program<Sink>
  publisher: Program<Publisher>
  ports: readonly number[]
  quick: boolean
}

export async function measurePeers(bench: Bench): Promise<Measurement[]> {
  const { peers, left } = configuredPeers(process.env)
  for (const line of left) process.stderr.write(`${line}\n`)
  const columns = new Map<string, Line[]>()
  const starts = [
    async () => bare,
    (t: Bench) => alertRelay(t, bench.backend),
    ...peers.map((peer) => async () => peer),
  ]
  for (const start of starts) {
    await withTeardowns(async (t) => {
      const target = await start({ ...bench, ...t })
      try {
        columns.set(target.name, await measureTarget(t, target, bench.quick))
      } catch (error) {
        process.stderr.write(`${target.name} is left out: ${String(error)}\n`)
      } finally {
        await target.close()
      }
    })
  }
  printTable(columns)
  const floor = new Map(columns.get(bare.name)?.map(({ name, value }) => [name, value]))
  return [...columns].flatMap(([target, lines]) =>
    lines.map(({ name, unit, value, note }) => {
      const bareValue = target === bare.name ? undefined : floor.get(name)
      const title = `peers, ${target}, ${name}`
      return bareValue === undefined ? alone(title, value, unit, note) : over(title, value, bareValue, unit, note)
    }),
  )
}

/** One line a figure, one column a target. */
function printTable(columns: ReadonlyMap<string, readonly Line[]>): void {
  const table: Record<string, Record<string, string>> = {}
  for (const [target, lines] of columns) {
    for (const { name, unit, value } of lines) {
      const digits = value < 100 ? 2 : 0
      table[`${name} (${unit})`] = { ...table[`${name} (${unit})`], [target]: value.toFixed(digits) }
    }
  }
  console.table(table)
}

async function measureTarget(t: Parameters<typeof startProgram>[0], target: Target, quick: boolean): Promise<Line[]> {
  const sink = startProgram<Sink>(t, 'sink')
  const publisher = startProgram<Publisher>(t, 'publisher')
  const stage: Stage = { target, sink, publisher, ports: await sink.call('listen', RECEIVERS), quick }
  // compilers and caches are warm afterwards
  await flood(stage, { receivers: 1, delayMs: 0 })
  const one = await flood(stage, { receivers: 1, delayMs: 0 })
  const ten = await flood(stage, { receivers: RECEIVERS, delayMs: 0 })
  const lines: Line[] = [
    { name: 'accept', unit: 'messages/s', value: one.accepted, note: one.note },
    { name: 'out x 1', unit: 'deliveries/s', value: one.delivered, note: one.note },
    { name: `out x ${RECEIVERS}`, unit: 'deliveries/s', value: ten.delivered, note: ten.note },
  ]
  for (const receivers of [1, RECEIVERS]) {
    for (const delayMs of quick ? [200] : [200, 400]) {
      const { drained, note } = await flood(stage, { receivers, delayMs })
      lines.push({ name: `drain to ${receivers} of ${delayMs} ms`, unit: 'deliveries/s', value: drained, note })
    }
  }
  return [...lines, ...(await steady(stage))]
}

let runs = 0

/** Prepares the target for so many receivers, with a mark of its own, and leaves nothing behind. */
async function inRun<T>(
  { target, sink, ports }: Stage,
  { receivers, delayMs }: { receivers: number; delayMs: number },
  work: (prepared: Prepared, mark: string) => Promise<T>,
): Promise<T> {
  const mark = `run-${process.pid}-${++runs}-`
  await sink.call('configure', { delayMs })
  await sink.call('follow', mark)
  const urls = ports.slice(0, receivers).map((port) => `http://${RECEIVER_HOST}:${port}/${runs}`)
  const prepared = await target.prepare(urls)
  try {
    return await work(prepared, mark)
  } finally {
    await prepared.remove()
    await sink.call('configure', {})
    await untilQuiet(sink)
  }
}

/** As many messages as the target takes, and then until all have arrived, or the time is over. */
function flood(stage: Stage, run: { receivers: number; delayMs: number }) {
  const { sink, publisher, quick } = stage
  return inRun(stage, run, async ({ publishing }, mark) => {
    const late = publishing.answersLate === true
    const sent = await publisher.call('flood', {
      publishing,
      mark,
      connections: late && run.delayMs > 0 ? CONNECTIONS_OF_LATE_ANSWERS : CONNECTIONS,
      seconds: quick ? 2 : 5,
    })
    const atEnd = await sink.call('followed')
    const expected = sent.accepted * (late ? 1 : run.receivers)
    const last = await untilArrived(sink, expected)
    return ratesOf({ sent, atEnd: atEnd.count, expected, last })
  })
}

function ratesOf({
  sent,
  atEnd,
  expected,
  last,
}: {
  sent: Flooded
  atEnd: number
  expected: number
  last: { count: number; lastMs: number }
}) {
  const delivered = perSecond(last.count, last.lastMs - sent.startedMs)
  const hasBacklog = expected - atEnd >= expected * BACKLOG_SHARE
  const missing = expected - last.count
  return {
    accepted: perSecond(sent.accepted, sent.endedMs - sent.startedMs),
    delivered,
    drained: hasBacklog ? perSecond(last.count - atEnd, last.lastMs - sent.endedMs) : delivered,
    note: [
      `${sent.accepted} messages`,
      sent.refused > 0 ? `${sent.refused} refused at first` : '',
      hasBacklog ? '' : 'no backlog: as fast as accepted',
      missing > 0 ? `${missing} had not arrived after ${DRAIN_LIMIT_MS / 1000} s` : '',
      missing < 0 ? `${-missing} arrived twice` : '',
    ]
      .filter((part) => part !== '')
      .join('; '),
  }
}

function perSecond(count: number, ms: number): number {
  return ms > 0 ? (count / ms) * 1000 : 0
}

function steady(stage: Stage): Promise<Line[]> {
  const { sink, publisher, quick } = stage
  return inRun(stage, { receivers: 1, delayMs: 0 }, async ({ publishing }, mark) => {
    const count = STEADY_RATE * (quick ? 4 : 15)
    const before = await Promise.all([cpuMs(publisher.pid), cpuMs(sink.pid)])
    const sentAt = await publisher.call('steady', { publishing, mark, rate: STEADY_RATE, count })
    await untilArrived(sink, count)
    const after = await Promise.all([cpuMs(publisher.pid), cpuMs(sink.pid)])
    const { numbers, atMs } = await sink.call('marked')
    const latencies = numbers.map((number, index) => atMs[index]! - sentAt[number]!)
    const note = `${STEADY_RATE} messages/s, ${latencies.length} arrived of ${count}`
    const each = (index: 0 | 1) => (after[index] - before[index]) / count
    return [
      { name: 'steady p50', unit: 'ms', value: percentile(latencies, 0.5), note },
      { name: 'steady p99', unit: 'ms', value: percentile(latencies, 0.99), note },
      { name: 'CPU of the load', unit: 'ms/message', value: each(0), note },
      { name: 'CPU of the receiver', unit: 'ms/message', value: each(1), note },
    ]
  })
}

/** Until so many requests have arrived, or the time is over. */
async function untilArrived(sink: Program<Sink>, count: number) {
  const deadline = performance.now() + DRAIN_LIMIT_MS
  for (;;) {
    const followed = await sink.call('followed')
    if (followed.count >= count || performance.now() > deadline) return followed
    await sleep(POLL_MS)
  }
}

/** Until nothing has arrived for a second. */
async function untilQuiet(sink: Program<Sink>): Promise<void> {
  let count = -1
  for (const deadline = performance.now() + DRAIN_LIMIT_MS; performance.now() < deadline; await sleep(QUIET_MS)) {
    const now = (await sink.call('followed')).count
    if (now === count) return
    count = now
  }
}
