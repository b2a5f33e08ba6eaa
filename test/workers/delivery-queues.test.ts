import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createDeliveryQueues } from '../../src/core/delivery/delivery-queues.js'
import { recordDispatches } from '../../src/core/delivery/delivery-store.js'
import { newId } from '../../src/core/platform/id.js'
import { deleteWebhook } from '../../src/core/webhook/webhook-store.js'
import { editWebhook, queueProcess, standingOf, watched } from '../helpers/queue-process.js'
import type { ReceivedRequest, Respond } from '../helpers/receiver.js'
import { publishMany, createTestWorkers, type TestWorkers } from '../helpers/workers.js'

const ok: Respond = () => ({ status: 200 })

function change(alertId: string, n: number): string {
  const context = { n: [n] }
  return JSON.stringify({
    updated_alert: { id: alertId, context },
    incoming_rule_matches_context: context,
    context_diff: {},
  })
}

const sequenceOf = ({ json }: ReceivedRequest) => (json as { relay: { sequence: number } }).relay.sequence
const alertOf = ({ json }: ReceivedRequest) => (json as { updated_alert: { id: string } }).updated_alert.id

function latch() {
  let open = () => {}
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open }
}

/** A receiver that takes its time, and counts how many it has at once. */
function busy(ms: number) {
  const seen = { now: 0, most: 0 }
  const respond: Respond = async () => {
    seen.most = Math.max(seen.most, ++seen.now)
    await pause(ms)
    seen.now--
    return { status: 200 }
  }
  return { seen, respond }
}

/** Everything of one test is gone for the next: webhooks, delivery queues, events. */
async function clean({ database, dispatches, wakes }: TestWorkers): Promise<void> {
  const { rows } = await database.query<{ id: string }>('select id from webhooks')
  for (const { id } of rows) await deleteWebhook(database, id)
  await database.query('delete from delivery_queues')
  await database.query('delete from events')
  await database.query('delete from alerts')
  dispatches.length = wakes.length = 0
}

async function statuses({ database }: TestWorkers): Promise<Record<string, number>> {
  const { rows } = await database.query<{ status: string; count: bigint }>(
    'select status, count(*) from deliveries group by status',
  )
  return Object.fromEntries(rows.map(({ status, count }) => [status, Number(count)]))
}

async function holderOf({ database }: TestWorkers, webhookId: string): Promise<string | null | undefined> {
  const { rows } = await database.query<{ holder: string | null }>(
    'select holder from delivery_queues where webhook_id = $1',
    [webhookId],
  )
  return rows[0]?.holder
}

t.test('delivery queues', async (t) => {
  const workers = await createTestWorkers(t)
  const { database, publish, addWebhook, dispatch, process, makeDue, woken } = workers
  const [one, two] = [process('one'), process('two')]
  const test = (rule: string, body: (t: Test) => Promise<void>) =>
    t.test(rule, async (t) => {
      await body(t)
      await clean(workers)
    })

  await test('max_in_flight is never exceeded, also by two processes and when the delivery queue passes between them', async (t) => {
    const { seen, respond } = busy(25)
    const { receiver, webhook } = await addWebhook(respond, { max_in_flight: 3 })
    await publishMany(
      workers,
      Array.from({ length: 30 }, (_, i) => `text ${i}`),
    )
    t.equal(receiver.received.length, 0, 'a first attempt waits in the delivery queue like any other')
    t.ok(woken.includes(webhook.id))
    await Promise.all([one.work(webhook.id, () => receiver.received.length >= 12), two.work(webhook.id)])
    t.ok(receiver.received.length >= 12)
    await Promise.all([one.work(webhook.id), two.work(webhook.id)])
    t.equal(receiver.received.length, 30)
    t.equal(new Set(receiver.received.map(({ id }) => id)).size, 30, 'each once')
    t.equal(seen.most, 3, 'and all of it is used')
  })

  await test('with a rate attempts are never closer than its interval, also when the delivery queue passes to another process', async (t) => {
    const intervalMs = 50
    // from its place in the pace to where it is noted an attempt goes without waiting, yet not in no time
    const toleranceMs = 20
    const { webhook } = await addWebhook(ok, { rate_per_second: 1000 / intervalMs })
    await publishMany(
      workers,
      Array.from({ length: 30 }, (_, i) => change(`alert-${i % 3}`, i)),
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

  await test('what takes long to prepare is sent no closer to the next than the rate says', async (t) => {
    const { webhook } = await addWebhook(ok, { rate_per_second: 10 })
    await publishMany(workers, [change('slow', 1), change('quick', 1), change('quick', 2)])
    const sent: number[] = []
    const slow = watched(database, async (sql, [alertId]) => {
      if (sql.includes('from alert_values') && alertId === 'slow') await pause(100)
    })
    const worker = queueProcess(workers, 'slow', () => sent.push(performance.now()) && 200, slow)
    await worker.work(webhook.id)
    t.equal(sent.length, 3)
    const gaps = sent.slice(1).map((at, i) => at - sent[i]!)
    t.ok(Math.min(...gaps) > 50, `${gaps.map((gap) => gap.toFixed())} ms`)
  })

  await test('a place in the pace that a clock ahead has left is waited for no longer than the interval', async (t) => {
    const { receiver, webhook } = await addWebhook(ok, { rate_per_second: 20 })
    await publishMany(workers, ['a', 'b'])
    await database.query(`update delivery_queues set next_send_at = now() + interval '1 year'`)
    await one.work(webhook.id)
    t.equal(receiver.received.length, 2)
    const { rows } = await database.query<{ at: Date }>('select next_send_at as at from delivery_queues')
    t.ok(rows[0]!.at.getTime() < Date.now() + 1000)
  })

  await test('each delivery is attempted once, however the ends of attempts fall', async (t) => {
    const { receiver, webhook } = await addWebhook(ok, { order: 'alert' })
    const messages = Array.from({ length: 150 }, (_, i) => change(`alert-${i % 50}`, i))
    await publishMany(workers, messages)
    await one.work(webhook.id)
    t.equal(receiver.received.length, messages.length)
    t.same(await statuses(workers), { succeeded: messages.length })
  })

  await test('a failing webhook is probed by one delivery at a time, and that uses no slot of the others', async (t) => {
    const { receiver, webhook } = await addWebhook(() => ({ status: 500 }))
    const events = await publishMany(
      workers,
      Array.from({ length: 9 }, (_, i) => `text ${i}`),
    )
    t.equal(receiver.received.length, 5, 'after five failures what comes waits')
    t.match(await standingOf(database, webhook.id), { health: 'failing', last_failure: 'rejected: status 500' })
    t.equal(workers.dispatches.filter((id) => !events.includes(id)).length, 1, 'its notice is queued')
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
    t.same(await statuses(workers), { pending: 9 })
  })

  await test('a webhook that comes back is sent all that waited, within its ramp, and is well again', async (t) => {
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
    t.same(await statuses(workers), { succeeded: 9 })
    t.equal(seen.most, 1, 'it begins with one at a time')
    // five a second at first, doubled within five seconds: 1.4 s for eight after the probe, were it never growing 1.6 s
    const took = arrivals.at(-1)! - arrivals[1]!
    t.ok(took > 1000, `${took.toFixed()} ms for seven intervals`)
    t.same(new Set(receiver.received.slice(5).map(({ id }) => id)), new Set(events))
    t.match(await standingOf(database, webhook.id), { health: 'healthy', failing_since: null, last_failure: null })
    t.equal(workers.dispatches.length, 1, 'webhook.recovered is queued')
  })

  await test('in order, changes of an alert are first taken in sequence, whatever fails in between', async (t) => {
    // a failure here and there, never the same one in two alerts
    const failing = new Set(['a-2 #1', 'a-2 #2', 'a-5 #1', 'b-1 #1', 'b-4 #1', 'b-4 #2', 'b-4 #3', 'c-6 #1'])
    const taken = new Map<string, number[]>()
    const respond: Respond = (request) => {
      const name = `${alertOf(request)}-${sequenceOf(request)}`
      if (failing.has(`${name} #${request.attempt}`)) return { status: 500 }
      taken.set(alertOf(request), [...(taken.get(alertOf(request)) ?? []), sequenceOf(request)])
      return { status: 200 }
    }
    const { webhook } = await addWebhook(respond, { order: 'alert' })
    await publishMany(
      workers,
      Array.from({ length: 24 }, (_, i) => change('abc'[i % 3]!, i)),
    )
    for (let round = 0; round < 20 && (await statuses(workers)).pending; round++) {
      await makeDue()
      await Promise.all([one.work(webhook.id), two.work(webhook.id)])
    }
    for (const alert of 'abc') t.same(taken.get(alert), [1, 2, 3, 4, 5, 6, 7, 8], alert)
  })

  await test('changes of different alerts do not wait for each other; those of one wait for the answer before', async (t) => {
    const { opened, open } = latch()
    const respond: Respond = async (request) => {
      if (alertOf(request) === 'slow') await opened
      return { status: 200 }
    }
    const { receiver, webhook } = await addWebhook(respond, { order: 'alert', timeout_ms: 10_000 })
    await publishMany(
      workers,
      [1, 2, 3].flatMap((n) => [change('slow', n), change('quick', n)]),
    )
    const working = one.work(webhook.id)
    await receiver.waitFor((received) => received.filter((request) => alertOf(request) === 'quick').length === 3)
    t.equal(receiver.received.length, 4, 'one of the slow ones is under way, no more')
    open()
    await working
    t.same(receiver.received.filter((request) => alertOf(request) === 'slow').map(sequenceOf), [1, 2, 3])
  })

  await test('nothing overtakes an earlier change that is not dispatched yet', async (t) => {
    const { receiver, webhook } = await addWebhook(ok, { order: 'alert' })
    const [first, second] = [await publish(change('a', 1)), await publish(change('a', 2))]
    const other = await publish(change('b', 1))
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

  await test('in order, a change that ends dead or waits for its retry holds back its own alert, and then the next go', async (t) => {
    const respond: Respond = (request) => ({
      status: alertOf(request) === 'a' && sequenceOf(request) === 1 ? 500 : 200,
    })
    const { receiver, webhook } = await addWebhook(respond, { order: 'alert', retry_schedule_s: [60] })
    await publishMany(workers, [change('a', 1), change('a', 2), change('a', 3), change('b', 1)])
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
    t.same(await statuses(workers), { dead: 1, succeeded: 3 })
  })

  await test('a delivery queue whose holder died is taken over when its time is over, and goes on', async (t) => {
    const { receiver, webhook } = await addWebhook(ok, { max_in_flight: 1 })
    await publishMany(workers, ['a', 'b', 'c'])
    await database.query(`update delivery_queues set holder = 'dead', held_until = now() + interval '1 hour'`)
    await one.work(webhook.id)
    t.equal(receiver.received.length, 0, 'it may still be alive')
    await database.query(`update delivery_queues set held_until = now() - interval '1 second'`)
    await one.work(webhook.id)
    t.equal(receiver.received.length, 3)
    t.equal(await holderOf(workers, webhook.id), null)
  })

  await test('a holder that lost its delivery queue writes what it began, and begins nothing more', async (t) => {
    const { webhook } = await addWebhook(ok, { max_in_flight: 1 })
    await publishMany(workers, ['a', 'b', 'c'])
    const sent: string[] = []
    const answer = async ({ event }: { event: { id: string } }) => {
      sent.push(event.id)
      if (sent.length > 1) return 200
      await database.query(`update delivery_queues set held_until = now() - interval '1 second'`)
      await takeLeaseBy('thief')
      return 500
    }
    const takeLeaseBy = async (holder: string) =>
      database.query("update delivery_queues set holder = $1, held_until = now() + interval '1 hour'", [holder])
    await queueProcess(workers, 'late', answer).work(webhook.id)
    t.equal(sent.length, 1)
    t.equal((await database.query('select from attempts')).rowCount, 1)
    t.equal(await holderOf(workers, webhook.id), 'thief')
  })

  await test('what comes between the last look and letting go is looked at: a note keeps the delivery queue', async (t) => {
    const { webhook } = await addWebhook(ok, { max_in_flight: 1 })
    await publishMany(workers, ['a'])
    let late: string | undefined
    const sent: string[] = []
    const racing = watched(database, async (sql) => {
      if (late !== undefined || !/wanted = false,\s+next_send_at/.test(sql)) return
      late = (await publish('late')).id
      await dispatch({ eventId: late })
      await two.work(webhook.id)
    })
    const answer = ({ event }: { event: { id: string } }) => {
      sent.push(event.id)
      return 200
    }
    await queueProcess(workers, 'racing', answer, racing).work(webhook.id)
    t.equal(sent.length, 2)
    t.equal(sent[1], late)
    t.equal(await holderOf(workers, webhook.id), null)
  })

  await test('a process that stops begins nothing more, and lets go of the delivery queue when what it began is over', async (t) => {
    const { opened, open } = latch()
    const { receiver, webhook } = await addWebhook(async () => opened.then(() => ({ status: 200 })), {
      max_in_flight: 2,
      timeout_ms: 10_000,
    })
    await publishMany(workers, ['a', 'b', 'c', 'd'])
    let over = false
    const working = one.work(webhook.id, () => receiver.received.length >= 2).then(() => (over = true))
    await receiver.waitFor(2)
    await two.work(webhook.id)
    t.notOk(over)
    t.equal(await holderOf(workers, webhook.id), 'one')
    open()
    await working
    t.same([receiver.received.length, await statuses(workers)], [2, { pending: 2, succeeded: 2 }])
    t.equal(await holderOf(workers, webhook.id), null)
    await two.work(webhook.id)
    t.equal(receiver.received.length, 4)
  })

  await test('the delivery queues of a process: one at a time for a webhook, told of what comes, closed when it is over', async (t) => {
    const { opened, open } = latch()
    const { webhook } = await addWebhook(ok, { max_in_flight: 1 })
    await publishMany(workers, ['a'])
    const sent: string[] = []
    const begun = latch()
    const { options } = queueProcess(workers, 'here', async ({ event }) => {
      sent.push(event.id)
      begun.open()
      await opened
      return 200
    })
    const queues = createDeliveryQueues(options)
    for (let i = 0; i < 3; i++) queues.wake(webhook.id)
    await begun.opened
    const [later] = await publishMany(workers, ['b'])
    queues.wake(webhook.id)
    queues.wake(newId('wh'))
    const closed = queues.close()
    queues.wake(webhook.id)
    open()
    await closed
    t.equal(sent.length, 1, 'what is closing begins nothing')
    t.equal(await holderOf(workers, webhook.id), null)
    const again = createDeliveryQueues(options)
    again.wake(webhook.id)
    while ((await statuses(workers)).pending) await new Promise(setImmediate)
    await again.close()
    t.same(sent.slice(1), [later])
  })

  await test('a disabled webhook is left alone, and what waits for it says that it is held', async (t) => {
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

  await test('a webhook whose limits are changed while its retry waits: those of now apply', async (t) => {
    const { seen, respond } = busy(20)
    const { receiver, webhook } = await addWebhook(() => ({ status: 500 }))
    await publishMany(workers, ['a', 'b', 'c', 'd'])
    await editWebhook(database, webhook.id, { max_in_flight: 1, retry_schedule_s: [1, 1, 1] })
    receiver.respond = respond
    await makeDue()
    await Promise.all([one.work(webhook.id), two.work(webhook.id)])
    t.equal(receiver.received.length, 8)
    t.equal(seen.most, 1)
  })

  await test('a deleted webhook: what waited is dropped in batches, however much, and its delivery queue is gone', async (t) => {
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
      if (sql.includes(`'the webhook was deleted'`)) batches.push((await statuses(workers)).pending ?? 0)
    })
    await queueProcess(workers, 'dropping', () => 200, counted).work(webhook.id)
    t.same(batches, [2500, 1500, 500])
    t.same(await statuses(workers), { dropped: 2500 })
    t.equal(await holderOf(workers, webhook.id), undefined)
    t.equal(receiver.received.length, 0)
  })

  await test('a delivery that was written after its webhook and delivery queue were gone is dropped too', async (t) => {
    const { webhook } = await addWebhook(ok, { max_in_flight: 1 })
    const event = await publish('a')
    await deleteWebhook(database, webhook.id)
    await one.work(webhook.id)
    t.equal(await holderOf(workers, webhook.id), undefined)
    const state = { status: 'pending' as const, nextAttemptAt: new Date(), reason: null }
    const late = { deliveryId: newId('dlv'), webhookId: webhook.id, state, attempt: undefined, sealed: true }
    await recordDispatches(database, [{ event, results: [late] }], new Date())
    workers.wakes.length = 0
    await workers.runUpkeep()
    for (const { webhookId } of workers.wakes) await one.work(webhookId)
    t.notOk((await statuses(workers)).pending, 'it would wait for ever, and its event be kept for ever')
  })

  await test('a clock that ran ahead and was set right: upkeep brings everything back into time', async (t) => {
    const { receiver, webhook } = await addWebhook(() => ({ status: 500 }))
    const limited = await addWebhook(ok, { rate_per_second: 20 })
    await publishMany(
      workers,
      Array.from({ length: 6 }, (_, i) => `text ${i}`),
    )
    t.match(await standingOf(database, webhook.id), { health: 'failing' })
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
    t.same(await statuses(workers), { succeeded: 12 })
  })

  await test('recovering, a clock that was set back keeps nobody at the beginning of the ramp', async (t) => {
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
    t.match(await standingOf(database, webhook.id), { health: 'healthy' }, 'nothing waits any more')
  })
})
