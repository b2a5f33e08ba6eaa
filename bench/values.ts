/**
 * values: how long it takes to say which alerts hold a value, of ten million that are held: an ordinary value, in two alerts, and
 * one in ten thousand of them. The bare loop is a `select 1` on the same connections.
 */
import { listAlerts } from '../src/core/alert/alert-list.js'
import { findSightings, reportValue, wantedValue } from '../src/core/event/sightings.js'
import { openDatabase, type Database } from '../src/core/platform/database.js'
import { over, type Bench, type Measurement } from './measurement.js'
import { percentile } from './statistics.js'
import { withTeardowns } from './teardowns.js'

const OF_ALERT = 10
/** Alerts that one statement makes. */
const CHUNK = 5_000
const POPULAR = 'popular'
const POPULAR_IN = 10_000
const ROUNDS = 200

export function measureValues(bench: Bench): Promise<Measurement[]> {
  const values = bench.backend.kind === 'embedded' ? 200_000 : bench.quick ? 500_000 : 10_000_000
  return withTeardowns(async (t) => {
    const { databaseUrl, dataDir } = await bench.backend.createStorage(t)
    const database = await openDatabase({ databaseUrl, dataDir })
    t.teardown(() => database.close())
    await fill(database, values / OF_ALERT)
    const bare = await median(ROUNDS, () => database.query('select 1'))
    const ordinary = (i: number) => wantedValue(`value-${(i * 7919) % (values / 2)}`, undefined)
    const popular = wantedValue(POPULAR, undefined)
    const note = `${values.toLocaleString('en')} values held`
    const search = async (wanted: typeof popular) => {
      const { data } = await listAlerts(database, { value: wanted }, { limit: 50 })
      await findSightings(
        database,
        data.map(({ id }) => id),
        wanted,
      )
    }
    const line = async (name: string, rounds: number, work: (i: number) => Promise<unknown>) =>
      over(`values, ${name}`, await median(rounds, work), bare, 'ms', note)
    return [
      await line('alerts with an ordinary value', ROUNDS, (i) => search(ordinary(i))),
      await line('report of an ordinary value', ROUNDS, (i) => reportValue(database, ordinary(i))),
      await line(`alerts with a value of ${POPULAR_IN}`, ROUNDS / 10, () => search(popular)),
      await line(`report of a value of ${POPULAR_IN}`, ROUNDS / 10, () => reportValue(database, popular)),
    ]
  })
}

/** The key that alert/value-key.ts makes of a text that is of no kind. */
const keyOf = (text: string) =>
  `('x' || encode(substr(sha256(convert_to('other' || chr(10) || to_json((${text})::text), 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint`

/** Alerts of one event with ten values, each of which another alert has too. */
async function fill(database: Database, alerts: number): Promise<void> {
  const half = (alerts * OF_ALERT) / 2
  for (let from = 0; from < alerts; from += CHUNK) {
    const range = [from, Math.min(from + CHUNK, alerts) - 1]
    const at = `'2026-01-01'::timestamptz + n * interval '1 second'`
    await database.query(
      `insert into alerts (id, sequence, title, severity, first_seen_at, last_seen_at)
       select 'alert-' || n, 1, 'title', 'low', ${at}, ${at} from generate_series($1::int, $2::int) n`,
      range,
    )
    await database.query(
      `insert into events (id, type, alert_id, sequence, payload, sent_at, received_at, batch_id)
       select 'evt-' || n, 'alert.created', 'alert-' || n, 1,
         '{"updated_alert":{},"incoming_rule_matches_context":{"note":["value-' || n * ${OF_ALERT} % ${half} || '"]}}', ${at}, ${at}, 'b'
       from generate_series($1::int, $2::int) n`,
      range,
    )
    await database.query(
      `insert into alert_values (alert_id, key, sequence, ordinal, path, value, value_key)
       select 'alert-' || n, int4send(i), 1, i, '["note"]', to_json(text), ${keyOf('text')}
       from generate_series($1::int, $2::int) n cross join generate_series(0, ${OF_ALERT - 1}) i cross join lateral (
         select case when i = 9 and n < ${POPULAR_IN} then '${POPULAR}'
           else 'value-' || (n * ${OF_ALERT} + i) % ${half} end as text) v`,
      range,
    )
  }
  await database.query('analyze alert_values')
  await database.query('analyze events')
  await database.query('analyze alerts')
}

async function median(rounds: number, work: (i: number) => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < rounds; i++) {
    const started = performance.now()
    await work(i)
    times.push(performance.now() - started)
  }
  return percentile(times, 0.5)
}
