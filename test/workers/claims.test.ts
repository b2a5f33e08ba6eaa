import t from 'tap'
import type { ClaimedBatch, ClaimWorker } from '../../src/core/event/claims.js'
import { findEvent } from '../../src/core/event/event-store.js'
import { SAMPLE_CHANGE } from '../../src/core/event/sample.js'
import type { Database } from '../../src/core/platform/database.js'
import { Refusal } from '../../src/core/platform/errors.js'
import { newId } from '../../src/core/platform/id.js'
import type { Batch } from '../../src/core/platform/queues.js'
import { fixtureMessage, sendTo } from '../helpers/findings.js'
import { alertChange, latch, watched } from '../helpers/queue-process.js'
import { ruleMatch } from '../helpers/rule-match.js'
import { until } from '../helpers/until.js'
import { createTestWorkers, log, type TestWorkers } from '../helpers/workers.js'

const ok = () => ({ status: 200 })
const away = () => new Refusal('undecided', 'The database does not answer; try again.')
const isStore = (sql: string) => sql.includes('insert into events ')
const isRelease = (sql: string) => sql.includes('set not_before = null')

/** A worker that notes what it is to dispatch, and then does what the test says. */
function fakeWorker(dispatchClaimed: (batch: ClaimedBatch) => Promise<void> = async () => {}, eventsOfJobs = 0) {
  const batches: ClaimedBatch[] = []
  const worker: ClaimWorker = {
    eventsOfJobs: () => eventsOfJobs,
    dispatchClaimed(batch) {
      batches.push(batch)
      return dispatchClaimed(batch)
    },
  }
  return { worker, batches }
}

/** A worker that never gets to its first batch, as one whose process dies after the commit. */
function deadWorker() {
  return fakeWorker(() => new Promise(() => {}))
}

/** Jobs that are added, with their waits. */
function recordedJobs() {
  const jobs: Batch[] = []
  const queues = {
    addDispatches: async (batches: readonly Batch[]) => void jobs.push(...batches),
    addWakes: async () => {},
  }
  return { jobs, queues }
}

/** Jobs that cannot be added. */
const noQueues = {
  addDispatches: async (batches: readonly Batch[]) => {
    if (batches.length > 0) throw new Error('no job can be added')
  },
  addWakes: async () => {},
}

async function undispatched({ database }: TestWorkers) {
  const { rows } = await database.query<{ event_id: string; wait_s: number | null }>(
    'select event_id, extract(epoch from not_before - now())::float8 as wait_s from undispatched order by event_id',
  )
  return rows
}

/** Ends the term of every claim. */
async function endTerms({ database }: TestWorkers): Promise<void> {
  await database.query('update undispatched set not_before = now() where not_before is not null')
}

const allDispatched = (workers: TestWorkers) =>
  until(
    () => undispatched(workers),
    ({ length }) => length === 0,
  )

t.test('what a process accepts it delivers without a job, beside the answer', async (t) => {
  const workers = await createTestWorkers(t)
  const answered = latch()
  const { receiver } = await workers.addWebhook(async () => {
    await answered.opened
    return { status: 200 }
  })
  const { publish, acceptMatches } = workers.process('two').claiming({ queues: noQueues })
  const events = [await publish('text'), await publish(JSON.stringify(SAMPLE_CHANGE))].map(({ event }) => event.id)
  const [matched] = await acceptMatches([ruleMatch({ ip: ['1.1.1.1'] })], { log })
  await receiver.waitFor(3)
  answered.open()
  await allDispatched(workers)
  for (const id of [...events, matched!.event_id!]) {
    t.match(await workers.deliveriesOf(id), [{ status: 'succeeded', attempt_count: 1 }])
  }
  t.ok(receiver.received.every(({ verified }) => verified))
})

t.test('a claimed event is the one that is stored', async (t) => {
  const workers = await createTestWorkers(t)
  await workers.addWebhook(ok)
  const { worker, batches } = fakeWorker()
  const { accept, publish } = workers.process('two').claiming({ worker })
  await publish('text')
  for (const n of [1, 2, 2]) await publish(alertChange('alert', n))
  await publish('{"updated_alert":')
  await sendTo(accept, await fixtureMessage('guardduty-dns'))
  const events = batches.flatMap((batch) => batch.events)
  t.equal(events.length, 6)
  for (const event of events) t.same(event, await findEvent(workers.database, event.id))
})

t.test('without room a message gets a job, as in a process that does not dispatch', async (t) => {
  const workers = await createTestWorkers(t)
  await workers.addWebhook(ok)
  const { worker, batches } = deadWorker()
  const { publish, claims } = workers.process('two').claiming({ worker })
  await Promise.all(Array.from({ length: 128 }, (_, i) => publish(`text ${i}`)))
  t.equal(batches.flatMap(({ events }) => events).length, 128)
  t.same(workers.dispatches, [])
  const { event } = await publish('one more')
  t.same(workers.dispatches, [event.id])
  t.match(
    (await undispatched(workers)).at(-1),
    { event_id: event.id, wait_s: null },
    'which any worker may run at once',
  )
  t.equal(claims.take({ events: 1, bytes: 1 }), undefined)

  const busy = workers.process('three').claiming({ worker: fakeWorker(undefined, 127).worker }).claims
  t.equal(busy.take({ events: 2, bytes: 1 }), undefined, 'the events of jobs count')
  t.equal(busy.take({ events: 1, bytes: 17 * 1024 * 1024 }), undefined, 'large messages count')
  t.ok(busy.take({ events: 1, bytes: 1 }))
  const closing = workers.process('four').claiming({ worker: fakeWorker().worker })
  closing.claims.stop()
  workers.dispatches.length = 0
  const { event: last } = await closing.publish('while it closes')
  t.same(workers.dispatches, [last.id])
})

t.test('what a dead process had claimed another one dispatches when the term is over, and not before', async (t) => {
  const workers = await createTestWorkers(t)
  const { receiver } = await workers.addWebhook(ok)
  const { worker } = deadWorker()
  const messageId = newId('evt')
  const { event } = await workers.process('dead').claiming({ worker }).publish('text', messageId)
  const [claimed] = await undispatched(workers)
  t.ok(claimed!.wait_s! > 0 && claimed!.wait_s! <= 3600)

  const { jobs, queues } = recordedJobs()
  const other = workers.process('other')
  const repeated = await other.claiming({ queues }).publish('text', messageId)
  t.match(repeated, { result: 'duplicate', event: { id: event.id } })
  t.match(jobs, [{ batchId: event.id, size: 1 }])
  t.ok(jobs[0]!.inMs! > 0 && jobs[0]!.inMs! <= 3_600_000, 'the job of a repeat runs when the term is over')
  await workers.runUpkeep(() => Date.now() + 2000)
  t.ok(workers.dispatches.includes(event.id), 'upkeep adds such a job')
  await other.dispatch({ eventId: event.id })
  t.equal(receiver.received.length, 0, 'a job that runs before finds nothing to do')

  await endTerms(workers)
  await other.dispatch({ eventId: event.id })
  t.same(
    receiver.received.map(({ id }) => id),
    [event.id],
  )
  t.same(await undispatched(workers), [])
})

t.test('two processes never dispatch one batch', async (t) => {
  const workers = await createTestWorkers(t)
  const { receiver } = await workers.addWebhook(ok)
  const { opened, open } = latch()
  receiver.respond = async () => {
    await opened
    return { status: 200 }
  }
  const [one, two] = [workers.process('one').claiming(), workers.process('two').claiming()]
  const sent = await Promise.all(
    Array.from({ length: 40 }, async (_, i) => {
      const messageId = newId('evt')
      const [first, second] = i % 2 === 0 ? [one, two] : [two, one]
      const { event } = await first.publish(alertChange(`alert-${i % 7}`, i), messageId)
      await second.publish(alertChange(`alert-${i % 7}`, i), messageId)
      await workers.runUpkeep(() => Date.now() + 2000)
      await workers.dispatch({ eventId: event.id })
      return event.id
    }),
  )
  open()
  await allDispatched(workers)
  const received = receiver.received.map(({ id }) => id)
  t.ok(received.length > 1)
  t.equal(new Set(received).size, received.length, 'each attempt is the only one of its event')
  for (const id of sent) t.equal((await workers.deliveriesOf(id)).length, 1)
})

t.test('a round that fails, or leaves an event, releases its claim and the batch gets a job', async (t) => {
  for (const [rule, dispatchClaimed] of [
    ['fails', () => Promise.reject(new Error('a bug'))],
    ['leaves', async (batch: ClaimedBatch) => batch.leave()],
  ] as const) {
    const workers = await createTestWorkers(t)
    const { receiver } = await workers.addWebhook(ok)
    const { publish } = workers.process('two').claiming({ worker: fakeWorker(dispatchClaimed).worker })
    const { event } = await publish('text')
    await until(
      async () => workers.dispatches,
      ({ length }) => length > 0,
    )
    t.same(workers.dispatches, [event.id], rule)
    await workers.dispatch({ eventId: event.id })
    t.equal(receiver.received.length, 1, 'which runs at once')
  }
})

t.test('while the database is away nothing is lost: what was claimed gets its job when it answers again', async (t) => {
  const workers = await createTestWorkers(t)
  const { receiver } = await workers.addWebhook(ok)
  let isAway = false
  const database = watched(workers.database, (sql) => {
    if (isStore(sql)) return
    if (sql.includes('from alert_values')) isAway = true
    if (isAway) throw away()
  })
  const answering = { ...database, ping: () => (isAway ? Promise.reject(away()) : database.ping()) }
  const two = workers.process('two').claiming({ database: answering })
  const { event } = await two.publish(alertChange('alert', 1))
  await until(async () => isAway, Boolean)
  t.same([workers.dispatches, receiver.received.length], [[], 0])
  await until(
    async () => two.claims.take({ events: 1, bytes: 1 }),
    (claim) => claim === undefined,
  )
  isAway = false
  await until(
    async () => workers.dispatches,
    ({ length }) => length > 0,
  )
  await workers.dispatch({ eventId: event.id })
  t.equal(receiver.received.length, 1)
})

t.test('a round that begins too late is left to a job', async (t) => {
  const workers = await createTestWorkers(t)
  const { receiver } = await workers.addWebhook(ok)
  let nowMs = 0
  const database = watched(workers.database, (sql) => {
    if (isStore(sql)) nowMs += 1000
  })
  const { publish } = workers.process('two').claiming({ database, now: () => nowMs })
  const { event } = await publish('text')
  await until(
    async () => workers.dispatches,
    ({ length }) => length > 0,
  )
  t.equal(receiver.received.length, 0)
  await workers.dispatch({ eventId: event.id })
  t.equal(receiver.received.length, 1)
})

t.test('an event that cannot be dispatched for a reason of its own is postponed, as one of a job', async (t) => {
  const workers = await createTestWorkers(t)
  await workers.addWebhook(ok)
  const database = watched(workers.database, (sql) => {
    if (sql.includes('from alert_values')) throw new Error('no JSON')
  })
  await workers.process('two').claiming({ database }).publish(alertChange('bad', 1))
  const failures = () => workers.database.query<{ failures: number }>('select failures from undispatched')
  await until(failures, ({ rows }) => rows[0]!.failures === 1)
  t.ok((await undispatched(workers))[0]!.wait_s! <= 5, 'seconds, as after its first failure')
  t.same(workers.dispatches, [])
})

/** A database that loses the answers of STORE once `isLost`; `late`: it carries them out only when they are let through. */
function losing(database: Database, late?: Promise<void>) {
  const state = { isLost: true, carriedOut: Promise.resolve<unknown>(undefined) }
  const losing: Database = {
    ...database,
    async query<Row>(sql: string, values?: readonly unknown[]) {
      if (!isStore(sql) || !state.isLost) return database.query<Row>(sql, values)
      state.isLost = false
      state.carriedOut = (late ?? Promise.resolve()).then(() => database.query(sql, values))
      if (!late) await state.carriedOut
      throw away()
    },
  }
  return { losing, state }
}

t.test('an event whose answer was lost is delivered promptly, with and without a repeat', async (t) => {
  const workers = await createTestWorkers(t)
  const { receiver } = await workers.addWebhook(ok)
  const { losing: database } = losing(workers.database)
  const { publish } = workers.process('two').claiming({ database })
  const messageId = newId('evt')
  await t.rejects(publish('text', messageId), { code: 'undecided' })
  await until(
    async () => workers.dispatches,
    ({ length }) => length > 0,
  )
  const eventId = (await undispatched(workers))[0]!.event_id
  t.same(workers.dispatches, [eventId])
  t.match(await publish('text', messageId), { result: 'duplicate', event: { id: eventId } })
  await workers.dispatch({ eventId })
  t.equal(receiver.received.length, 1)
})

t.test(
  'a statement that is carried out after its claim was released is found by the repeat, or by its process',
  async (t) => {
    for (const isRepeated of [true, false]) {
      const workers = await createTestWorkers(t)
      const { receiver } = await workers.addWebhook(ok)
      const [released, letThrough] = [latch(), latch()]
      const { losing: database, state } = losing(workers.database, letThrough.opened)
      const claimsDatabase = watched(workers.database, (sql) => {
        if (isRelease(sql)) released.open()
      })
      const { publish } = workers.process('two').claiming({ database, claimsDatabase })
      const messageId = newId('evt')
      await t.rejects(publish('text', messageId), { code: 'undecided' })
      await released.opened
      t.same(workers.dispatches, [])
      letThrough.open()
      await state.carriedOut
      if (isRepeated) t.match(await publish('text', messageId), { result: 'duplicate' })
      else
        await until(
          async () => workers.dispatches,
          ({ length }) => length > 0,
        )
      t.equal(workers.dispatches.length > 0, true)
      await workers.dispatch({ eventId: workers.dispatches[0]! })
      t.equal(receiver.received.length, 1, 'its claim is not waited for')
    }
  },
)

t.test('closing waits for what is being dispatched', async (t) => {
  const workers = await createTestWorkers(t)
  await workers.addWebhook(ok)
  const { opened, open } = latch()
  const { publish, claims } = workers.process('two').claiming({ worker: fakeWorker(() => opened).worker })
  await publish('text')
  let isClosed = false
  const closed = claims.close().then(() => (isClosed = true))
  await workers.database.query('select 1')
  t.notOk(isClosed)
  open()
  await closed
})
