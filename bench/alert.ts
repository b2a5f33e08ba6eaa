/**
 * alert: the cost of one update of an alert, by the number of values that the alert has.
 *
 * The same update (nine known values and a new one) is accepted for alerts with 10, 1,000 and 100,000 values in turn, so
 * that other load on the machine affects all of them. The bare loop is the alert with 10 values. The cost of making the
 * body, which has all values, is measured, too.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { contextKey } from '../src/core/alert/context.js'
import { loadContent } from '../src/core/delivery/content.js'
import { createAccept } from '../src/core/event/accept.js'
import { listEvents } from '../src/core/event/event-list.js'
import { findEvent } from '../src/core/event/event-store.js'
import { openDatabase, type Database } from '../src/core/platform/database.js'
import { newId } from '../src/core/platform/id.js'
import type { Measurement } from './measurement.js'

const SIZES = [10, 1000, 100_000] as const
const KNOWN_VALUES = 9
const WARM_UP = 30

export async function measureAlert({
  databaseUrl,
  quick,
}: {
  databaseUrl?: string
  quick: boolean
}): Promise<Measurement[]> {
  const dataDir = await mkdtemp(join(tmpdir(), 'alert-relay-bench-'))
  const database = await openDatabase({ databaseUrl, dataDir })
  try {
    for (const size of SIZES) await makeAlert(database, size)
    const updates = await timeUpdates(database, quick ? 150 : 600)
    const bodies = await timeBodies(database, quick ? 5 : 20)
    return [...tabulate('update', updates, database), ...tabulate('body', bodies, database)]
  } finally {
    await database.close()
    await rm(dataDir, { recursive: true, force: true })
  }
}

function tabulate(what: string, times: Map<number, number[]>, { kind }: Database): Measurement[] {
  const bare = median(times.get(SIZES[0])!)
  return SIZES.map((size) => {
    const value = median(times.get(size)!)
    const name = `alert ${what}, ${size.toLocaleString('en')} values held (${kind})`
    return { name, value, bare, ratio: value / bare, unit: `ms/${what}` }
  })
}

const idOf = (size: number) => `bench-${size}`

/** Inserts an alert with so many values, as so many updates would have left it. */
async function makeAlert(database: Database, size: number): Promise<void> {
  const now = new Date()
  await database.query('delete from alerts where id = $1', [idOf(size)])
  await database.query(
    `insert into alerts (id, sequence, title, severity, first_seen_at, last_seen_at) values ($1, $2, '', '', $3, $3)`,
    [idOf(size), size, now],
  )
  for (let start = 0; start < size; start += 10_000) {
    const values = Array.from({ length: Math.min(10_000, size - start) }, (_, i) => ({
      path: ['related', 'ip'],
      value: `v${start + i}`,
    }))
    await database.query(
      `insert into alert_values (alert_id, sequence, ordinal, key, path, value)
       select $1, n, 1, key, $3, value from unnest($2::bytea[], $4::text[]) with ordinality as v (key, value, n)`,
      [idOf(size), values.map(contextKey), '["related","ip"]', values.map(({ value }) => JSON.stringify(value))],
    )
  }
  await database.query('analyze alert_values')
}

async function timeUpdates(database: Database, rounds: number): Promise<Map<number, number[]>> {
  const accept = createAccept({ database, queues: { addDispatches: async () => {} } })
  const times = new Map<number, number[]>(SIZES.map((size) => [size, []]))
  for (let round = -WARM_UP; round < rounds; round++) {
    for (const size of SIZES) {
      const context = { related: { ip: [...Array.from({ length: KNOWN_VALUES }, (_, i) => `v${i}`), `new-${round}`] } }
      const message = JSON.stringify({
        updated_alert: { id: idOf(size), context },
        incoming_rule_matches_context: context,
        context_diff: {},
      })
      const incoming = {
        messageId: newId('evt'),
        topicArn: 'arn:aws:sns:us-east-1:123456789012:t',
        subject: undefined,
        message,
        sentAt: new Date(),
      }
      const started = performance.now()
      await accept(incoming)
      if (round >= 0) times.get(size)!.push(performance.now() - started)
      // so that the alert has the same number of values in every round
      await database.query('delete from alert_values where alert_id = $1 and sequence > $2', [idOf(size), size])
    }
  }
  return times
}

/** Making a body, as a dispatch or a retry does: it has all values of the alert. */
async function timeBodies(database: Database, rounds: number): Promise<Map<number, number[]>> {
  const times = new Map<number, number[]>(SIZES.map((size) => [size, []]))
  for (let round = -1; round < rounds; round++) {
    for (const size of SIZES) {
      const { data } = await listEvents(database, { alert_id: idOf(size) }, { limit: 1 })
      const event = await findEvent(database, data[0]!.id)
      const started = performance.now()
      await loadContent(database, event!)
      if (round >= 0) times.get(size)!.push(performance.now() - started)
    }
  }
  return times
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!
}
