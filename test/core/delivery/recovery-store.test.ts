import t, { type Test } from 'tap'
import { findRecovery, insertRecovery, stepRecovery } from '../../../src/core/delivery/recovery-store.js'
import { createRegistry } from '../../../src/core/webhook/registry.js'
import { deleteWebhook } from '../../../src/core/webhook/webhook-store.js'
import { alertChange, deleteAll, editWebhook, watched } from '../../helpers/queue-process.js'
import type { ReceivedRequest, Respond } from '../../helpers/receiver.js'
import { createTestWorkers, publishMany } from '../../helpers/workers.js'

const ok: Respond = () => ({ status: 200 })
const START = new Date(0)
const now = () => new Date()
const replayOf = ({ headers }: ReceivedRequest) => headers['x-alert-relay-replay']

t.test('a recovery', async (t) => {
  const workers = await createTestWorkers(t)
  const { database, registry, sealer, publish, addWebhook, work, makeDue } = workers
  const recover = (webhookId: string, since = START, until = new Date(Date.now() + 1000)) =>
    insertRecovery(database, webhookId, { since, until }, now())
  const step = (limit = 100) => stepRecovery(database, registry, now(), limit)
  const progress = async (id: string) => {
    const { status, events_examined: examined, deliveries_queued: queued } = (await findRecovery(database, id))!
    return { status, examined, queued }
  }
  const test = (rule: string, body: (t: Test) => Promise<void>) =>
    t.test(rule, async (t) => {
      await body(t)
      await deleteAll(workers)
    })

  await test('events that are dead or were missed are delivered again; those that succeeded or are pending are not', async (t) => {
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
    t.equal(await step(), webhook.id, 'its delivery queue is to be woken')
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
    t.same(await workers.deliveriesOf(undispatched.id), [], 'it is not dispatched yet')
  })

  await test('a webhook that was created later is sent the events it selects of that time, once', async (t) => {
    const messages = ['a', 'b', alertChange('x', 1), 'c', alertChange('x', 2)]
    const events = await publishMany(workers, messages)
    const received = await Promise.all(
      events.map(
        async (id) =>
          (await database.query<{ at: Date }>('select received_at as at from events where id = $1', [id])).rows[0]!.at,
      ),
    )
    // One second apart, so that their times differ.
    for (const [i, id] of events.entries()) {
      const at = new Date(received[0]!.getTime() + i * 1000)
      await database.query('update events set received_at = $2 where id = $1', [id, at])
      received[i] = at
    }
    const late = await addWebhook(ok, { event_types: ['sns.notification'] })
    const all = await recover(late.webhook.id, received[1], received[4])
    await step()
    t.same(await progress(all.id), { status: 'done', examined: 3, queued: 2 }, 'since is included, until is not')
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

  await test('several processes take its steps at once, each event is taken by one of them', async (t) => {
    const events = await publishMany(
      workers,
      Array.from({ length: 23 }, (_, i) => `text ${i}`),
    )
    // The last event of a step and the first of the next have the same time.
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

  await test('a step that is interrupted changes nothing, and is taken again', async (t) => {
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

  await test('the recovery of a webhook that is disabled or deleted meanwhile is cancelled', async (t) => {
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

  await test('changes that were coalesced into a delivery that is dead are delivered again, each of them', async (t) => {
    const { receiver, webhook } = await addWebhook(() => ({ status: 500 }), { coalesce: true, retry_schedule_s: [60] })
    await database.query(`update delivery_queues set health = 'failing', probe_at = now()`)
    await publishMany(workers, [alertChange('f', 1), alertChange('f', 2), alertChange('f', 3)])
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
    t.match(await progress(id), { queued: 0 }, 'all of them have succeeded')
  })
})
