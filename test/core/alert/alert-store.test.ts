/** The memory of alerts: what is read of it, and what its size is. */
import t from 'tap'
import { recallContext, recallContexts } from '../../../src/core/alert/alert-store.js'
import { createAccept } from '../../../src/core/event/accept.js'
import type { Database, Queryable } from '../../../src/core/platform/database.js'
import { newId } from '../../../src/core/platform/id.js'
import { borrowTestDatabase } from '../../helpers/backends.js'

/** Accepts changes of alerts, each with these values of `related.ip`. */
async function acceptChanges(database: Database, changes: readonly (readonly [alertId: string, values: string[]])[]) {
  const accept = createAccept({ database, queues: { addDispatches: async () => {} } })
  const events = []
  for (const [id, values] of changes) {
    const context = { related: { ip: values } }
    const message = JSON.stringify({
      updated_alert: { id, context },
      incoming_rule_matches_context: context,
      context_diff: {},
    })
    const { event } = await accept({
      messageId: newId('evt'),
      topicArn: 'arn:aws:sns:us-east-1:123456789012:t',
      subject: undefined,
      message,
      sentAt: new Date(),
    })
    events.push(event)
  }
  return events
}

function counted(database: Queryable): Queryable & { queries: number } {
  const counting = {
    queries: 0,
    query<Row>(sql: string, params?: readonly unknown[]) {
      counting.queries++
      return database.query<Row>(sql, params)
    },
  }
  return counting
}

t.test('many changes of some alerts are read by one query, each as of its own change', async (t) => {
  const database = await borrowTestDatabase(t)
  const changes = [
    ['a', ['1']],
    ['b', ['x']],
    ['a', ['1', '2']],
    ['a', ['2']],
    ['a', ['3', '4']],
  ] as const
  const events = await acceptChanges(
    database,
    changes.map(([id, values]) => [id, [...values]]),
  )
  const refs = events.map(({ alertId, sequence }) => ({ alertId: alertId!, sequence: sequence! }))
  const db = counted(database)
  const memories = await recallContexts(db, refs)
  t.equal(db.queries, 1)
  const valuesOf = (held: readonly { value: unknown }[] | undefined) => held?.map(({ value }) => value)
  t.same(
    memories.map(({ accumulated, diff }) => [valuesOf(accumulated), valuesOf(diff)]),
    [
      [['1'], ['1']],
      [['x'], ['x']],
      [['1', '2'], ['2']],
      [['1', '2'], []],
      [
        ['1', '2', '3', '4'],
        ['3', '4'],
      ],
    ],
  )
  const [last] = await recallContexts(database, [{ ...refs[4]!, earlier: [1n] }])
  t.same(valuesOf(last!.diff), ['1', '3', '4'], 'with the news of an earlier change')
})

t.test('of a change that is not wanted as a whole the diff alone is read', async (t) => {
  const database = await borrowTestDatabase(t)
  await acceptChanges(database, [
    ['a', ['1', '2']],
    ['a', ['2', '3']],
  ])
  const memory = await recallContext(database, { alertId: 'a', sequence: 2n, whole: false })
  t.equal(memory.accumulated, undefined)
  t.same(
    memory.diff.map(({ value }) => value),
    ['3'],
  )
  const both = await recallContext(database, { alertId: 'a', sequence: 2n, earlier: [1n], whole: false })
  t.same(
    both.diff.map(({ value }) => value),
    ['1', '2', '3'],
  )
})

t.test('an alert knows how many values and bytes it holds, and an event how many it held then', async (t) => {
  const database = await borrowTestDatabase(t)
  const events = await acceptChanges(database, [
    ['a', ['1', '22']],
    ['b', ['4444']],
    ['a', ['1']],
    ['a', ['1', '333']],
  ])
  // each value is a JSON string: two bytes of quotes
  const expected = [7, 6, 7, 12]
  t.same(
    events.map(({ heldBytes }) => heldBytes),
    expected,
  )
  const { rows: stored } = await database.query<{ held_bytes: bigint }>('select held_bytes from events order by id')
  t.same(
    stored.map(({ held_bytes: bytes }) => Number(bytes)),
    expected,
  )
  const { rows } = await database.query(
    'select alert_id, value_count::int, value_bytes::int from alert_sizes order by alert_id',
  )
  t.same(rows, [
    { alert_id: 'a', value_count: 3, value_bytes: 12 },
    { alert_id: 'b', value_count: 1, value_bytes: 6 },
  ])
})
