import t from 'tap'
import { alertChange, readHealth } from '../../helpers/queue-process.js'
import type { ReceivedRequest } from '../../helpers/receiver.js'
import { createTestWorkers, publishMany } from '../../helpers/workers.js'

const alertOf = ({ json }: ReceivedRequest) => (json as { updated_alert: { id: string } }).updated_alert.id

t.test(
  'a probe is a delivery of another alert than the last one, and one that was never refused goes first',
  async (t) => {
    const workers = await createTestWorkers(t)
    const { database, addWebhook, makeDue, work } = workers
    const { receiver, webhook } = await addWebhook((request) => ({ status: alertOf(request) === 'big' ? 413 : 500 }))
    await publishMany(workers, [alertChange('big', 1), alertChange('big', 2)])
    t.match(await readHealth(database, webhook.id), { health: 'healthy' })
    const others = ['a', 'a', 'a', 'a', 'a', 'b', 'b', 'c']
    await publishMany(
      workers,
      others.map((alert, n) => alertChange(alert, n)),
    )
    t.equal(receiver.received.length, 7, 'five failures of the receiver have opened the circuit')
    const probes: string[] = []
    for (let probe = 0; probe < 8; probe++) {
      await makeDue()
      await work(webhook.id)
      probes.push(alertOf(receiver.received.at(-1)!))
    }
    t.equal(receiver.received.length, 15, 'one at a time')
    t.notOk(probes.includes('big'))
    t.notOk(
      probes.some((alert, i) => alert === probes[i - 1]),
      probes.join(),
    )

    await database.query(`update deliveries set next_attempt_at = now() + interval '1 hour' where alert_id <> 'big'`)
    await database.query(`update deliveries set next_attempt_at = now() - interval '1 hour' where alert_id = 'big'`)
    await database.query(`update delivery_queues set probe_at = now()`)
    workers.dispatches.length = 0
    await work(webhook.id)
    t.equal(alertOf(receiver.received[15]!), 'big', 'there is no other')
    t.match(await readHealth(database, webhook.id), { health: 'healthy', failing_since: Date })
    t.equal(workers.dispatches.length, 1, 'a refused body shows that the receiver is up: webhook.recovered is queued')
  },
)

t.test('a probe of an event without an alert is followed by another event', async (t) => {
  const workers = await createTestWorkers(t)
  const { addWebhook, makeDue, work } = workers
  const { receiver, webhook } = await addWebhook(() => ({ status: 503 }))
  await publishMany(workers, ['1', '2', '3', '4', '5', '6', '7'])
  for (let probe = 0; probe < 6; probe++) {
    await makeDue()
    await work(webhook.id)
  }
  const ids = receiver.received.slice(5).map(({ id }) => id)
  t.equal(ids.length, 6)
  t.notOk(ids.some((id, i) => id === ids[i - 1]))
})

t.test('in order, a probe is the first change of its alert', async (t) => {
  const workers = await createTestWorkers(t)
  const { addWebhook, makeDue, work } = workers
  const { receiver, webhook } = await addWebhook(() => ({ status: 500 }), { order: 'alert' })
  await publishMany(
    workers,
    ['a', 'b', 'a', 'b', 'a', 'b'].map((alert, n) => alertChange(alert, n)),
  )
  for (let probe = 0; probe < 8; probe++) {
    await makeDue()
    await work(webhook.id)
  }
  const sequences = receiver.received.map(({ json }) => (json as { relay: { sequence: number } }).relay.sequence)
  t.same(new Set(sequences), new Set([1]))
  const alerts = receiver.received.slice(-3).map(alertOf)
  t.ok(alerts[0] !== alerts[1] && alerts[1] !== alerts[2], alerts.join())
})
