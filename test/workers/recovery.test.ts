import t, { type Test } from 'tap'
import { replayDeliveries, restartDeliveries } from '../../src/core/delivery/delivery-store.js'
import { findRecovery, insertRecovery, stepRecovery } from '../../src/core/delivery/recovery-store.js'
import { createRegistry } from '../../src/core/webhook/registry.js'
import { deleteWebhook } from '../../src/core/webhook/webhook-store.js'
import { startUpkeep } from '../../src/workers/upkeep.js'
import { editWebhook, standingOf, watched } from '../helpers/queue-process.js'
import type { ReceivedRequest, Respond } from '../helpers/receiver.js'
import { log, publishMany, createTestWorkers } from '../helpers/workers.js'

const ok: Respond = () => ({ status: 200 })
const START = new Date(0)
const replayOf = ({ headers }: ReceivedRequest) => headers['x-alert-relay-replay']

function change(alertId: string, n: number): string {
  const context = { n: [n] }
  return JSON.stringify({
    updated_alert: { id: alertId, context },
    incoming_rule_matches_context: context,
    context_diff: {},
  })
}

t.test('recoveries', async (t) => {
  const workers = await createTestWorkers(t)
  const { database, registry, queues, sealer, publish, addWebhook, dispatch, work, makeDue, process } = workers
  const now = () => new Date()
  const recover = (webhookId: string, since = START, until = new Date(Date.now() + 1000)) =>
    insertRecovery(database, webhookId, { since, until }, now())
  const step = (limit = 100) => stepRecovery(database, registry, now(), limit)
  const progress = async (id: string) => {
    const { status, events_examined: examined, deliveries_queued: queued } = (await findRecovery(database, id))!
    return { status, examined, queued }
  }
  const makeWell = () => database.query(`update delivery_queues set health = 'healthy', probe_at = null, failures = 0`)
  const test = (rule: string, body: (t: Test) => Promise<void>) =>
    t.test(rule, async (t) => {
      await body(t)
      const { rows } = await database.query<{ id: string }>('select id from webhooks')
      for (const { id } of rows) await deleteWebhook(database, id)
      for (const table of ['delivery_queues', 'events', 'alerts', 'recoveries']) {
        await database.query(`delete from ${table}`)
      }
      workers.dispatches.length = workers.wakes.length = 0
    })

  await test('what is dead or was missed is delivered again; what succeeded or waits is left alone', async (t) => {
    const statuses = new Map<string, number>()
    const { receiver, webhook } = await addWebhook(
      ({ body }) => ({ status: statuses.get(body.slice(12, 16)) ?? 200 }),
      {
        retry_schedule_s: [60],
      },
    )
    for (const name of ['dead', 'wait']) statuses.set(name, 500)
    const [taken, dead] = await publishMany(workers, ['took', 'dead'])
    await makeDue()
    await work(webhook.id)
    const [waiting] = await publishMany(workers, ['wait'])
    await editWebhook(database, webhook.id, { status: 'disabled' })
    const [missed] = await publishMany(workers, ['miss'])
    await editWebhook(database, webhook.id, { status: 'enabled' })
    const undispatched = await publish('undi')
    t.same(
      receiver.received.map(({ id }) => id),
      [taken, dead, dead, waiting],
    )
    statuses.clear()
    const sent = receiver.received.length
    const { id } = await recover(webhook.id)
    t.same(await progress(id), { status: 'running', examined: 0, queued: 0 })
    t.equal(await step(), webhook.id, 'this delivery queue has something to do')
    t.same(await progress(id), { status: 'done', examined: 5, queued: 2 })
    t.equal(await step(), undefined)
    await work(webhook.id)
    const again = receiver.received.slice(sent)
    t.same(
      again.map((request) => [request.id, request.attempt, replayOf(request)]),
      [
        [dead, 3, 'true'],
        [missed, 1, 'true'],
      ],
    )
    t.ok(again.every(({ verified }) => verified))
    t.same(receiver.received.slice(0, sent).map(replayOf), [undefined, undefined, undefined, undefined])
    t.match(await workers.deliveriesOf(waiting!), [{ status: 'pending', attempt_count: 1, replay: false }])
    t.same(await workers.deliveriesOf(undispatched.id), [], 'that one is about to be dispatched')
  })

  await test('a webhook that was made later gets what it wants of that time, once', async (t) => {
    const messages = ['a', 'b', change('x', 1), 'c', change('x', 2)]
    const events = await publishMany(workers, messages)
    const received = await Promise.all(
      events.map(
        async (id) =>
          (await database.query<{ at: Date }>('select received_at as at from events where id = $1', [id])).rows[0]!.at,
      ),
    )
    // a moment apart, so that the times can be told from each other
    for (const [i, id] of events.entries()) {
      const at = new Date(received[0]!.getTime() + i * 1000)
      await database.query('update events set received_at = $2 where id = $1', [id, at])
      received[i] = at
    }
    const late = await addWebhook(ok, { event_types: ['sns.notification'] })
    const all = await recover(late.webhook.id, received[1], received[4])
    await step()
    t.same(await progress(all.id), { status: 'done', examined: 3, queued: 2 }, 'since counts, until does not')
    await work(late.webhook.id)
    t.same(
      late.receiver.received.map(({ id }) => id),
      [events[1], events[3]],
    )
    const again = await recover(late.webhook.id, received[0], new Date(received[4]!.getTime() + 1))
    await step()
    await work(late.webhook.id)
    t.same(await progress(again.id), { status: 'done', examined: 5, queued: 1 })
    t.equal(late.receiver.received.at(-1)!.id, events[0])
    t.equal(late.receiver.received.length, 3)
  })

  await test('it is done in steps, by several processes at once, each event by one of them', async (t) => {
    const events = await publishMany(
      workers,
      Array.from({ length: 23 }, (_, i) => `text ${i}`),
    )
    // the last of a step and the first of the next came at the same moment
    await database.query('update events set received_at = date_trunc($1, received_at)', ['second'])
    const { receiver, webhook } = await addWebhook(ok)
    const { id } = await recover(webhook.id)
    const registries = [registry, createRegistry({ database, sealer })]
    const steps = async (registry: (typeof registries)[0]) => {
      while ((await progress(id)).status === 'running') await stepRecovery(database, registry, now(), 5)
    }
    await Promise.all(registries.map(steps))
    t.same(await progress(id), { status: 'done', examined: 23, queued: 23 })
    await work(webhook.id)
    t.same(receiver.received.map(({ id }) => id).sort(), [...events].sort())
  })

  await test('a step that is cut off leaves nothing behind, and is taken again', async (t) => {
    const events = await publishMany(workers, ['a', 'b', 'c'])
    const { receiver, webhook } = await addWebhook(ok)
    const { id } = await recover(webhook.id)
    const dying = watched(database, (sql) => {
      if (sql.includes('update recoveries')) throw new Error('the process died')
    })
    await t.rejects(stepRecovery(dying, registry, now(), 2), /died/)
    t.same(await progress(id), { status: 'running', examined: 0, queued: 0 })
    t.equal((await database.query('select from deliveries')).rowCount, 0)
    await step(2)
    t.same(await progress(id), { status: 'running', examined: 2, queued: 2 })
    await step(2)
    t.same(await progress(id), { status: 'done', examined: 3, queued: 3 })
    await work(webhook.id)
    t.same(
      receiver.received.map(({ id }) => id),
      events,
    )
  })

  await test('a recovery of a webhook that is disabled or deleted meanwhile is cancelled', async (t) => {
    await publishMany(workers, ['a', 'b', 'c'])
    const [disabled, deleted] = [await addWebhook(ok), await addWebhook(ok)]
    const recoveries = [await recover(disabled.webhook.id), await recover(deleted.webhook.id)]
    await step(1)
    await editWebhook(database, disabled.webhook.id, { status: 'disabled' })
    await deleteWebhook(database, deleted.webhook.id)
    while (await step(1));
    t.same(await progress(recoveries[0]!.id), { status: 'cancelled', examined: 1, queued: 1 })
    t.same(await progress(recoveries[1]!.id), { status: 'cancelled', examined: 0, queued: 0 })
  })

  await test('changes that were folded into a delivery that is dead are delivered again, each of them', async (t) => {
    const { receiver, webhook } = await addWebhook(() => ({ status: 500 }), { coalesce: true, retry_schedule_s: [60] })
    await database.query(`update delivery_queues set health = 'failing', probe_at = now()`)
    await publishMany(workers, [change('f', 1), change('f', 2), change('f', 3)])
    for (let attempt = 1; attempt <= 2; attempt++) {
      await makeDue()
      await work(webhook.id)
    }
    t.equal(receiver.received.length, 2)
    t.match(receiver.received[0]!.json, { relay: { changes: 3 } })
    const counts = async (status: string) =>
      (await database.query('select from deliveries where status = $1', [status])).rowCount
    t.same([await counts('dead'), await counts('folded')], [1, 2])
    receiver.respond = ok
    await recover(webhook.id)
    await step()
    for (let round = 0; round < 3; round++) {
      await makeDue()
      await work(webhook.id)
    }
    const values = receiver.received
      .slice(2)
      .flatMap(({ json }) => (json as { context_diff: { n: number[] } }).context_diff.n)
    t.same(new Set(values), new Set([1, 2, 3]))
    t.equal(await counts('pending'), 0)
    const { id } = await recover(webhook.id)
    await step()
    t.match(await progress(id), { queued: 0 }, 'all of them are taken')
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

  await test('many are restarted by filter, the oldest first, so many at a time; those of deleted webhooks never', async (t) => {
    const one = await addWebhook(() => ({ status: 410 }))
    const two = await addWebhook(() => ({ status: 410 }))
    const gone = await addWebhook(() => ({ status: 410 }))
    const webhooks = [one, two, gone].map(({ webhook }) => webhook)
    const ids: string[] = []
    for (const message of ['a', change('r', 1), 'c']) {
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
    t.equal((await restart({})).length, 3, 'all that are dead and have a webhook')
    await database.query(`update deliveries set next_attempt_at = now() + interval '1 hour' where status = 'pending'`)
    t.equal((await restart({ status: 'pending' })).length, 6)
    t.equal((await restart({ status: 'pending' })).length, 0, 'what is due already needs no asking')
    one.receiver.respond = ok
    await makeWell()
    await work(one.webhook.id)
    t.same(
      one.receiver.received.slice(3).map(({ attempt }) => attempt),
      [2, 2, 2],
    )
  })

  await test('two upkeeps at once take the steps of a recovery, wake its delivery queue and lose nothing', async (t) => {
    const events = await publishMany(
      workers,
      Array.from({ length: 12 }, (_, i) => `text ${i}`),
    )
    const { receiver, webhook } = await addWebhook(ok, { max_in_flight: 4 })
    const { id } = await recover(webhook.id)
    workers.wakes.length = 0
    const options = { database, queues, registry, retentionDays: 30, log, intervalMs: 3600_000 }
    const upkeeps = [startUpkeep(options), startUpkeep(options)]
    await Promise.all(upkeeps.map((upkeep) => upkeep.runOnce()))
    await Promise.all(upkeeps.map((upkeep) => upkeep.close()))
    t.same(await progress(id), { status: 'done', examined: 12, queued: 12 })
    t.ok(workers.wakes.some(({ webhookId, at }) => webhookId === webhook.id && at <= now()))
    await Promise.all([work(webhook.id), process('two').work(webhook.id)])
    t.same(receiver.received.map(({ id }) => id).sort(), [...events].sort())
  })

  await test('a crash after the commit of a failed attempt, before any wake-up: the delivery queue is found by upkeep', async (t) => {
    const { webhook } = await addWebhook(() => ({ status: 500 }))
    await publishMany(workers, ['a'])
    // the wake-up was never queued, and the process that worked the delivery queue is dead
    workers.wakes.length = 0
    await database.query(`update delivery_queues set holder = 'dead', held_until = now() - interval '1 second'`)
    const at = Date.now() + 10_000
    await workers.runUpkeep(() => at)
    t.ok(workers.wakes.some(({ webhookId }) => webhookId === webhook.id))
    t.match(await standingOf(database, webhook.id), { health: 'healthy' })
  })
})
