import t from 'tap'
import type { DeliveryWithAttempts } from '../../src/core/delivery/delivery.js'
import { findDelivery } from '../../src/core/delivery/delivery-list.js'
import { newId } from '../../src/core/platform/id.js'
import { deleteWebhook, findWebhook, updateWebhook } from '../../src/core/webhook/webhook-store.js'
import { createReceiver, type Respond } from '../helpers/receiver.js'
import { readHealth } from '../helpers/queue-process.js'
import { createSnsEndpoint, setEnvironment } from '../helpers/sns-endpoint.js'
import { createTestWorkers } from '../helpers/workers.js'

/** Seconds from the end of the last attempt to the next. */
function waitS({ attempts, next_attempt_at: next }: DeliveryWithAttempts): number {
  const last = attempts.at(-1)!
  return Math.round((Date.parse(next!) - Date.parse(last.started_at) - last.duration_ms) / 1000)
}

t.test('a 200 whose body fails the condition is tried again and counts for the circuit', async (t) => {
  const { database, publish, addWebhook, dispatch, deliveriesOf } = await createTestWorkers(t)
  const respond: Respond = () => ({ status: 200, body: '{"errcode":45009}' })
  const { webhook } = await addWebhook(respond, { success: { body: { errcode: [0] } } })
  const event = await publish('text')
  await dispatch({ eventId: event.id })
  const [delivery] = await deliveriesOf(event.id)
  t.match(delivery, { status: 'pending', next_attempt_at: String })
  t.match((await findDelivery(database, delivery!.id))?.attempts, [{ outcome: 'rejected', status_code: 200 }])
  for (const text of ['2', '3', '4', '5']) await dispatch({ eventId: (await publish(text)).id })
  t.match(await readHealth(database, webhook.id), {
    health: 'failing',
    last_failure: 'rejected: the answer fails success.body: /errcode 45009; wanted: [0]',
  })
})

t.test('a message that SNS can never take is dead at once, and says why', async (t) => {
  const endpoint = await createSnsEndpoint(t)
  setEnvironment(t, endpoint.environment)
  const { publish, addWebhook, dispatch, deliveriesOf } = await createTestWorkers(t)
  await addWebhook(() => ({ status: 200 }), { url: 'arn:aws:sns:eu-west-1:123456789012:out' })
  endpoint.respond = (_request, response) => {
    response.writeHead(400, { 'content-type': 'text/xml' })
    response.end(
      '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>InvalidParameter</Code>' +
        '<Message>Invalid parameter: Message too long</Message></Error></ErrorResponse>',
    )
  }
  const event = await publish('text')
  await dispatch({ eventId: event.id })
  t.match(await deliveriesOf(event.id), [
    { status: 'dead', attempt_count: 1, next_attempt_at: null, reason: /^SNS can never take .*Message too long$/ },
  ])
})

t.test('an event is sent to the enabled webhooks that select its type and topic', async (t) => {
  const { publish, addWebhook, dispatch, deliveriesOf } = await createTestWorkers(t)
  const ok: Respond = () => ({ status: 200 })
  const all = await addWebhook(ok)
  const typed = await addWebhook(ok, { event_types: ['sns.notification'] })
  const topic = await addWebhook(ok, { topics: ['arn:aws:sns:us-east-1:*:t'] })
  const others = [
    await addWebhook(ok, { event_types: ['alert.created', 'alert.updated'] }),
    await addWebhook(ok, { topics: ['arn:aws:sns:eu-west-1:*:*'] }),
    await addWebhook(ok, { status: 'disabled' }),
  ]
  const event = await publish('text')
  await dispatch({ eventId: event.id })
  t.same(
    [all, typed, topic].map(({ receiver }) => receiver.received.length),
    [1, 1, 1],
  )
  t.same(
    others.map(({ receiver }) => receiver.received.length),
    [0, 0, 0],
  )
  t.same(
    (await deliveriesOf(event.id)).map(({ status }) => status),
    ['succeeded', 'succeeded', 'succeeded'],
  )
  await dispatch({ eventId: event.id })
  t.equal(all.receiver.received.length, 1, 'a repeated job changes nothing')
})

t.test(
  'events that are stored together are dispatched by one job; one that cannot be dispatched delays no other',
  async (t) => {
    const { database, dispatches, publish, addWebhook, dispatch, runUpkeep } = await createTestWorkers(t)
    const { receiver } = await addWebhook(() => ({ status: 200 }))
    const events = await Promise.all(['1', '2', '3', '4'].map((text) => publish(text)))
    t.equal(new Set(events.map(({ batchId }) => batchId)).size, 1)
    t.same(dispatches, [events[0]!.batchId])
    const [, broken, done] = events
    await database.query(`update events set payload = 'no JSON' where id = $1`, [broken!.id])
    await dispatch({ eventId: done!.id })
    const others = events.filter((event) => event !== broken).map(({ id }) => id)
    t.same(receiver.received.map(({ id }) => id).sort(), others)
    dispatches.length = 0
    await runUpkeep(() => Date.now() + 5000)
    t.same(dispatches, [], 'what cannot be dispatched waits')
    await database.query('update undispatched set not_before = now()')
    await runUpkeep(() => Date.now() + 5000)
    t.same(new Set(dispatches), new Set([broken!.batchId]), 'then upkeep queues the rest of the batch')
    await database.query(`update events set payload = '"corrected"' where id = $1`, [broken!.id])
    await dispatch({ eventId: broken!.id })
    t.equal(receiver.received.length, 4, 'the others are not sent again')
  },
)

t.test('a delivery that fails is attempted ten times, then it is dead', async (t) => {
  const { publish, addWebhook, dispatch, work, makeDue, deliveriesOf, database } = await createTestWorkers(t)
  const { receiver, webhook } = await addWebhook(() => ({ status: 500 }))
  const event = await publish('text')
  await dispatch({ eventId: event.id })
  const [first] = await deliveriesOf(event.id)
  const read = async () => (await findDelivery(database, first!.id))!
  const waits: number[] = []
  for (let delivery = await read(); delivery.status === 'pending'; delivery = await read()) {
    waits.push(waitS(delivery))
    await makeDue()
    await work(webhook.id)
  }
  t.same(waits, [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400])
  t.same(
    receiver.received.map(({ attempt }) => attempt),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  )
  t.same(new Set(receiver.received.map(({ id }) => id)), new Set([event.id]))
  t.ok(receiver.received.every(({ verified }) => verified))
  const { attempts, ...delivery } = await read()
  t.match(delivery, {
    status: 'dead',
    reason: '10 attempts failed, the last one: rejected',
    attempt_count: 10,
    next_attempt_at: null,
  })
  t.equal(attempts.length, 10)
})

t.test(
  '410 Gone ends the delivery and disables the webhook; Retry-After and a schedule of its own apply',
  async (t) => {
    const { publish, addWebhook, dispatch, work, makeDue, deliveriesOf, database, sealer } = await createTestWorkers(t)
    const gone = await addWebhook(() => ({ status: 410 }))
    const busy = await addWebhook(() => ({ status: 429, headers: { 'retry-after': '600' } }))
    const own = await addWebhook(() => ({ status: 500 }), { retry_schedule_s: [7] })
    const event = await publish('text')
    await dispatch({ eventId: event.id })
    t.match(await findWebhook(database, sealer, gone.webhook.id), {
      status: 'disabled',
      disabled_reason: 'the receiver answered 410 Gone',
    })
    const byWebhook = new Map((await deliveriesOf(event.id)).map((delivery) => [delivery.webhook_id, delivery]))
    t.match(byWebhook.get(gone.webhook.id), { status: 'dead', reason: 'the receiver answered 410 Gone' })
    const waitOf = async ({ webhook }: { webhook: { id: string } }) =>
      waitS((await findDelivery(database, byWebhook.get(webhook.id)!.id))!)
    t.equal(await waitOf(busy), 600)
    t.equal(await waitOf(own), 7)
    await makeDue()
    await work(own.webhook.id)
    const dead = (await deliveriesOf(event.id)).find((delivery) => delivery.webhook_id === own.webhook.id)
    t.match(dead, { status: 'dead', reason: '2 attempts failed, the last one: rejected' })
    await dispatch({ eventId: (await publish('another')).id })
    t.equal(gone.receiver.received.length, 1, 'a disabled webhook is sent nothing')
  },
)

t.test(
  'a delivery is attempted once by two processes, not before it is due, and not after its webhook was deleted',
  async (t) => {
    const { publish, addWebhook, dispatch, work, process, makeDue, deliveriesOf, database } = await createTestWorkers(t)
    const { receiver, webhook } = await addWebhook((_request, count) => ({ status: count < 3 ? 500 : 200 }))
    const event = await publish('text')
    await dispatch({ eventId: event.id })
    await work(webhook.id)
    t.equal(receiver.received.length, 1, 'it is not due yet')
    await makeDue()
    await Promise.all([work(webhook.id), process('two').work(webhook.id)])
    t.equal(receiver.received.length, 2)
    await deleteWebhook(database, webhook.id)
    await makeDue()
    await work(webhook.id)
    t.equal(receiver.received.length, 2)
    t.match(await deliveriesOf(event.id), [{ status: 'dropped', reason: 'the webhook was deleted' }])
    t.equal(
      (await database.query('select from delivery_queues')).rowCount,
      0,
      'its delivery queue is deleted with the last of them',
    )
    await work(newId('wh'))
  },
)

t.test('a retry is sent to the webhook as it is now', async (t) => {
  const { publish, addWebhook, dispatch, work, makeDue, database, sealer } = await createTestWorkers(t)
  const { receiver, webhook } = await addWebhook(() => ({ status: 500 }))
  const elsewhere = await createReceiver()
  t.teardown(() => elsewhere.close())
  await dispatch({ eventId: (await publish('text')).id })
  await updateWebhook(database, sealer, { ...(await findWebhook(database, sealer, webhook.id))!, url: elsewhere.url })
  await makeDue()
  await work(webhook.id)
  t.equal(receiver.received.length, 1)
  t.equal(elsewhere.received.length, 1)
})
