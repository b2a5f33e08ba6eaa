import t, { type Test } from 'tap'
import { bringForward } from '../../../src/core/delivery/delivery-store.js'
import { replayDeliveries, restartDeliveries } from '../../../src/core/delivery/restart-store.js'
import { deleteWebhook } from '../../../src/core/webhook/webhook-store.js'
import { alertChange, deleteAll, editWebhook } from '../../helpers/queue-process.js'
import type { ReceivedRequest, Respond } from '../../helpers/receiver.js'
import { createTestWorkers, publishMany } from '../../helpers/workers.js'

const ok: Respond = () => ({ status: 200 })
const START = new Date(0)
const now = () => new Date()
const replayOf = ({ headers }: ReceivedRequest) => headers['x-alert-relay-replay']

t.test('deliveries', async (t) => {
  const workers = await createTestWorkers(t)
  const { database, registry, publish, addWebhook, dispatch, work, makeDue, process } = workers
  const makeHealthy = () =>
    database.query(`update delivery_queues set health = 'healthy', probe_at = null, failures = 0`)
  const test = (rule: string, body: (t: Test) => Promise<void>) =>
    t.test(rule, async (t) => {
      await body(t)
      await deleteAll(workers)
    })

  await test('a replay while a retry waits is one attempt, with the same id and body', async (t) => {
    const { receiver, webhook } = await addWebhook((_request, count) => ({ status: count === 1 ? 500 : 200 }))
    const event = await publish('text')
    await dispatch({ eventId: event.id })
    const stored = (await registry.current()).byId.has(webhook.id)
    t.ok(stored)
    await replayDeliveries(database, event, [webhook.id], now())
    await replayDeliveries(database, event, [webhook.id], now())
    await Promise.all([work(webhook.id), process('two').work(webhook.id)])
    await makeDue()
    await work(webhook.id)
    t.same(
      receiver.received.map((request) => [request.id, request.attempt, replayOf(request)]),
      [
        [event.id, 1, undefined],
        [event.id, 2, 'true'],
      ],
    )
    t.equal(new Set(receiver.received.map(({ body }) => body)).size, 1)
    t.match(await workers.deliveriesOf(event.id), [{ status: 'succeeded', attempt_count: 2, replay: true }])
  })

  await test('deliveries are restarted by filter, the oldest first, up to a limit; those of deleted webhooks never', async (t) => {
    const one = await addWebhook(() => ({ status: 410 }))
    const two = await addWebhook(() => ({ status: 410 }))
    const gone = await addWebhook(() => ({ status: 410 }))
    const webhooks = [one, two, gone].map(({ webhook }) => webhook)
    const ids: string[] = []
    for (const message of ['a', alertChange('r', 1), 'c']) {
      ids.push(...(await publishMany(workers, [message])))
      for (const { id } of webhooks) await editWebhook(database, id, { status: 'enabled' })
    }
    await deleteWebhook(database, gone.webhook.id)
    const restart = (filter: object, limit = 100) =>
      restartDeliveries(database, { status: 'dead', ...filter }, now(), limit)
    t.same(await restart({ since: new Date(Date.now() + 1000) }), [])
    t.same(await restart({ until: START }), [])
    t.same(await restart({ webhookId: gone.webhook.id }), [])
    t.same(await restart({ eventType: 'alert.created', webhookId: one.webhook.id }), [one.webhook.id])
    t.same(await restart({ webhookId: two.webhook.id }, 2), [two.webhook.id, two.webhook.id])
    t.match(await workers.deliveriesOf(ids[2]!), [{}, {}, {}])
    const { rows } = await database.query<{ event_id: string }>(
      `select event_id from deliveries where webhook_id = $1 and status = 'pending' order by id`,
      [two.webhook.id],
    )
    t.same(
      rows.map((row) => row.event_id),
      ids.slice(0, 2),
    )
    t.equal((await restart({})).length, 3, 'all that are dead and whose webhook exists')
    await database.query(`update deliveries set next_attempt_at = now() + interval '1 hour' where status = 'pending'`)
    t.equal((await restart({ status: 'pending' })).length, 6)
    t.equal((await restart({ status: 'pending' })).length, 0, 'those that are due already are left out')
    one.receiver.respond = ok
    await makeHealthy()
    await work(one.webhook.id)
    t.same(
      one.receiver.received.slice(3).map(({ attempt }) => attempt),
      [2, 2, 2],
    )
  })

  await test('times further ahead than any schedule are corrected, in batches', async (t) => {
    await addWebhook(ok, { max_in_flight: 1 })
    await publishMany(workers, ['a', 'b', 'c', 'd', 'e', 'f'])
    await database.query(`update deliveries set next_attempt_at = now() + interval '1 year'`)
    const { rows } = await database.query<{ id: string }>('select id from deliveries order by id limit 1')
    await database.query(`update deliveries set next_attempt_at = now() + interval '3 days' where id = $1`, [
      rows[0]!.id,
    ])
    const now = new Date()
    const latest = new Date(now.getTime() + 18 * 86_400_000)
    const all = (await database.query('select from deliveries')).rowCount
    t.equal(await bringForward(database, latest, now, 2), 2)
    t.equal(await bringForward(database, latest, now, 100), all - 3)
    t.equal(await bringForward(database, latest, now, 100), 0, 'a retry in three days stays')
  })
})
