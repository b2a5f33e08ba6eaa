import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { QueueWorker, RetryData } from '../../../src/core/platform/queues.js'
import { openTestDatabase, openTestQueues } from '../../helpers/backends.js'

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

t.test('a job that is added many times runs once, and once more when it is added after it was done', async (t) => {
  const queues = await open(t)
  const ran: string[] = []
  await Promise.all(Array.from({ length: 5 }, () => queues.addDispatches(['evt_a', 'evt_b', 'evt_a'])))
  let last = latch()
  const worker = queues.startDispatch(async ({ eventId }) => {
    ran.push(eventId)
    if (eventId === 'evt_last') last.open()
  }, 1)
  closing(t, worker)
  await queues.addDispatches(['evt_last'])
  await last.opened
  t.same(ran, ['evt_a', 'evt_b', 'evt_last'])
  last = latch()
  await queues.addDispatches(['evt_a'])
  await queues.addDispatches(['evt_last'])
  await last.opened
  t.same(ran, ['evt_a', 'evt_b', 'evt_last', 'evt_a', 'evt_last'], 'a done job frees its id')
  t.same(queues.errors, [])
})

t.test('a handler that throws frees the id and is told of', async (t) => {
  const queues = await open(t)
  let runs = 0
  const second = latch()
  const worker = queues.startDispatch(async () => {
    if (++runs === 1) throw new Error('poison')
    second.open()
  }, 1)
  closing(t, worker)
  await queues.addDispatches(['evt_a'])
  while (queues.errors.length === 0) await pause(5)
  t.match(queues.errors, [{ message: 'poison' }])
  await queues.addDispatches(['evt_a'])
  await second.opened
  t.equal(runs, 2)
})

t.test('a retry runs at its time', async (t) => {
  const queues = await open(t)
  const done = latch<number>()
  const worker = queues.startRetry(async ({ deliveryId, attempt }: RetryData) => {
    t.equal(deliveryId, 'dlv_a')
    t.equal(attempt, 2)
    done.open(Date.now())
  }, 4)
  closing(t, worker)
  const at = new Date(Date.now() + 700)
  await queues.addRetries([{ deliveryId: 'dlv_a', attempt: 2, at }])
  const late = (await done.opened) - at.getTime()
  t.ok(late >= -5, `not early (${late} ms)`)
  t.ok(late < 1000, `punctual (${late} ms)`)
})

t.test('a waiting retry keeps its time when it is added again, and is brought forward by replace', async (t) => {
  const queues = await open(t)
  const later = new Date(Date.now() + 3600_000)
  const ran: string[] = []
  const done = latch()
  await queues.addRetries([
    { deliveryId: 'dlv_a', attempt: 2, at: later },
    { deliveryId: 'dlv_b', attempt: 2, at: later },
  ])
  await queues.addRetries([{ deliveryId: 'dlv_a', attempt: 2, at: new Date() }])
  await queues.addRetries([{ deliveryId: 'dlv_b', attempt: 2, at: new Date() }], { replace: true })
  await queues.addRetries([{ deliveryId: 'dlv_c', attempt: 2, at: new Date() }], { replace: true })
  const worker = queues.startRetry(async ({ deliveryId }) => {
    ran.push(deliveryId)
    if (ran.length === 2) done.open()
  }, 1)
  closing(t, worker)
  await done.opened
  t.same(ran.sort(), ['dlv_b', 'dlv_c'], 'dlv_a waits for its own time')
})

t.test('a job that is under way is not queued again, and replace leaves it alone', async (t) => {
  const queues = await open(t)
  const started = latch()
  const finish = latch()
  let runs = 0
  const worker = queues.startRetry(async () => {
    runs++
    started.open()
    await finish.opened
  }, 4)
  const job = { deliveryId: 'dlv_a', attempt: 2, at: new Date() }
  await queues.addRetries([job])
  await started.opened
  await queues.addRetries([job])
  await queues.addRetries([job], { replace: true })
  finish.open()
  await worker.close()
  t.equal(runs, 1)
})

t.test('closing a worker waits for the job under way', async (t) => {
  const queues = await open(t)
  const started = latch()
  const finish = latch()
  let finished = false
  const worker = queues.startDispatch(async () => {
    started.open()
    await finish.opened
    finished = true
  }, 1)
  await queues.addDispatches(['evt_a', 'evt_b'])
  await started.opened
  const closed = worker.close()
  finish.open()
  await closed
  t.ok(finished)
})

t.test('two workers share the jobs: each runs once', async (t) => {
  const queues = await open(t)
  const ids = Array.from({ length: 60 }, (_, i) => `evt_${i}`)
  const ran: string[] = []
  const done = latch()
  const handler = async ({ eventId }: { eventId: string }) => {
    ran.push(eventId)
    if (ran.length === ids.length) done.open()
  }
  closing(t, queues.startDispatch(handler, 5), queues.startDispatch(handler, 5))
  await queues.addDispatches(ids)
  await done.opened
  t.same(ran.sort(), ids.sort())
})

t.test('a queue that is there answers a ping', async (t) => {
  const queues = await open(t)
  await t.resolves(queues.ping())
})
