import t from 'tap'
import { createDeliveryQueues } from '../../../src/core/delivery/delivery-queues.js'
import { newId } from '../../../src/core/platform/id.js'
import { countByStatus, editWebhook, latch, leaseHolderOf, queueProcess } from '../../helpers/queue-process.js'
import { createTestWorkers, publishMany } from '../../helpers/workers.js'

t.test(
  'a process works a delivery queue once at a time, notices each wake-up, and closes when its attempts have ended',
  async (t) => {
    const workers = await createTestWorkers(t)
    const { opened, open } = latch()
    const { webhook } = await workers.addWebhook(() => ({ status: 200 }), { max_in_flight: 1 })
    await publishMany(workers, ['a'])
    const sent: string[] = []
    const started = latch()
    const { options } = queueProcess(workers, 'here', async ({ event }) => {
      sent.push(event.id)
      started.open()
      await opened
      return 200
    })
    const queues = createDeliveryQueues(options)
    for (let i = 0; i < 3; i++) queues.wake(webhook.id)
    await started.opened
    const [later] = await publishMany(workers, ['b'])
    queues.wake(webhook.id)
    queues.wake(newId('wh'))
    const closed = queues.close()
    queues.wake(webhook.id)
    open()
    await closed
    t.equal(sent.length, 1, 'while closing no attempt is started')
    t.equal(await leaseHolderOf(workers.database, webhook.id), null)
    const again = createDeliveryQueues(options)
    again.wake(webhook.id)
    while ((await countByStatus(workers.database)).pending) await new Promise(setImmediate)
    await again.close()
    t.same(sent.slice(1), [later])
  },
)

t.test(
  'a webhook is sent as many at once as its max_in_flight says, and each delivery once, over several pages',
  async (t) => {
    const workers = await createTestWorkers(t)
    const { database } = workers
    const max = 150
    const { webhook } = await workers.addWebhook(() => ({ status: 200 }), { max_in_flight: max })
    const [event] = await publishMany(workers, ['a'])
    // all are due at one time, which no page divides
    await database.query(
      `with copies as (
       insert into events (id, type, payload, sent_at, received_at)
       select 'evt_' || lpad(n::text, 32, '0'), type, payload, sent_at, received_at
       from events, generate_series(1, 999) as n where id = $1 returning id)
     insert into deliveries (id, event_id, webhook_id, status, next_attempt_at, created_at, updated_at)
     select replace(id, 'evt_', 'dlv_'), id, $2, 'pending', '2026-01-01', now(), now() from copies`,
      [event, webhook.id],
    )
    const sent: string[] = []
    const seen = { now: 0, max: 0 }
    const full = latch()
    const { work } = queueProcess(workers, 'here', async ({ event: { id } }) => {
      sent.push(id)
      seen.max = Math.max(seen.max, ++seen.now)
      if (seen.now === max) full.open()
      // the first answers show that it is there
      if (sent.length > 50) await full.opened
      seen.now--
      return 200
    })
    await work(webhook.id)
    t.equal(seen.max, max)
    t.equal(sent.length, 1000)
    t.equal(new Set(sent).size, 1000)
    t.same(await countByStatus(database), { succeeded: 1000 })
  },
)

t.test('what was read ahead is not sent once the webhook is disabled', async (t) => {
  const workers = await createTestWorkers(t)
  const { webhook } = await workers.addWebhook(() => ({ status: 200 }), { max_in_flight: 20 })
  await publishMany(
    workers,
    Array.from({ length: 60 }, (_, i) => `text ${i}`),
  )
  let sent = 0
  const { work } = queueProcess(workers, 'here', async () => {
    if (++sent === 1) await editWebhook(workers.database, webhook.id, { status: 'disabled' })
    return 200
  })
  await work(webhook.id)
  t.ok(sent <= 20, `${sent} were under way`)
  t.same(await countByStatus(workers.database), { succeeded: sent, pending: 60 - sent })
})
