/** What the failures of one delivery mean for the others of its webhook. */
import t, { type Test } from 'tap'
import { HEALTHY } from '../../../src/core/circuit/health.js'
import { probeNow } from '../../../src/core/circuit/health-store.js'
import { createCircuitTransitions } from '../../../src/core/circuit/transitions.js'
import { alertChange, countByStatus, deleteAll, latch, readHealth } from '../../helpers/queue-process.js'
import type { ReceivedRequest, Reply, Respond } from '../../helpers/receiver.js'
import { createTestWorkers, log, publishMany } from '../../helpers/workers.js'

const ok: Respond = () => ({ status: 200 })
const alertOf = ({ json }: ReceivedRequest) => (json as { updated_alert: { id: string } }).updated_alert.id
const overloaded = (retryAfter: string): Reply => ({ status: 429, headers: { 'retry-after': retryAfter } })
const textsOf = (count: number) => Array.from({ length: count }, (_, i) => `text ${i}`)

t.test('an outcome counts against its subject', async (t) => {
  const workers = await createTestWorkers(t)
  const { database, publish, addWebhook, dispatch, process, makeDue } = workers
  const [one, two] = [process('one'), process('two')]
  const test = (rule: string, body: (t: Test) => Promise<void>) =>
    t.test(rule, async (t) => {
      await body(t)
      await deleteAll(workers)
    })
  const makeDeliveriesDue = () =>
    database.query(`update deliveries set next_attempt_at = now() - interval '1 second' where status = 'pending'`)
  const endHold = () => database.query(`update delivery_queues set resume_at = now() - interval '1 millisecond'`)

  await test('a receiver that refuses one growing alert gets all the others at once', async (t) => {
    const { receiver, webhook } = await addWebhook((request) => ({
      status: alertOf(request) === 'growing' ? 413 : 200,
    }))
    const growing = Array.from({ length: 8 }, (_, n) => alertChange('growing', n))
    await publishMany(workers, growing)
    await makeDue()
    await one.work(webhook.id)
    t.equal(receiver.received.length, 16, 'what is refused is retried on its own schedule')
    await publishMany(
      workers,
      Array.from({ length: 30 }, (_, n) => alertChange(`alert-${n}`, n)),
    )
    t.equal(new Set(receiver.received.slice(16).map(alertOf)).size, 30)
    t.same(await countByStatus(database), { pending: 8, succeeded: 30 })
    t.match(await readHealth(database, webhook.id), { status: 'enabled', health: 'healthy' })
  })

  await test('the Retry-After of a 429 holds the webhook: nothing before it, then one probe, then everything', async (t) => {
    const { receiver, webhook } = await addWebhook(() => overloaded('30'))
    const [first] = await publishMany(workers, ['first'])
    const later = await publishMany(workers, textsOf(5))
    await makeDeliveriesDue()
    await Promise.all([one.work(webhook.id), two.work(webhook.id)])
    await two.dispatch({ eventId: (await publish('more')).id })
    t.equal(receiver.received.length, 1, 'neither a retry nor a first attempt')
    const { rows } = await database.query<{ at: Date }>('select resume_at as at from delivery_queues')
    const toleranceMs = 5
    const early = workers.wakes.filter(({ at }) => at.getTime() < rows[0]!.at.getTime() - toleranceMs)
    t.same(early, [], 'its queue is woken at the end of the hold')
    t.ok(workers.wakes.length > 1)
    t.match(await workers.deliveriesOf(later[0]!), [
      { reason: /^waits: the receiver asked for nothing before .*Z, then one delivery is tried$/, attempt_count: 0 },
    ])
    t.match(await readHealth(database, webhook.id), { health: 'healthy' })

    const { opened, open } = latch()
    receiver.respond = async (_request, count) => {
      if (count === 2) await opened
      return { status: 200 }
    }
    await endHold()
    const working = Promise.all([one.work(webhook.id), two.work(webhook.id)])
    await receiver.waitFor(2)
    await two.dispatch({ eventId: (await publish('more')).id })
    t.equal(receiver.received.length, 2, 'one probe')
    open()
    await working
    t.equal(receiver.received.length, 9, 'then everything')
    t.ok(receiver.received.slice(1).some(({ id }) => id === first))
    await dispatch({ eventId: (await publish('at once')).id })
    t.equal(receiver.received.length, 10)
    t.same(await countByStatus(database), { succeeded: 9 })
  })

  await test('a retry by hand does not wait for the end of the hold, and is one probe', async (t) => {
    const { receiver, webhook } = await addWebhook(() => overloaded('9'.repeat(400)))
    await publishMany(workers, textsOf(3))
    await makeDeliveriesDue()
    const { rows } = await database.query<{ s: number }>(
      'select extract(epoch from resume_at - now())::float8 as s from delivery_queues',
    )
    t.ok(Math.abs(rows[0]!.s - 86_400) < 60, 'a day at most')
    await probeNow(database, [webhook.id], new Date())
    await one.work(webhook.id)
    t.equal(receiver.received.length, 2)
    receiver.respond = ok
    await probeNow(database, [webhook.id], new Date())
    await makeDeliveriesDue()
    await one.work(webhook.id)
    t.equal(receiver.received.length, 5)
  })

  await test('a delivery queue is held in the middle of its work when another process gets the answer', async (t) => {
    const { opened, open } = latch()
    const respond: Respond = async () => {
      await opened
      return { status: 200 }
    }
    const { receiver, webhook } = await addWebhook(respond, { max_in_flight: 1 })
    await publishMany(workers, textsOf(3))
    const working = one.work(webhook.id)
    await receiver.waitFor(1)
    const other = createCircuitTransitions({ database, log, disableAfterMs: 86_400_000 })
    const failure = { reason: 'rejected: status 429', gone: false, subject: 'receiver' as const }
    const resumeAt = new Date(Date.now() + 30_000)
    await other.record([{ webhookId: webhook.id, health: HEALTHY, failure: { ...failure, resumeAt } }])
    open()
    await working
    t.equal(receiver.received.length, 1, 'what else is due waits')
    t.same(await countByStatus(database), { pending: 2, succeeded: 1 })
  })

  await test('a Retry-After that is shorter than the slot uses up none; a longer one takes its place', async (t) => {
    const { webhook, receiver } = await addWebhook((_request, count) =>
      count === 1 ? { status: 500 } : overloaded('30'),
    )
    const read = async () =>
      (
        await database.query<{ attempts: number; schedule_start: number; wait_s: number }>(
          `select d.attempt_count as attempts, d.schedule_start, round(extract(epoch from d.next_attempt_at
             - a.started_at) - a.duration_ms / 1000.0)::int as wait_s
           from deliveries d join attempts a on a.delivery_id = d.id and a.number = d.attempt_count`,
        )
      ).rows[0]
    await publishMany(workers, ['text'])
    t.same(await read(), { attempts: 1, schedule_start: 0, wait_s: 5 })
    await makeDue()
    await one.work(webhook.id)
    t.same(await read(), { attempts: 2, schedule_start: 1, wait_s: 30 }, '30 s in the slot of 300 s')
    const replies = ['7200', new Date(Date.now() + 7_200_000).toUTCString()]
    for (const [i, retryAfter] of replies.entries()) {
      receiver.respond = () => overloaded(retryAfter)
      await makeDue()
      await one.work(webhook.id)
      const { attempts, schedule_start: start, wait_s: waitS } = (await read())!
      t.same([attempts, start], [3 + i, 1], retryAfter)
      t.ok(Math.abs(waitS - 7200) < 60, `${waitS} s in the slot of 300 or 1,800 s`)
    }
    await database.query('delete from deliveries')
    receiver.respond = () => overloaded('7200')
    await endHold()
    await publishMany(workers, ['text'])
    await one.work(webhook.id)
    t.same(await read(), { attempts: 1, schedule_start: 0, wait_s: 7200 }, 'two hours in the slot of 5 s')
  })

  await test('a first attempt that is told to come again in two seconds uses no slot, and ten of them do not make a delivery dead', async (t) => {
    const { webhook, receiver } = await addWebhook(() => overloaded('2'), { retry_schedule_s: [5] })
    await publishMany(workers, ['text'])
    for (let i = 0; i < 10; i++) {
      await makeDue()
      await one.work(webhook.id)
    }
    t.equal(receiver.received.length, 11)
    t.same(await countByStatus(database), { pending: 1 })
    t.match(await readHealth(database, webhook.id), { health: 'failing' }, 'the circuit bounds them')
    receiver.respond = () => ({ status: 500 })
    await makeDue()
    await one.work(webhook.id)
    t.same(await countByStatus(database), { pending: 1 })
    await makeDue()
    await one.work(webhook.id)
    t.same(await countByStatus(database), { dead: 1 }, 'the schedule has two attempts')
  })

  await test('a hold that a clock which ran ahead has stored is corrected', async (t) => {
    await addWebhook(ok)
    const hold = async (interval: string) => {
      await database.query(`update delivery_queues set resume_at = now() + interval '${interval}'`)
      await workers.runUpkeep()
      const { rows } = await database.query<{ s: number }>(
        'select extract(epoch from resume_at - now())::float8 as s from delivery_queues',
      )
      return rows[0]!.s
    }
    t.ok((await hold('24 hours')) > 86_000)
    t.ok((await hold('25 hours')) < 60)
  })

  await test('Slack gets one message a second unless the webhook says otherwise', async (t) => {
    const timeFor = async (count: number, rate: number | null) => {
      const arrivals: number[] = []
      const respond: Respond = () => {
        arrivals.push(performance.now())
        return { status: 200 }
      }
      const { webhook } = await addWebhook(respond, { format: 'slack', rate_per_second: rate })
      await publishMany(workers, textsOf(count))
      await Promise.all([one.work(webhook.id), two.work(webhook.id)])
      t.equal(arrivals.length, count)
      await deleteAll(workers)
      return arrivals.at(-1)! - arrivals[0]!
    }
    // The time from the slot of an attempt to where the test notes it.
    const toleranceMs = 200
    t.ok((await timeFor(2, null)) > 1000 - toleranceMs)
    t.ok((await timeFor(6, 100)) < 5000 - toleranceMs)
  })
})
