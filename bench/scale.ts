/**
 * scale: two workers over one (out x 10), and what the database is asked for per event, so that another machine can be
 * calculated: transactions, rows written, rows fetched and bytes of WAL, for an event taken over POST /sns and for the
 * dispatch of one to 10 webhooks.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { askPostgres, type Place } from './backend.js'
import { drain, eventsIn } from './drain.js'
import { alone, over, type Bench, type Measurement } from './measurement.js'
import { startRelay } from './relay.js'
import { withTeardowns } from './teardowns.js'

/** A connection of PostgreSQL tells its counters when it ends; idle, after ten seconds. */
const STATISTICS_DELAY_MS = 500
const CONNECTIONS = 64

export async function measureScale(bench: Bench): Promise<Measurement[]> {
  if (bench.backend.kind === 'embedded') return []
  const size = { events: bench.quick ? 500 : 2000, webhooks: 10 }
  const costs: Costs[] = []
  const note = async (place: Place) => void costs.push(await readCosts(place))
  const one = await drain(bench, { ...size, ready: note, after: note })
  const two = await drain(bench, { ...size, workers: 2 })
  return [
    over('scale, two workers', two.perSecond, one.perSecond, 'deliveries/s', 'over one, out x 10'),
    ...perEvent('a dispatch to 10 webhooks', costs, eventsIn(size.events)),
    ...(await intakeCosts(bench, bench.quick ? 1500 : 5000)),
  ]
}

function intakeCosts(bench: Bench, count: number): Promise<Measurement[]> {
  return withTeardowns(async (t) => {
    await bench.load.call('prepare', count)
    const place = await bench.backend.fresh(t)
    const role = { role: 'api', emulator: await bench.load.call('origin') } as const
    await (await startRelay(t, place, { ...role, measured: false })).stop()
    const before = await readCosts(place)
    const api = await startRelay(t, place, role)
    await bench.load.call('blast', { url: api.url, connections: CONNECTIONS, count })
    await api.stop()
    return perEvent('an event taken', [before, await readCosts(place)], count)
  })
}

type Costs = Record<keyof typeof UNITS, number>

const UNITS = {
  transactions: 'transactions/event',
  written: 'rows written/event',
  fetched: 'rows fetched/event',
  wal: 'WAL bytes/event',
}

async function readCosts({ databaseUrl }: Place): Promise<Costs> {
  await sleep(STATISTICS_DELAY_MS)
  const [row] = await askPostgres<Record<keyof Costs, string>>(
    databaseUrl!,
    `select xact_commit as transactions, tup_inserted + tup_updated + tup_deleted as written, tup_fetched as fetched,
       pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') as wal
     from pg_stat_database where datname = current_database()`,
  )
  return {
    transactions: Number(row!.transactions),
    written: Number(row!.written),
    fetched: Number(row!.fetched),
    wal: Number(row!.wal),
  }
}

function perEvent(what: string, [before, after]: Costs[], events: number): Measurement[] {
  const units = Object.entries(UNITS) as [keyof Costs, string][]
  return units.map(([key, unit]) => alone(`scale, ${what}, ${key}`, (after![key] - before![key]) / events, unit))
}
