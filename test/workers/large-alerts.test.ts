/** One alert that holds more than a body may: what it costs itself, and that it costs nobody else. */
import t from 'tap'
import { contextKey } from '../../src/core/alert/context.js'
import type { Database } from '../../src/core/platform/database.js'
import { Refusal } from '../../src/core/platform/errors.js'
import { loadEvents, loadMemories } from '../../src/workers/event-dispatch.js'
import { createTestWorkers, log } from '../helpers/workers.js'

const HELD = 30_000

/** An alert that holds so many values, as that many changes would have left it: more than a mebibyte. */
async function makeHugeAlert(database: Database, id: string): Promise<void> {
  await database.query(
    `insert into alerts (id, sequence, title, severity, first_seen_at, last_seen_at) values ($1, $2, '', '', now(), now())`,
    [id, HELD],
  )
  const values = Array.from({ length: HELD }, (_, i) => ({ path: ['related', 'ip'], value: `${'v'.repeat(40)}-${i}` }))
  await database.query(
    `insert into alert_values (alert_id, sequence, ordinal, key, path, value)
     select $1, n, 1, key, '["related","ip"]', value
     from unnest($2::bytea[], $3::text[]) with ordinality as v (key, value, n)`,
    [id, values.map(contextKey), values.map(({ value }) => JSON.stringify(value))],
  )
  await database.query(
    `insert into alert_sizes select alert_id, count(*), sum(octet_length(value)) from alert_values group by alert_id`,
  )
}

function change(id: string, value: string): string {
  const context = { related: { ip: [value] } }
  return JSON.stringify({
    updated_alert: { id, title: 'T', severity: 'high', context },
    incoming_rule_matches_context: context,
    context_diff: {},
  })
}

interface Body {
  updated_alert: { context: { related?: { ip: string[] } } }
  context_diff: object
  relay: { cut?: boolean; new_values?: number }
}

t.test('an alert beyond the limit is delivered with what was new, beside others that are whole', async (t) => {
  const workers = await createTestWorkers(t)
  await makeHugeAlert(workers.database, 'huge')
  const { receiver: usual } = await workers.addWebhook(() => ({ status: 200 }))
  const { receiver: roomy } = await workers.addWebhook(() => ({ status: 200 }), { max_body_bytes: 8 * 1024 * 1024 })
  const { receiver: filtered } = await workers.addWebhook(() => ({ status: 200 }), {
    filter: { updated_alert: { context: { related: { ip: [`${'v'.repeat(40)}-7`] } } } },
  })
  for (const [id, value] of [
    ['huge', 'new'],
    ['small', 'other'],
  ] as const) {
    const { id: eventId } = await workers.publish(change(id, value))
    await workers.dispatch({ eventId })
  }
  const [large, small] = usual.received.map(({ json }) => json as Body)
  t.match(large, {
    updated_alert: { context: {} },
    context_diff: { related: { ip: ['new'] } },
    relay: { cut: true },
  })
  t.match(small, { updated_alert: { context: { related: { ip: ['other'] } } } })
  t.notOk('cut' in small!.relay)
  const whole = roomy.received[0]!.json as Body
  t.equal(whole.updated_alert.context.related!.ip.length, HELD + 1)
  t.equal(filtered.received.length, 1, 'a filter that looks into the whole context decides by it')
  t.match(filtered.received[0]!.json, { relay: { cut: true } })
})

t.test('an event that cannot be read waits alone, longer each time, and delays no other of its round', async (t) => {
  const workers = await createTestWorkers(t)
  const { receiver } = await workers.addWebhook(() => ({ status: 200 }))
  const ids = ['good-1', 'bad', 'good-2', 'good-3']
  const events = await Promise.all(ids.map((id) => workers.publish(change(id, 'v'))))
  await workers.database.query(`update alert_values set value = 'no JSON' where alert_id = 'bad'`)
  const batches = new Map(events.map(({ id, batchId }) => [batchId, id]))
  await Promise.all([...batches.values()].map((eventId) => workers.dispatch({ eventId })))
  t.same(receiver.received.map(({ id }) => id).sort(), [events[0]!.id, events[2]!.id, events[3]!.id].sort())
  const waiting = async () => {
    const { rows } = await workers.database.query<{ event_id: string; failures: number; wait_s: number }>(
      'select event_id, failures, extract(epoch from not_before - now())::float8 as wait_s from undispatched',
    )
    return rows
  }
  const [first] = await waiting()
  t.match(first, { event_id: events[1]!.id, failures: 1 })
  t.ok(first!.wait_s > 0 && first!.wait_s <= 5)
  await workers.dispatch({ eventId: events[1]!.id })
  t.match(await waiting(), [{ failures: 1 }], 'before its time nothing is tried')

  await workers.database.query('update undispatched set not_before = now()')
  await workers.dispatch({ eventId: events[1]!.id })
  const [second] = await waiting()
  t.equal(second!.failures, 2)
  t.ok(second!.wait_s > 5 && second!.wait_s <= 10)

  await workers.database.query(`update alert_values set value = '"v"' where alert_id = 'bad'`)
  await workers.database.query('update undispatched set not_before = now()')
  await workers.dispatch({ eventId: events[1]!.id })
  t.equal(receiver.received.at(-1)!.id, events[1]!.id)
  t.same(await waiting(), [])
})

t.test('what failed while the database was away says nothing of the event', async (t) => {
  const workers = await createTestWorkers(t)
  await workers.addWebhook(() => ({ status: 200 }))
  const { batchId } = await workers.publish(change('a', 'v'))
  const dispatches = await loadEvents(workers, [{ batchId, size: 1 }])
  /** A database whose first queries find no server. */
  const away = (queries: number): Database => ({
    ...workers.database,
    query: (sql, params) =>
      queries-- > 0
        ? Promise.reject(new Refusal('undecided', 'The database does not answer; try again.'))
        : workers.database.query(sql, params),
  })
  t.match(await loadMemories({ database: away(1), log }, dispatches), [{ memory: { diff: [{ value: 'v' }] } }])
  t.same(await loadMemories({ database: away(2), log }, dispatches), [], 'it fails again while the database answers')
  t.match(await workers.database.query('select failures from undispatched'), { rows: [{ failures: 1 }] })
})

t.test('a delivery whose body cannot be read pays by its own schedule; the others of its queue go on', async (t) => {
  const workers = await createTestWorkers(t)
  // with a limit of its own everything goes through the delivery queue
  const { receiver, webhook } = await workers.addWebhook(() => ({ status: 200 }), { max_in_flight: 1 })
  const [bad, good] = [await workers.publish(change('bad', 'v')), await workers.publish(change('good', 'v'))]
  for (const { id } of [bad, good]) await workers.dispatch({ eventId: id })
  await workers.database.query(`update alert_values set value = 'no JSON' where alert_id = 'bad'`)
  await workers.work(webhook.id)
  t.same(
    receiver.received.map(({ id }) => id),
    [good.id],
  )
  const [delivery] = await workers.deliveriesOf(bad.id)
  t.match(delivery, { status: 'pending', attempt_count: 1 })
})

t.test('after a 413 the next attempt is cut, and then cut to counts', async (t) => {
  const workers = await createTestWorkers(t)
  let limit = 1200
  const { receiver, webhook } = await workers.addWebhook((request) => ({
    status: request.body.length > limit ? 413 : 200,
  }))
  const values = Array.from({ length: 50 }, (_, i) => `198.51.100.${i}`)
  const context = { related: { ip: values } }
  const message = JSON.stringify({
    updated_alert: { id: 'a', title: 'T', severity: 'high', context },
    incoming_rule_matches_context: context,
    context_diff: {},
  })
  const { id: eventId } = await workers.publish(message)
  await workers.dispatch({ eventId })
  t.equal((receiver.received[0]!.json as Body).relay.cut, undefined)
  await workers.makeDue()
  await workers.work(webhook.id)
  t.match(receiver.received[1]!.json, {
    updated_alert: { context: {} },
    context_diff: { related: { ip: values } },
    relay: { cut: true },
  })
  limit = 600
  const { id: second } = await workers.publish(message.replace('"a"', '"b"'))
  await workers.dispatch({ eventId: second })
  for (let i = 0; i < 2; i++) {
    await workers.makeDue()
    await workers.work(webhook.id)
  }
  t.match(receiver.received.at(-1)!.json, { context_diff: {}, relay: { cut: true, new_values: 50 } })
  t.match(await workers.deliveriesOf(second), [{ status: 'succeeded', attempt_count: 3 }])
})

t.test('a 413 to a body that was cut from the start is followed by one of counts', async (t) => {
  const workers = await createTestWorkers(t)
  await makeHugeAlert(workers.database, 'huge')
  const { receiver, webhook } = await workers.addWebhook(({ json }) => ({
    status: Object.keys((json as Body).context_diff).length > 0 ? 413 : 200,
  }))
  const { id: eventId } = await workers.publish(change('huge', 'new'))
  await workers.dispatch({ eventId })
  await workers.makeDue()
  await workers.work(webhook.id)
  t.match(receiver.received[0]!.json, { context_diff: { related: { ip: ['new'] } }, relay: { cut: true } })
  t.match(receiver.received[1]!.json, { context_diff: {}, relay: { cut: true, new_values: 1 } })
  t.match(await workers.deliveriesOf(eventId), [{ status: 'succeeded', attempt_count: 2 }])
})
