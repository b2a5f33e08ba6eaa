import t, { type Test } from 'tap'
import { recordDispatches } from '../../src/core/delivery/delivery-store.js'
import { findRecovery, insertRecovery } from '../../src/core/delivery/recovery-store.js'
import { newId } from '../../src/core/platform/id.js'
import { deleteWebhook } from '../../src/core/webhook/webhook-store.js'
import { startUpkeep } from '../../src/workers/upkeep.js'
import { countByStatus, deleteAll, leaseHolderOf, readHealth } from '../helpers/queue-process.js'
import type { Respond } from '../helpers/receiver.js'
import { createTestWorkers, log, publishMany } from '../helpers/workers.js'

const ok: Respond = () => ({ status: 200 })
const START = new Date(0)
const now = () => new Date()

t.test(
  'upkeep queues stored work that has no job: after a crash before it was queued, or when the queue lost it',
  async (t) => {
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
    t.same([dispatches, wakes], [[], []], 'new work is queued by the process that stored it')
    now += 2000
    await Promise.all([one.runOnce(), two.runOnce()])
    t.same(dispatches, [undone.id, undone.id], 'two upkeeps at once use the same job id')
    t.same(wakes, [], 'the retry is not due yet')
    now += 10_000
    await one.runOnce()
    t.match(wakes[0], { webhookId: webhook.id })
  },
)

t.test('upkeep queues a backlog of many batches', async (t) => {
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

t.test('retention deletes old events with their deliveries and attempts, and never pending work', async (t) => {
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

t.test('upkeep', async (t) => {
  const workers = await createTestWorkers(t)
  const { database, registry, queues, publish, addWebhook, work, process } = workers
  const one = process('one')
  const recover = (webhookId: string, since = START, until = new Date(Date.now() + 1000)) =>
    insertRecovery(database, webhookId, { since, until }, now())
  const progress = async (id: string) => {
    const { status, events_examined: examined, deliveries_queued: queued } = (await findRecovery(database, id))!
    return { status, examined, queued }
  }
  const test = (rule: string, body: (t: Test) => Promise<void>) =>
    t.test(rule, async (t) => {
      await body(t)
      await deleteAll(workers)
    })

  await test('two upkeeps at once advance a recovery, wake its delivery queue and lose nothing', async (t) => {
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

  await test('upkeep wakes the delivery queue of a process that died before it queued a wake-up', async (t) => {
    const { webhook } = await addWebhook(() => ({ status: 500 }))
    await publishMany(workers, ['a'])
    // The wake-up was never queued, and the process that held the lease is dead.
    workers.wakes.length = 0
    await database.query(`update delivery_queues set holder = 'dead', held_until = now() - interval '1 second'`)
    const at = Date.now() + 10_000
    await workers.runUpkeep(() => at)
    t.ok(workers.wakes.some(({ webhookId }) => webhookId === webhook.id))
    t.match(await readHealth(database, webhook.id), { health: 'healthy' })
  })

  await test('a delivery that is recorded after its webhook and delivery queue were deleted is dropped too', async (t) => {
    const { webhook } = await addWebhook(ok, { max_in_flight: 1 })
    const event = await publish('a')
    await deleteWebhook(database, webhook.id)
    await one.work(webhook.id)
    t.equal(await leaseHolderOf(workers.database, webhook.id), undefined)
    const state = { status: 'pending' as const, nextAttemptAt: new Date(), reason: null }
    const late = { deliveryId: newId('dlv'), webhookId: webhook.id, state, attempt: undefined, sealed: true }
    await recordDispatches(database, [{ event, results: [late] }], new Date())
    workers.wakes.length = 0
    await workers.runUpkeep()
    for (const { webhookId } of workers.wakes) await one.work(webhookId)
    t.notOk((await countByStatus(workers.database)).pending, 'otherwise it and its event are kept for ever')
  })

  await test('upkeep corrects the times that a clock that ran ahead has set', async (t) => {
    const { receiver, webhook } = await addWebhook(() => ({ status: 500 }))
    const limited = await addWebhook(ok, { rate_per_second: 20 })
    await publishMany(
      workers,
      Array.from({ length: 6 }, (_, i) => `text ${i}`),
    )
    t.match(await readHealth(database, webhook.id), { health: 'failing' })
    await database.query(`update deliveries set next_attempt_at = now() + interval '1 year' where status = 'pending'`)
    await database.query(`update delivery_queues set probe_at = now() + interval '1 year' where health = 'failing'`)
    await database.query(`update delivery_queues set next_send_at = now() + interval '1 year' where health = 'healthy'`)
    receiver.respond = ok
    workers.wakes.length = 0
    await workers.runUpkeep()
    const due = new Set(
      workers.wakes.filter(({ at }) => at.getTime() < Date.now() + 3600_000).map(({ webhookId }) => webhookId),
    )
    t.same(due, new Set([webhook.id, limited.webhook.id]))
    for (const id of due) await one.work(id)
    t.same(await countByStatus(workers.database), { succeeded: 12 })
  })
})
