import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { QueueWorker } from '../../../src/core/platform/queue-worker.js'
import { batchOf, type Batch } from '../../../src/core/platform/queues.js'
import { openTestDatabase, openTestQueues, testRedisUrl } from '../../helpers/backends.js'
import { until } from '../../helpers/until.js'

const notInServer = { skip: (!process.env.TEST_DATABASE_URL || testRedisUrl) && 'the queue is not in a server' }

/** A latch: a promise that the test opens. */
function latch<T = void>() {
  let open!: (value: T) => void
  const opened = new Promise<T>((resolve) => (open = resolve))
  return { open, opened }
}

async function open(t: Test) {
  const database = await openTestDatabase(t)
  return openTestQueues(t, database)
}

const closing = (t: Test, ...workers: QueueWorker[]) =>
  t.teardown(() => Promise.all(workers.map((worker) => worker.close())))

t.test('a job that is added many times runs once, and runs again when it is added after it was done', async (t) => {
  const queues = await open(t)
  const ran: string[] = []
  await Promise.all(Array.from({ length: 5 }, () => queues.addDispatches(['evt_a', 'evt_b', 'evt_a'].map(batchOf))))
  const first = latch()
  const second = latch()
  const worker = queues.startDispatch(async ({ batchId }) => {
    ran.push(batchId)
    if (batchId === 'evt_first') first.open()
    if (batchId === 'evt_second') second.open()
  }, 1)
  closing(t, worker)
  await queues.addDispatches([batchOf('evt_first')])
  await first.opened
  t.same(ran, ['evt_a', 'evt_b', 'evt_first'])
  // One job at a time: when evt_first runs, evt_a is done. evt_first itself may still run.
  await queues.addDispatches([batchOf('evt_a')])
  await queues.addDispatches([batchOf('evt_second')])
  await second.opened
  t.same(ran, ['evt_a', 'evt_b', 'evt_first', 'evt_a', 'evt_second'], 'a done job frees its id')
  t.same(queues.errors, [])
})

t.test('a handler that throws frees the job id, and its error is reported', async (t) => {
  const queues = await open(t)
  let runs = 0
  const second = latch()
  const worker = queues.startDispatch(async () => {
    if (++runs === 1) throw new Error('poison')
    second.open()
  }, 1)
  closing(t, worker)
  await queues.addDispatches([batchOf('evt_a')])
  while (queues.errors.length === 0) await pause(5)
  t.match(queues.errors, [{ message: 'poison' }])
  await queues.addDispatches([batchOf('evt_a')])
  await second.opened
  t.equal(runs, 2)
})

t.test('a delivery queue is woken when it is due, once a second', async (t) => {
  const queues = await open(t)
  const woken: string[] = []
  const done = latch<number>()
  const worker = queues.startWake(async ({ webhookId }) => {
    woken.push(webhookId)
    if (webhookId === 'wh_last') done.open(Date.now())
  }, 4)
  closing(t, worker)
  const second = 1000 * Math.ceil(Date.now() / 1000) + 1000
  const at = new Date(second - 300)
  await queues.addWakes([
    { webhookId: 'wh_a', at },
    { webhookId: 'wh_a', at: new Date(second - 200) },
    { webhookId: 'wh_last', at: new Date(second - 100) },
  ])
  const lateMs = (await done.opened) - (second - 100)
  t.ok(lateMs >= -5, `not early (${lateMs} ms)`)
  t.ok(lateMs < 1000, `at most a second late (${lateMs} ms)`)
  t.same(woken, ['wh_a', 'wh_last'])
})

t.test('what is due later than in a minute is left to upkeep', async (t) => {
  const queues = await open(t)
  await queues.addWakes([
    { webhookId: 'wh_a', at: new Date(Date.now() + 3600_000) },
    { webhookId: 'wh_b', at: new Date(Date.now() + 30_000) },
  ])
  const counts = await queues.counts()
  t.match(
    counts.filter(({ queue }) => queue === 'wake'),
    [{ state: 'waiting', count: 0 }, {}, { state: 'delayed', count: 1 }],
  )
})

t.test('a running job is not queued again', async (t) => {
  const queues = await open(t)
  const started = latch()
  const finish = latch()
  let runs = 0
  const worker = queues.startDispatch(async () => {
    runs++
    started.open()
    await finish.opened
  }, 4)
  await queues.addDispatches([batchOf('evt_a')])
  await started.opened
  await queues.addDispatches([batchOf('evt_a')])
  finish.open()
  await worker.close()
  t.equal(runs, 1)
})

t.test('closing a worker waits for its running job', async (t) => {
  const queues = await open(t)
  const started = latch()
  const finish = latch()
  let finished = false
  const worker = queues.startDispatch(async () => {
    started.open()
    await finish.opened
    finished = true
  }, 1)
  await queues.addDispatches(['evt_a', 'evt_b'].map(batchOf))
  await started.opened
  const closed = worker.close()
  finish.open()
  await closed
  t.ok(finished)
})

t.test('two workers share the jobs, and each job runs once', async (t) => {
  const queues = await open(t)
  const ids = Array.from({ length: 60 }, (_, i) => `evt_${i}`)
  const ran: string[] = []
  const done = latch()
  const handler = async ({ batchId }: Batch) => {
    ran.push(batchId)
    if (ran.length === ids.length) done.open()
  }
  closing(t, queues.startDispatch(handler, 5), queues.startDispatch(handler, 5))
  await queues.addDispatches(ids.map(batchOf))
  await done.opened
  t.same(ran.sort(), ids.sort())
})

t.test('a queue whose store is up answers a ping', async (t) => {
  const queues = await open(t)
  await t.resolves(queues.ping())
})

t.test('a worker whose store was down at its start is opened again', notInServer, async (t) => {
  const database = await openTestDatabase(t)
  const queues = await openTestQueues(t, database)
  const ran = latch<string>()
  await database.query('alter schema bullmq rename to away')
  closing(
    t,
    queues.startDispatch(async ({ batchId }) => ran.open(batchId), 1),
  )
  while (queues.errors.length === 0) await pause(5)
  await database.query('alter schema away rename to bullmq')
  await queues.addDispatches([batchOf('evt_a')])
  t.equal(await ran.opened, 'evt_a')
})

t.test('opening the queues waits for another process that migrates them', notInServer, async (t) => {
  const database = await openTestDatabase(t)
  await openTestQueues(t, database)
  const queues = await database.transaction(async (tx) => {
    await tx.query('lock table bullmq.migration in access exclusive mode')
    const opening = openTestQueues(t, database)
    await until(
      () =>
        database.query(`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
          and query_start < now() - interval '2.5 seconds'`),
      ({ rowCount }) => rowCount > 0,
    )
    return { opening }
  })
  const opened = await queues.opening
  await t.resolves(opened.addDispatches([batchOf('evt_a')]))
  t.match(await opened.counts(), [{ queue: 'dispatch', state: 'waiting', count: 1 }])
})
