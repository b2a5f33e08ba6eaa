/**
 * scale: the rate of two workers divided by that of one (out x 10); and the work of the database per event, from which the
 * capacity of another machine can be estimated: transactions, rows written, rows fetched and bytes of WAL, for an event
 * accepted over POST /sns and for the dispatch of one to 10 webhooks.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { askPostgres, type Storage } from './backend.js'
import { drain, eventsIn } from './drain.js'
import { alone, over, type Bench, type Measurement } from './measurement.js'
import { startRelay } from './relay.js'
import { withTeardowns } from './teardowns.js'

/** A PostgreSQL connection reports its counters when it ends, or after ten idle seconds. */
const STATISTICS_DELAY_MS = 500
const CONNECTIONS = 64

export async function measureScale(bench: Bench): Promise<Measurement[]> {
  if (bench.backend.kind === 'embedded') return []
  const size = { events: bench.quick ? 500 : 2000, webhooks: 10 }
  const costs: Costs[] = []
  const note = async (storage: Storage) => void costs.push(await readCosts(storage))
  const one = await drain(bench, { ...size, ready: note, after: note })
  const two = await drain(bench, { ...size, workers: 2 })
  return [
    over('scale, two workers', two.perSecond, one.perSecond, 'deliveries/s', 'divided by one, out x 10'),
    ...perEvent('a dispatch to 10 webhooks', costs, eventsIn(size.events)),
    ...(await intakeCosts(bench, bench.quick ? 1500 : 5000)),
  ]
}

function intakeCosts(bench: Bench, count: number): Promise<Measurement[]> {
  return withTeardowns(async (t) => {
    await bench.load.call('prepare', count)
    const storage = await bench.backend.createStorage(t)
    const role = { role: 'api', emulator: await bench.load.call('origin') } as const
    await (await startRelay(t, storage, { ...role, measured: false })).stop()
    const before = await readCosts(storage)
    const api = await startRelay(t, storage, role)
    await bench.load.call('closedLoop', { url: api.url, connections: CONNECTIONS, count })
    await api.stop()
    return perEvent('an event accepted', [before, await readCosts(storage)], count)
  })
}

type Costs = Record<keyof typeof UNITS, number>

const UNITS = {
  transactions: 'transactions/event',
  written: 'rows written/event',
  fetched: 'rows fetched/event',
  wal: 'WAL bytes/event',
}

async function readCosts({ databaseUrl }: Storage): Promise<Costs> {
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
