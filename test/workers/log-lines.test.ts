import { pino } from 'pino'
import t, { type Test } from 'tap'
import { sendTest } from '../../src/core/delivery/test-delivery.js'
import { newId } from '../../src/core/platform/id.js'
import { findTarget } from '../../src/core/webhook/webhook-store.js'
import { latch } from '../helpers/queue-process.js'
import { until } from '../helpers/until.js'
import { createTestWorkers, publishMany } from '../helpers/workers.js'

type Line = Record<string, unknown> & { msg: string }

async function workersWithLog(t: Test) {
  const lines: Line[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line) as Line) })
  return {
    ...(await createTestWorkers(t, { log })),
    log,
    lines,
    named: (text: string) => lines.filter(({ msg }) => msg === text),
  }
}

t.test('an attempt that outlasts its dispatch has a line when it ends, also when it succeeds', async (t) => {
  const { lines, named, publish, addWebhook, dispatch, deliveriesOf } = await workersWithLog(t)
  const { opened, open } = latch()
  const slow = await addWebhook(
    async () => {
      await opened
      return { status: 200 }
    },
    { name: 'slow' },
  )
  const quick = await addWebhook(() => ({ status: 200 }))
  const event = await publish('text')
  const dispatched = dispatch({ eventId: event.id })
  await until(
    async () => named('dispatched'),
    (found) => found.length > 0,
  )
  const [line] = named('dispatched') as unknown as { succeeded: number; in_flight: number }[]
  t.match(line, { event_ids: [event.id], deliveries: 2, waiting: 0 })
  t.equal(line!.succeeded + line!.in_flight, 2)
  t.ok(line!.in_flight >= 1)
  open()
  await dispatched
  t.equal(line!.succeeded + named('attempt').length, 2, 'each success is in one line')
  const delivery = (await deliveriesOf(event.id)).find(({ webhook_id: id }) => id === slow.webhook.id)
  const late = named('attempt').filter(({ webhook_id: id }) => id === slow.webhook.id)
  t.equal(late.length, 1)
  t.match(late[0], {
    ...{ event_id: event.id, delivery_id: delivery!.id, webhook: 'slow', attempt: 1 },
    ...{ outcome: 'succeeded', delivery_status: 'succeeded', status_code: 200 },
  })
  t.equal(quick.receiver.received.length, 1)
  t.equal(lines.length, 1 + named('attempt').length)
})

t.test(
  'a delivery that waits is counted in the line of its dispatch, and each of its attempts has a line',
  async (t) => {
    const { named, addWebhook, work, publish, dispatch } = await workersWithLog(t)
    const { webhook } = await addWebhook(() => ({ status: 200 }), { max_in_flight: 1 })
    const event = await publish('text')
    await dispatch({ eventId: event.id })
    t.match(named('dispatched'), [{ deliveries: 1, succeeded: 0, failed: 0, in_flight: 0, waiting: 1 }])
    await work(webhook.id)
    t.match(named('attempt'), [{ event_id: event.id, attempt: 1, outcome: 'succeeded', delivery_id: /^dlv_/ }])
  },
)

t.test('a webhook that fails, recovers and is disabled has a line for each, with its name', async (t) => {
  const workers = await workersWithLog(t)
  const { lines, named, addWebhook, makeDue, work } = workers
  const { webhook, receiver } = await addWebhook(() => ({ status: 503 }), { name: 'soar' })
  await publishMany(workers, ['1', '2', '3', '4', '5'])
  const counts = named('dispatched') as unknown as Record<'succeeded' | 'failed', number>[]
  const total = (name: 'succeeded' | 'failed') => counts.reduce((sum, line) => sum + line[name], 0)
  t.same([total('succeeded'), total('failed')], [0, 5])
  receiver.respond = () => ({ status: 200 })
  await makeDue()
  await work(webhook.id)
  receiver.respond = () => ({ status: 410 })
  await publishMany(workers, ['6'])
  const about = { webhook_id: webhook.id, webhook: 'soar', event_id: /^evt_/ }
  t.match(
    lines.filter(({ msg }) => msg.startsWith('webhook ')),
    [
      { ...about, level: 40, msg: 'webhook failing', last_failure: 'rejected: status 503', failing_since: String },
      { ...about, level: 30, msg: 'webhook recovered' },
      { ...about, level: 40, msg: 'webhook disabled', disabled_reason: 'the receiver answered 410 Gone' },
    ],
  )
})

t.test('the line of a test says that it is not retried', async (t) => {
  const { database, deliver, log, sealer, addWebhook, named } = await workersWithLog(t)
  const { webhook } = await addWebhook(() => ({ status: 500 }))
  const target = (await findTarget(database, sealer, webhook.id))!
  const delivery = await sendTest({ database, deliver, log }, target, newId('dlv'))
  t.match(named('attempt'), [
    {
      ...{ delivery_id: delivery.id, event_id: delivery.event_id, outcome: 'rejected' },
      ...{ delivery_status: 'dead', next_attempt_at: null, reason: 'a test is not retried' },
    },
  ])
  t.same(named('delivery is dead'), [])
})
