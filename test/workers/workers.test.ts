import t from 'tap'
import { findDelivery } from '../../src/core/delivery/delivery-list.js'
import { newId } from '../../src/core/platform/id.js'
import { deleteWebhook, findWebhook, updateWebhook } from '../../src/core/webhook/webhook-store.js'
import { startUpkeep } from '../../src/workers/upkeep.js'
import { createReceiver, type Respond } from '../helpers/receiver.js'
import { log, createTestWorkers } from '../helpers/workers.js'

t.test('an event goes to the enabled webhooks that select its type and topic', async (t) => {
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
  t.equal(all.receiver.received.length, 1, 'a job that comes again finds nothing to do')
})

t.test('what is stored together is dispatched by one job; an event that cannot be holds up no other', async (t) => {
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
  t.same(new Set(dispatches), new Set([broken!.batchId]), 'upkeep queues what is left of the batch')
  await database.query(`update events set payload = '"mended"' where id = $1`, [broken!.id])
  await dispatch({ eventId: broken!.id })
  t.equal(receiver.received.length, 4, 'and nothing is sent again')
})

t.test('a failing delivery is tried ten times, then it is dead; a retry by hand begins anew', async (t) => {
  const { publish, addWebhook, dispatch, work, makeDue, deliveriesOf, database } = await createTestWorkers(t)
  const { receiver, webhook } = await addWebhook(() => ({ status: 500 }))
  const event = await publish('text')
  await dispatch({ eventId: event.id })
  const waits: number[] = []
  const waiting = async () => {
    const { rows } = await database.query<{ at: Date }>(
      `select next_attempt_at as at from deliveries where status = 'pending'`,
    )
    return rows[0]?.at
  }
  for (let at = await waiting(); at; at = await waiting()) {
    waits.push(Math.round((at.getTime() - Date.now()) / 1000))
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
  const [delivery] = await deliveriesOf(event.id)
  t.match(delivery, {
    status: 'dead',
    reason: '10 attempts failed, the last one: rejected',
    attempt_count: 10,
    next_attempt_at: null,
  })
  t.equal((await findDelivery(database, delivery!.id))!.attempts.length, 10)
})

t.test('410 Gone ends the delivery and disables the webhook; Retry-After and an own schedule apply', async (t) => {
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
  const waitS = (id: string) => Math.round((Date.parse(byWebhook.get(id)!.next_attempt_at!) - Date.now()) / 1000)
  t.equal(waitS(busy.webhook.id), 600)
  t.equal(waitS(own.webhook.id), 7)
  await makeDue()
  await work(own.webhook.id)
  const dead = (await deliveriesOf(event.id)).find((delivery) => delivery.webhook_id === own.webhook.id)
  t.match(dead, { status: 'dead', reason: '2 attempts failed, the last one: rejected' })
  await dispatch({ eventId: (await publish('another')).id })
  t.equal(gone.receiver.received.length, 1, 'it is left alone')
})

t.test('a delivery queue that is woken again finds nothing to do; a deleted webhook gets nothing more', async (t) => {
  const { publish, addWebhook, dispatch, work, process, makeDue, deliveriesOf, database } = await createTestWorkers(t)
  const { receiver, webhook } = await addWebhook((_request, count) => ({ status: count < 3 ? 500 : 200 }))
  const event = await publish('text')
  await dispatch({ eventId: event.id })
  await work(webhook.id)
  t.equal(receiver.received.length, 1, 'nothing is early')
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
    'its delivery queue is gone with the last of them',
  )
  await work(newId('wh'))
})

t.test('a webhook that is edited while its retry waits: the current one applies', async (t) => {
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

t.test('a crash between commit and enqueue, or a queue that forgot: upkeep queues the stored work again', async (t) => {
  const { database, queues, registry, dispatches, wakes, publish, addWebhook, dispatch } = await createTestWorkers(t)
  const { webhook } = await addWebhook(() => ({ status: 500 }))
  const failed = await publish('failed')
  await dispatch({ eventId: failed.id })
  const undone = await publish('undone')
  dispatches.length = 0
  wakes.length = 0
  let now = Date.now()
  const options = { database, queues, registry, retentionDays: 30, log, intervalMs: 1000, now: () => now }
  const [one, two] = [startUpkeep(options), startUpkeep(options)]
  t.teardown(() => Promise.all([one.close(), two.close()]))
  await one.runOnce()
  t.same([dispatches, wakes], [[], []], 'what is young is on its way by itself')
  now += 2000
  await Promise.all([one.runOnce(), two.runOnce()])
  t.same(dispatches, [undone.id, undone.id], 'two upkeeps at once ask for the same job id')
  t.same(wakes, [], 'the retry is not due yet')
  now += 10_000
  await one.runOnce()
  t.match(wakes[0], { webhookId: webhook.id })
})

t.test('upkeep goes through a backlog of many batches', async (t) => {
  const { database, dispatches, publish, runUpkeep } = await createTestWorkers(t)
  const { id } = await publish('first')
  await database.query(
    `insert into undispatched (batch_id, event_id, received_at)
     select 'evt_' || lpad(n::text, 32, '0'), 'evt_' || lpad(n::text, 32, '0'), received_at
     from events, generate_series(1, 1300) as n where id = $1`,
    [id],
  )
  dispatches.length = 0
  await runUpkeep(() => Date.now() + 5000)
  t.equal(new Set(dispatches).size, 1301)
})

t.test('retention deletes what is old with its deliveries and attempts, and never pending work', async (t) => {
  const { database, publish, addWebhook, dispatch, runUpkeep } = await createTestWorkers(t)
  await addWebhook((_request, count) => ({ status: count === 1 ? 200 : 500 }))
  const done = await publish('done')
  await dispatch({ eventId: done.id })
  const waiting = await publish('waiting')
  await dispatch({ eventId: waiting.id })
  const undispatched = await publish('undispatched')
  await runUpkeep(() => Date.now() + 31 * 86_400_000)
  const { rows } = await database.query<{ id: string }>('select id from events order by id')
  t.same(
    rows.map(({ id }) => id),
    [waiting.id, undispatched.id],
  )
  const counts = await database.query(
    'select (select count(*) from deliveries) as deliveries, (select count(*) from attempts) as attempts',
  )
  t.same(counts.rows, [{ deliveries: 1n, attempts: 1n }])
})
