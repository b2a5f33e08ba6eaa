/** The bodies of webhooks with `once`: each value is sent with one event. */
import t from 'tap'
import { stringifyJson, type JsonObject } from '../../../src/core/platform/json.js'
import type { ReceivedRequest } from '../../helpers/receiver.js'
import { createTestWorkers } from '../../helpers/workers.js'

const once = { paths: ['file.hash.*', 'related.ip'], within: '30d' }

function change(alertId: string, context: JsonObject): string {
  return stringifyJson({
    updated_alert: { id: alertId, context },
    incoming_rule_matches_context: context,
    context_diff: {},
  })
}

const indicatorsOf = ({ json }: ReceivedRequest) =>
  (json as { indicators: { path: string; value: unknown }[] }).indicators

t.test('a webhook with once is sent a value once over all alerts, and only events with a new one', async (t) => {
  const { publish, addWebhook, dispatch, deliveriesOf } = await createTestWorkers(t)
  const { receiver } = await addWebhook(() => ({ status: 200 }), { once })
  const plain = await addWebhook(() => ({ status: 200 }))
  const messages = [
    change('a', { file: { hash: { sha256: ['h1'] } }, user: { name: ['u'] } }),
    change('b', { file: { hash: { sha256: ['h1'] } } }),
    change('b', { file: { hash: { sha256: ['h1', 'h2'], md5: ['h3'] } } }),
    change('b', { file: { hash: { sha512: ['h3'] } } }),
    change('c', { user: { name: ['new'] } }),
    'no alert at all',
  ]
  const events = []
  for (const message of messages) {
    const event = await publish(message)
    await dispatch({ eventId: event.id })
    events.push(event)
  }
  t.same(
    receiver.received.map(({ id }) => id),
    [events[0]!.id, events[2]!.id],
  )
  t.same(receiver.received.map(indicatorsOf), [
    [{ path: 'file.hash.sha256', value: 'h1' }],
    [
      { path: 'file.hash.md5', value: 'h3' },
      { path: 'file.hash.sha256', value: 'h2' },
    ],
  ])
  t.equal((await deliveriesOf(events[1]!.id)).length, 1, 'only the webhook without once has a delivery of it')
  t.equal(plain.receiver.received.length, 6)
  t.notOk('indicators' in (plain.receiver.received[0]!.json as object))
})

t.test('events with the same values that are dispatched at once are one delivery', async (t) => {
  const { publish, addWebhook, dispatch } = await createTestWorkers(t)
  const { receiver } = await addWebhook(() => ({ status: 200 }), { once })
  const values = Array.from({ length: 30 }, (_, i) => `h${i}`)
  const events: { id: string }[] = []
  // One after the other, so that each is a batch of its own.
  for (let i = 0; i < 10; i++) {
    const sha256 = i % 2 ? values : [...values].reverse()
    events.push(await publish(change(`alert-${i}`, { file: { hash: { sha256 } } })))
  }
  await Promise.all(events.map(({ id }) => dispatch({ eventId: id })))
  const sent = receiver.received.flatMap(indicatorsOf).map(({ value }) => value)
  t.same([...sent].sort(), [...values].sort(), 'every value once')
  t.equal(receiver.received.length, 1)
})

t.test('1,000 changes in 50 alerts: a file hash is sent once', async (t) => {
  const { publish, addWebhook, dispatch } = await createTestWorkers(t)
  const { receiver } = await addWebhook(() => ({ status: 200 }), { once: { paths: 'indicators' } })
  for (let i = 0; i < 1000; i++) {
    const { id } = await publish(
      change(`alert-${i % 50}`, { file: { hash: { sha256: ['the one'] } }, source: { port: [i] } }),
    )
    await dispatch({ eventId: id })
  }
  t.equal(receiver.received.length, 1)
  t.same(indicatorsOf(receiver.received[0]!), [{ path: 'file.hash.sha256', value: 'the one' }])
})

t.test('a retry and a repeated dispatch have the same values', async (t) => {
  const { publish, addWebhook, dispatch, work, makeDue, database } = await createTestWorkers(t)
  const { receiver, webhook } = await addWebhook((_request, count) => ({ status: count === 2 ? 500 : 200 }), { once })
  const { id } = await publish(change('a', { file: { hash: { sha256: ['h1'] } } }))
  await dispatch({ eventId: id })
  await database.query('delete from deliveries')
  await database.query(
    `insert into undispatched (batch_id, event_id, received_at) select batch_id, id, received_at from events`,
  )
  await dispatch({ eventId: id })
  await makeDue()
  await work(webhook.id)
  t.equal(receiver.received.length, 3)
  t.equal(new Set(receiver.received.map(({ body }) => body)).size, 1)
})

t.test('the values of a delivery that is dead are free again', async (t) => {
  const { publish, addWebhook, dispatch, work, makeDue, deliveriesOf } = await createTestWorkers(t)
  const { receiver, webhook } = await addWebhook(() => ({ status: 500 }), { once })
  const first = await publish(change('a', { related: { ip: ['8.8.8.8'] } }))
  await dispatch({ eventId: first.id })
  const second = await publish(change('b', { related: { ip: ['8.8.8.8'] } }))
  await dispatch({ eventId: second.id })
  t.equal(receiver.received.length, 1, 'the value is claimed by the first')
  for (let tries = 1; tries < 10; tries++) {
    await makeDue()
    await work(webhook.id)
  }
  t.match(await deliveriesOf(first.id), [{ status: 'dead' }])
  receiver.respond = () => ({ status: 200 })
  const third = await publish(change('c', { related: { ip: ['8.8.8.8'] } }))
  await dispatch({ eventId: third.id })
  await makeDue()
  await work(webhook.id)
  t.equal(receiver.received.at(-1)!.id, third.id)
})

t.test('the values of a first attempt that is dead are free again too', async (t) => {
  const { publish, addWebhook, dispatch, database } = await createTestWorkers(t)
  await addWebhook(() => ({ status: 410 }), { once })
  await dispatch({ eventId: (await publish(change('a', { related: { ip: ['8.8.8.8'] } }))).id })
  t.equal((await database.query('select 1 from indicators')).rowCount, 0)
})

t.test('a value is sent again after `within`, and never without it', async (t) => {
  const { publish, addWebhook, dispatch, database } = await createTestWorkers(t)
  const timed = await addWebhook(() => ({ status: 200 }), { once })
  const forever = await addWebhook(() => ({ status: 200 }), { once: { paths: once.paths } })
  const send = async () => dispatch({ eventId: (await publish(change('a', { related: { ip: ['8.8.8.8'] } }))).id })
  await send()
  await database.query(`update indicators set sent_at = sent_at - interval '29 days'`)
  await send()
  t.equal(timed.receiver.received.length, 1)
  await database.query(`update indicators set sent_at = sent_at - interval '2 days'`)
  await send()
  t.equal(timed.receiver.received.length, 2)
  t.equal(forever.receiver.received.length, 1)
})

t.test('a value is sent once over all events, whatever its path and its spelling there', async (t) => {
  const { publish, addWebhook, dispatch } = await createTestWorkers(t)
  const { receiver } = await addWebhook(() => ({ status: 200 }), { once: { paths: 'indicators' } })
  const contexts: JsonObject[] = [
    { url: { domain: ['Evil.example'] }, related: { hosts: ['evil.example'] } },
    { dns: { question: { name: ['evil.example.'] } } },
    { source: { ip: ['2001:DB8::1'] } },
    { related: { ip: ['2001:db8:0::1'] } },
    { url: { full: ['HTTP://evil.example:80/%7ea'] } },
    { threat: { indicator: { url: { original: ['http://evil.example/~a'] } } } },
  ]
  for (const context of contexts) {
    await dispatch({ eventId: (await publish(change('a', context))).id })
  }
  t.same(receiver.received.map(indicatorsOf), [
    [{ path: 'url.domain', value: 'Evil.example' }],
    [{ path: 'source.ip', value: '2001:DB8::1' }],
    [{ path: 'url.full', value: 'HTTP://evil.example:80/%7ea' }],
  ])
})

t.test('a value that is sent again after `within` is shown as the later event has it', async (t) => {
  const { publish, addWebhook, dispatch, database } = await createTestWorkers(t)
  const { receiver } = await addWebhook(() => ({ status: 200 }), { once: { paths: 'indicators', within: '30d' } })
  const contexts: JsonObject[] = [{ url: { domain: ['a.example'] } }, { related: { hosts: ['A.example'] } }]
  for (const context of contexts) {
    await dispatch({ eventId: (await publish(change('a', context))).id })
    await database.query(`update indicators set sent_at = sent_at - interval '31 days'`)
  }
  t.same(receiver.received.map(indicatorsOf).at(-1), [{ path: 'related.hosts', value: 'A.example' }])
})
