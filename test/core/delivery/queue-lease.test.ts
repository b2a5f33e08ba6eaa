import t, { type Test } from 'tap'
import { countByStatus, deleteAll, latch, leaseHolderOf, queueProcess, watched } from '../../helpers/queue-process.js'
import type { Respond } from '../../helpers/receiver.js'
import { createTestWorkers, publishMany } from '../../helpers/workers.js'

const ok: Respond = () => ({ status: 200 })

t.test('the lease of a delivery queue', async (t) => {
  const workers = await createTestWorkers(t)
  const { database, publish, addWebhook, dispatch, process } = workers
  const [one, two] = [process('one'), process('two')]
  const test = (rule: string, body: (t: Test) => Promise<void>) =>
    t.test(rule, async (t) => {
      await body(t)
      await deleteAll(workers)
    })

  await test('the lease of a process that died is taken over when it expires, and the queue is worked on', async (t) => {
    const { receiver, webhook } = await addWebhook(ok, { max_in_flight: 1 })
    await publishMany(workers, ['a', 'b', 'c'])
    await database.query(`update delivery_queues set holder = 'dead', held_until = now() + interval '1 hour'`)
    await one.work(webhook.id)
    t.equal(receiver.received.length, 0, 'its lease has not expired')
    await database.query(`update delivery_queues set held_until = now() - interval '1 second'`)
    await one.work(webhook.id)
    t.equal(receiver.received.length, 3)
    t.equal(await leaseHolderOf(workers.database, webhook.id), null)
  })

  await test('a process that lost its lease records the attempts in flight and starts no other', async (t) => {
    const { webhook } = await addWebhook(ok, { max_in_flight: 1 })
    await publishMany(workers, ['a', 'b', 'c'])
    const sent: string[] = []
    const answer = async ({ event }: { event: { id: string } }) => {
      sent.push(event.id)
      if (sent.length > 1) return 200
      await database.query(`update delivery_queues set held_until = now() - interval '1 second'`)
      await giveLeaseTo('another')
      return 500
    }
    const giveLeaseTo = async (holder: string) =>
      database.query("update delivery_queues set holder = $1, held_until = now() + interval '1 hour'", [holder])
    await queueProcess(workers, 'late', answer).work(webhook.id)
    t.equal(sent.length, 1)
    t.equal((await database.query('select from attempts')).rowCount, 1)
    t.equal(await leaseHolderOf(workers.database, webhook.id), 'another')
  })

  await test('a delivery that becomes due while the lease is being released is attempted: `wanted` keeps the lease', async (t) => {
    const { webhook } = await addWebhook(ok, { max_in_flight: 1 })
    await publishMany(workers, ['a'])
    let laterId: string | undefined
    const sent: string[] = []
    const racing = watched(database, async (sql) => {
      if (laterId !== undefined || !/wanted = false,\s+next_send_at/.test(sql)) return
      laterId = (await publish('later')).id
      await dispatch({ eventId: laterId })
      await two.work(webhook.id)
    })
    const answer = ({ event }: { event: { id: string } }) => {
      sent.push(event.id)
      return 200
    }
    await queueProcess(workers, 'racing', answer, racing).work(webhook.id)
    t.equal(sent.length, 2)
    t.equal(sent[1], laterId)
    t.equal(await leaseHolderOf(workers.database, webhook.id), null)
  })

  await test('a process that stops starts no attempt and releases the lease when those in flight have ended', async (t) => {
    const { opened, open } = latch()
    const { receiver, webhook } = await addWebhook(async () => opened.then(() => ({ status: 200 })), {
      max_in_flight: 2,
    })
    await publishMany(workers, ['a', 'b', 'c', 'd'])
    let isDone = false
    const working = one.work(webhook.id, () => receiver.received.length >= 2).then(() => (isDone = true))
    await receiver.waitFor(2)
    await two.work(webhook.id)
    t.notOk(isDone)
    t.equal(await leaseHolderOf(workers.database, webhook.id), 'one')
    open()
    await working
    t.same([receiver.received.length, await countByStatus(workers.database)], [2, { pending: 2, succeeded: 2 }])
    t.equal(await leaseHolderOf(workers.database, webhook.id), null)
    await two.work(webhook.id)
    t.equal(receiver.received.length, 4)
  })
})
