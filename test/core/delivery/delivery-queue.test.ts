import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import {
  alertChange,
  countByStatus,
  deleteAll,
  editWebhook,
  latch,
  leaseHolderOf,
  queueProcess,
  readHealth,
  watched,
} from '../../helpers/queue-process.js'
import type { ReceivedRequest, Respond } from '../../helpers/receiver.js'
import { createTestWorkers, publishMany } from '../../helpers/workers.js'
import { deleteWebhook } from '../../../src/core/webhook/webhook-store.js'

const ok: Respond = () => ({ status: 200 })

const sequenceOf = ({ json }: ReceivedRequest) => (json as { relay: { sequence: number } }).relay.sequence
const alertOf = ({ json }: ReceivedRequest) => (json as { updated_alert: { id: string } }).updated_alert.id

/** A receiver that answers after `ms`, and the greatest number of requests that it had at once. */
function busy(ms: number) {
  const seen = { now: 0, max: 0 }
  const respond: Respond = async () => {
    seen.max = Math.max(seen.max, ++seen.now)
    await sleep(ms)
    seen.now--
    return { status: 200 }
  }
  return { seen, respond }
}

t.test('a delivery queue', async (t) => {
  const workers = await createTestWorkers(t)
  const { database, publish, addWebhook, dispatch, process, makeDue, woken } = workers
  const [one, two] = [process('one'), process('two')]
  const test = (rule: string, body: (t: Test) => Promise<void>) =>
    t.test(rule, async (t) => {
      await body(t)
      await deleteAll(workers)
    })

  await test('max_in_flight is never exceeded, also by two processes and when the lease passes between them', async (t) => {
    const { seen, respond } = busy(25)
    const { receiver, webhook } = await addWebhook(respond, { max_in_flight: 3 })
    await publishMany(
      workers,
      Array.from({ length: 30 }, (_, i) => `text ${i}`),
    )
    t.equal(receiver.received.length, 0, 'a first attempt waits in the delivery queue too')
    t.ok(woken.includes(webhook.id))
    await Promise.all([one.work(webhook.id, () => receiver.received.length >= 12), two.work(webhook.id)])
    t.ok(receiver.received.length >= 12)
    await Promise.all([one.work(webhook.id), two.work(webhook.id)])
    t.equal(receiver.received.length, 30)
    t.equal(new Set(receiver.received.map(({ id }) => id)).size, 30, 'each once')
    t.equal(seen.max, 3, 'and all of it is used')
  })

  await test('with a rate attempts are never closer than its interval, also when the lease passes to another process', async (t) => {
    const intervalMs = 50
    // The time from the slot of an attempt to where the test notes it.
    const toleranceMs = 20
    const { webhook } = await addWebhook(ok, { rate_per_second: 1000 / intervalMs })
    await publishMany(
      workers,
      Array.from({ length: 30 }, (_, i) => alertChange(`alert-${i % 3}`, i)),
    )
    const sent: number[] = []
    const [paced, other] = ['paced', 'other'].map((holder) =>
      queueProcess(workers, holder, () => sent.push(performance.now()) && 200),
    )
    for (const [i, worker] of [paced, other, paced].entries()) {
      await worker!.work(webhook.id, () => sent.length >= 10 * (i + 1))
    }
    await other!.work(webhook.id)
    t.equal(sent.length, 30)
    const early = sent.map((at, i) => i * intervalMs - (at - sent[0]!))
    t.ok(Math.max(...early) <= toleranceMs, `the earliest came ${Math.max(...early).toFixed(1)} ms early`)
    const gaps = sent.slice(1).map((at, i) => at - sent[i]!)
    t.ok(Math.min(...gaps) > intervalMs - toleranceMs, `${gaps.map((gap) => gap.toFixed())} ms`)
  })

  await test('an attempt that takes long to prepare is sent no closer to the next than the rate allows', async (t) => {
    const { webhook } = await addWebhook(ok, { rate_per_second: 10 })
    await publishMany(workers, [alertChange('slow', 1), alertChange('quick', 1), alertChange('quick', 2)])
    const sent: number[] = []
    const slow = watched(database, async (sql, [alertId]) => {
      if (sql.includes('from alert_values') && alertId === 'slow') await sleep(100)
    })
    const worker = queueProcess(workers, 'slow', () => sent.push(performance.now()) && 200, slow)
    await worker.work(webhook.id)
    t.equal(sent.length, 3)
    const gaps = sent.slice(1).map((at, i) => at - sent[i]!)
    t.ok(Math.min(...gaps) > 50, `${gaps.map((gap) => gap.toFixed())} ms`)
  })

  await test('a slot stored by a clock that ran ahead is waited for no longer than the interval', async (t) => {
    const { receiver, webhook } = await addWebhook(ok, { rate_per_second: 20 })
    await publishMany(workers, ['a', 'b'])
    await database.query(`update delivery_queues set next_send_at = now() + interval '1 year'`)
    await one.work(webhook.id)
    t.equal(receiver.received.length, 2)
    const { rows } = await database.query<{ at: Date }>('select next_send_at as at from delivery_queues')
    t.ok(rows[0]!.at.getTime() < Date.now() + 1000)
  })

  await test('each delivery is attempted once, whenever attempts end', async (t) => {
    const { receiver, webhook } = await addWebhook(ok, { order: 'alert' })
    const messages = Array.from({ length: 150 }, (_, i) => alertChange(`alert-${i % 50}`, i))
    await publishMany(workers, messages)
    await one.work(webhook.id)
    t.equal(receiver.received.length, messages.length)
    t.same(await countByStatus(workers.database), { succeeded: messages.length })
  })

  await test('a failing webhook is probed by one delivery at a time, which uses no retry of the others', async (t) => {
    const { receiver, webhook } = await addWebhook(() => ({ status: 500 }))
    const events = await publishMany(
      workers,
      Array.from({ length: 9 }, (_, i) => `text ${i}`),
    )
    t.equal(receiver.received.length, 5, 'after five failures deliveries wait')
    t.match(await readHealth(database, webhook.id), { health: 'failing', last_failure: 'rejected: status 500' })
    t.equal(workers.dispatches.filter((id) => !events.includes(id)).length, 1, 'the dispatch of its notice is queued')
    for (let probe = 1; probe <= 3; probe++) {
      await makeDue()
      await Promise.all([one.work(webhook.id), two.work(webhook.id)])
      t.equal(receiver.received.length, 5 + probe)
    }
    const { rows } = await database.query<{ sum: bigint; untouched: bigint }>(
      'select sum(attempt_count) as sum, count(*) filter (where attempt_count = 0) as untouched from deliveries',
    )
    t.equal(Number(rows[0]!.sum), 8)
    t.ok(rows[0]!.untouched >= 1n)
    t.same(await countByStatus(workers.database), { pending: 9 })
  })

  await test('a webhook that recovers is sent everything that waited, within its ramp, and is healthy again', async (t) => {
    const arrivals: number[] = []
    const { receiver, webhook } = await addWebhook(() => ({ status: 500 }))
    const events = await publishMany(
      workers,
      Array.from({ length: 9 }, (_, i) => `text ${i}`),
    )
    const { seen, respond } = busy(5)
    receiver.respond = (request, count) => {
      arrivals.push(performance.now())
      return respond(request, count)
    }
    workers.dispatches.length = 0
    await makeDue()
    await one.work(webhook.id)
    t.same(await countByStatus(workers.database), { succeeded: 9 })
    t.equal(seen.max, 1, 'it starts with one at a time')
    // Five a second at first, doubled within five seconds: 1.4 s for eight after the probe, 1.6 s without growth.
    const durationMs = arrivals.at(-1)! - arrivals[1]!
    t.ok(durationMs > 1000, `${durationMs.toFixed()} ms for seven intervals`)
    t.same(new Set(receiver.received.slice(5).map(({ id }) => id)), new Set(events))
    t.match(await readHealth(database, webhook.id), { health: 'healthy', failing_since: null, last_failure: null })
    t.equal(workers.dispatches.length, 1, 'webhook.recovered is queued')
  })

  await test('in order, a receiver accepts the changes of an alert in sequence, whatever fails in between', async (t) => {
    // Some attempts fail, different ones in each alert.
    const failing = new Set(['a-2 #1', 'a-2 #2', 'a-5 #1', 'b-1 #1', 'b-4 #1', 'b-4 #2', 'b-4 #3', 'c-6 #1'])
    const accepted = new Map<string, number[]>()
    const respond: Respond = (request) => {
      const name = `${alertOf(request)}-${sequenceOf(request)}`
      if (failing.has(`${name} #${request.attempt}`)) return { status: 500 }
      accepted.set(alertOf(request), [...(accepted.get(alertOf(request)) ?? []), sequenceOf(request)])
      return { status: 200 }
    }
    const { webhook } = await addWebhook(respond, { order: 'alert' })
    await publishMany(
      workers,
      Array.from({ length: 24 }, (_, i) => alertChange('abc'[i % 3]!, i)),
    )
    for (let round = 0; round < 20 && (await countByStatus(workers.database)).pending; round++) {
      await makeDue()
      await Promise.all([one.work(webhook.id), two.work(webhook.id)])
    }
    for (const alert of 'abc') t.same(accepted.get(alert), [1, 2, 3, 4, 5, 6, 7, 8], alert)
  })

  await test('in order, changes of different alerts do not wait for each other; those of one alert wait for the answer before', async (t) => {
    const { opened, open } = latch()
    const respond: Respond = async (request) => {
      if (alertOf(request) === 'slow') await opened
      return { status: 200 }
    }
    const { receiver, webhook } = await addWebhook(respond, { order: 'alert' })
    await publishMany(
      workers,
      [1, 2, 3].flatMap((n) => [alertChange('slow', n), alertChange('quick', n)]),
    )
    const working = one.work(webhook.id)
    await receiver.waitFor((received) => received.filter((request) => alertOf(request) === 'quick').length === 3)
    t.equal(receiver.received.length, 4, 'only one of the slow ones is in flight')
    open()
    await working
    t.same(receiver.received.filter((request) => alertOf(request) === 'slow').map(sequenceOf), [1, 2, 3])
  })

  await test('in order, no change is sent before an earlier one that is not dispatched yet', async (t) => {
    const { receiver, webhook } = await addWebhook(ok, { order: 'alert' })
    const [first, second] = [await publish(alertChange('a', 1)), await publish(alertChange('a', 2))]
    const other = await publish(alertChange('b', 1))
    await dispatch({ eventId: second.id })
    await dispatch({ eventId: other.id })
    let rounds = 0
    await one.work(webhook.id, () => ++rounds > 4)
    t.same(
      receiver.received.map(({ id }) => id),
      [other.id],
    )
    await dispatch({ eventId: first.id })
    await one.work(webhook.id)
    t.same(
      receiver.received.slice(1).map(({ id }) => id),
      [first.id, second.id],
    )
  })

  await test('in order, a change that waits for its retry delays its own alert alone; once it is dead the next are sent', async (t) => {
    const respond: Respond = (request) => ({
      status: alertOf(request) === 'a' && sequenceOf(request) === 1 ? 500 : 200,
    })
    const { receiver, webhook } = await addWebhook(respond, { order: 'alert', retry_schedule_s: [60] })
    await publishMany(workers, [alertChange('a', 1), alertChange('a', 2), alertChange('a', 3), alertChange('b', 1)])
    await one.work(webhook.id)
    t.equal(receiver.received.length, 2, 'the head of one alert, and the other alert')
    t.equal(workers.wakes.filter(({ at }) => at.getTime() > Date.now() + 50_000).length, 1, 'it is woken for the retry')
    await database.query(
      `update deliveries set next_attempt_at = now() - interval '1 second' where status = 'pending' and attempt_count = 1`,
    )
    await one.work(webhook.id)
    const received = receiver.received.map((request) => `${alertOf(request)}${sequenceOf(request)}`)
    t.same(received.slice(0, 2).sort(), ['a1', 'b1'], 'alerts are in no order among each other')
    t.same(received.slice(2), ['a1', 'a2', 'a3'])
    t.same(await countByStatus(workers.database), { dead: 1, succeeded: 3 })
  })

  await test('a disabled webhook is sent nothing, and its deliveries say that they are held', async (t) => {
    const { receiver, webhook } = await addWebhook(ok, { max_in_flight: 1 })
    const [event] = await publishMany(workers, ['a'])
    await editWebhook(database, webhook.id, { status: 'disabled' })
    await one.work(webhook.id)
    t.equal(receiver.received.length, 0)
    t.match(await workers.deliveriesOf(event!), [
      { status: 'pending', reason: 'held: the webhook is disabled', next_attempt_at: null, attempt_count: 0 },
    ])
    await editWebhook(database, webhook.id, { status: 'enabled' })
    await one.work(webhook.id)
    t.equal(receiver.received.length, 1)
  })

  await test('limits that are changed while a retry waits apply to that retry', async (t) => {
    const { seen, respond } = busy(20)
    const { receiver, webhook } = await addWebhook(() => ({ status: 500 }))
    await publishMany(workers, ['a', 'b', 'c', 'd'])
    await editWebhook(database, webhook.id, { max_in_flight: 1, retry_schedule_s: [1, 1, 1] })
    receiver.respond = respond
    await makeDue()
    await Promise.all([one.work(webhook.id), two.work(webhook.id)])
    t.equal(receiver.received.length, 8)
    t.equal(seen.max, 1)
  })

  await test('the deliveries of a deleted webhook are dropped in batches, and then its delivery queue is deleted', async (t) => {
    const { receiver, webhook } = await addWebhook(ok, { max_in_flight: 1 })
    const [event] = await publishMany(workers, ['a'])
    await database.query(
      `with copies as (
         insert into events (id, type, payload, sent_at, received_at)
         select 'evt_' || lpad(n::text, 32, '0'), type, payload, sent_at, received_at
         from events, generate_series(1, 2499) as n where id = $1 returning id)
       insert into deliveries (id, event_id, webhook_id, status, next_attempt_at, created_at, updated_at)
       select replace(id, 'evt_', 'dlv_'), id, $2, 'pending', now(), now(), now() from copies`,
      [event, webhook.id],
    )
    await deleteWebhook(database, webhook.id)
    const batches: number[] = []
    const counted = watched(database, async (sql) => {
      if (sql.includes(`'the webhook was deleted'`)) batches.push((await countByStatus(workers.database)).pending ?? 0)
    })
    await queueProcess(workers, 'dropping', () => 200, counted).work(webhook.id)
    t.same(batches, [2500, 1500, 500])
    t.same(await countByStatus(workers.database), { dropped: 2500 })
    t.equal(await leaseHolderOf(workers.database, webhook.id), undefined)
    t.equal(receiver.received.length, 0)
  })

  await test('a clock that was set back does not keep a recovering webhook at the start of its ramp', async (t) => {
    const { receiver, webhook } = await addWebhook(ok, { max_in_flight: 1 })
    await publishMany(
      workers,
      Array.from({ length: 5 }, (_, i) => `text ${i}`),
    )
    await database.query(
      `update delivery_queues set health = 'recovering', recovering_since = now() + interval '1 year'`,
    )
    await one.work(webhook.id)
    t.equal(receiver.received.length, 5)
    t.match(await readHealth(database, webhook.id), { health: 'healthy' }, 'nothing is pending any more')
  })
})
