/** The delivery log is what finds a loss: each of its counts must rise with its own fault, and with no other. */
import t from 'tap'
import { createDeliveryLog, type Delivery, type DeliveryLog } from '../../chaos/delivery-log.js'

const change = (sequence: number, values = [`value ${sequence}`], eventId = `event ${sequence}`): Delivery => ({
  eventId,
  alertId: 'alert',
  sequence,
  values,
  changes: values.length,
})
const expected = [1, 2, 3].map((n) => ({ eventId: `event ${n}`, value: `value ${n}`, acceptedMs: 0 }))

function receive(log: DeliveryLog, ...deliveries: Delivery[]): void {
  for (const delivery of deliveries) {
    log.arrive(delivery)
    log.accept(delivery)
  }
}

t.test('events that arrive once, in order and with their own values have no fault', async (t) => {
  const log = createDeliveryLog({ coalesced: false, now: () => 0 })
  receive(log, change(1), change(2), change(3))
  t.same(log.summarize(expected, []), {
    received: 3,
    missing: 0,
    missingIds: [],
    duplicates: 0,
    unverified: 0,
    disordered: 0,
    misplaced: 0,
    changes: 3,
    latestMs: 0,
    latestId: undefined,
  })
})

t.test('an event that arrived and was not accepted is missing', async (t) => {
  const log = createDeliveryLog({ coalesced: false })
  receive(log, change(1), change(2))
  log.arrive(change(3))
  t.match(log.summarize(expected, []), { received: 2, missing: 1, missingIds: ['event 3'] })
})

t.test('an event that is accepted again is a duplicate, and not out of order', async (t) => {
  const log = createDeliveryLog({ coalesced: false })
  receive(log, change(1), change(2), change(1), change(3))
  t.match(log.summarize(expected, []), { missing: 0, duplicates: 1, disordered: 0 })
})

t.test('a change that arrives after a later one, or before an earlier one is accepted, is out of order', async (t) => {
  const late = createDeliveryLog({ coalesced: false })
  receive(late, change(1), change(3), change(2))
  t.equal(late.summarize(expected, []).disordered, 1)
  const early = createDeliveryLog({ coalesced: false })
  early.arrive(change(1))
  receive(early, change(2))
  t.equal(early.summarize(expected, []).disordered, 1)
})

t.test('a value that is new in two events, or not in its own, is misplaced', async (t) => {
  const twice = createDeliveryLog({ coalesced: false })
  receive(twice, change(1), change(2, ['value 1', 'value 2']), change(3))
  t.equal(twice.summarize(expected, []).misplaced, 1)
  const absent = createDeliveryLog({ coalesced: false })
  receive(absent, change(1), change(2, []), change(3))
  t.match(absent.summarize(expected, []), { misplaced: 1, missing: 0 })
})

t.test('coalesced: a delivery stands for the changes whose values it has, and for no others', async (t) => {
  const log = createDeliveryLog({ coalesced: true })
  receive(log, change(1), change(3, ['value 2', 'value 3']))
  t.match(log.summarize(expected, []), { missing: 0, changes: 3, misplaced: 0 })
  t.match(log.summarize([...expected, { eventId: 'event 4', value: null, acceptedMs: 0 }], []), {
    missing: 1,
    missingIds: ['event 4'],
  })
  const lossy = createDeliveryLog({ coalesced: true })
  receive(lossy, change(1), change(3))
  t.match(lossy.summarize(expected, []), { missing: 1, missingIds: ['event 2'] })
})

t.test('the latest event is told, measured from its fault; one whose body was refused is none', async (t) => {
  let nowMs = 0
  const log = createDeliveryLog({ coalesced: false, now: () => nowMs })
  for (const [sequence, atMs] of [
    [1, 3000],
    [2, 9000],
    [3, 60_000],
  ] as const) {
    nowMs = atMs
    if (sequence === 3) log.refuse(change(sequence))
    receive(log, change(sequence))
  }
  nowMs = 90_000
  receive(log, change(1))
  t.match(log.summarize(expected, []), { latestMs: 9000, latestId: 'event 2' })
  t.equal(log.summarize(expected, [{ fromMs: 1000, toMs: 7000 }]).latestMs, 2000)
})
