/**
 * neighbours: what one huge alert costs the others. The value is the p99 from POST /sns to arrival of one-value alerts while
 * an alert that holds 300,000 values is updated as often, the bare loop the same p99 without these updates.
 *
 * What did not arrive counts as late as the measurement waited for it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { contextKey } from '../src/core/alert/context.js'
import { openDatabase } from '../src/core/platform/database.js'
import type { Storage } from './backend.js'
import { over, type Bench, type Measurement } from './measurement.js'
import { nowMs, startProgram, type Program } from './program.js'
import type { Sink } from './programs/sink.js'
import { createWebhooks, startPair } from './relay.js'
import { percentile } from './statistics.js'
import { withTeardowns } from './teardowns.js'

const HELD_VALUES = { full: 300_000, quick: 100_000 }
const UPDATES = 100
const WARM_UP = 40
const WAIT_MS = 60_000
const POLL_MS = 50
const HUGE_ALERT = 'huge'

export function measureNeighbours(bench: Bench): Promise<Measurement[]> {
  const rate = bench.backend.kind === 'server' ? 20 : 5
  const held = bench.quick ? HELD_VALUES.quick : HELD_VALUES.full
  return withTeardowns(async (t) => {
    const storage = await bench.backend.createStorage(t)
    await makeHugeAlert(storage, held)
    const sink = startProgram<Sink>(t, 'sink')
    const [port] = await sink.call('listen', 1)
    const { api } = await startPair(t, storage, await bench.load.call('origin'))
    await createWebhooks(api, 1, () => ({ url: `http://127.0.0.1:${port}/` }))
    const flow = { url: api.url, rate }
    await latenciesOfOthers(bench, sink, { ...flow, count: WARM_UP })
    const alone = await latenciesOfOthers(bench, sink, { ...flow, count: UPDATES })
    const mixed = await latenciesOfOthers(bench, sink, { ...flow, count: UPDATES, hugeAlert: HUGE_ALERT })
    const note =
      `${UPDATES} alerts of one value at ${rate}/s, with and without ${UPDATES} updates of an alert of ` +
      `${held.toLocaleString('en')} values; ${mixed.missing} had not come after ${WAIT_MS / 1000} s more`
    return [over('neighbours, p99', percentile(mixed.latencies, 0.99), percentile(alone.latencies, 0.99), 'ms', note)]
  })
}

async function latenciesOfOthers(
  { load }: Bench,
  sink: Program<Sink>,
  flow: { url: string; rate: number; count: number; hugeAlert?: string },
): Promise<{ latencies: number[]; missing: number }> {
  await sink.call('record')
  const { eventIds, atMs } = await load.call('alerts', flow)
  const arrivedAt = new Map<string, number>()
  for (const deadline = nowMs() + WAIT_MS; nowMs() < deadline; await sleep(POLL_MS)) {
    const arrivals = await sink.call('recorded')
    arrivals.eventIds.forEach((id, index) => {
      if (!arrivedAt.has(id)) arrivedAt.set(id, arrivals.atMs[index]!)
    })
    if (eventIds.every((id) => arrivedAt.has(id))) break
  }
  const endMs = nowMs()
  const latencies = eventIds.map((id, index) => (arrivedAt.get(id) ?? endMs) - atMs[index]!)
  return { latencies, missing: eventIds.filter((id) => !arrivedAt.has(id)).length }
}

/** An alert that holds so many values, as that many updates would have left it. */
async function makeHugeAlert({ dataDir, databaseUrl }: Storage, held: number): Promise<void> {
  const database = await openDatabase({ databaseUrl, dataDir })
  try {
    await database.query(
      `insert into alerts (id, sequence, title, severity, first_seen_at, last_seen_at) values ($1, $2, '', '', now(), now())`,
      [HUGE_ALERT, held],
    )
    for (let start = 0; start < held; start += 10_000) {
      const values = Array.from({ length: Math.min(10_000, held - start) }, (_, i) => ({
        path: ['related', 'ip'],
        value: `value-${start + i}`,
      }))
      await database.query(
        `insert into alert_values (alert_id, sequence, ordinal, key, path, value)
         select $1, $2 + n, 1, key, '["related","ip"]', value
         from unnest($3::bytea[], $4::text[]) with ordinality as v (key, value, n)`,
        [HUGE_ALERT, start, values.map(contextKey), values.map(({ value }) => JSON.stringify(value))],
      )
    }
    await database.query(
      `insert into alert_sizes select alert_id, count(*), sum(octet_length(value)) from alert_values group by alert_id`,
    )
    await database.query('analyze alert_values')
  } finally {
    await database.close()
  }
}
