/** The ledger is what finds a loss: each of its counts must rise with the fault that it is for, and with no other. */
import t from 'tap'
import { createLedger, type Arrival, type Ledger } from '../../chaos/ledger.js'

const change = (sequence: number, values = [`value ${sequence}`], eventId = `event ${sequence}`): Arrival => ({
  eventId,
  alertId: 'alert',
  sequence,
  values,
  changes: values.length,
})
const expected = [1, 2, 3].map((n) => ({ eventId: `event ${n}`, value: `value ${n}` }))

function receive(ledger: Ledger, ...arrivals: Arrival[]): void {
  for (const arrival of arrivals) {
    ledger.arrive(arrival)
    ledger.take(arrival)
  }
}

t.test('what came in order, once, with its own value is without fault', async (t) => {
  const ledger = createLedger({ coalesced: false })
  receive(ledger, change(1), change(2), change(3))
  t.same(ledger.tally(expected), {
    received: 3,
    missing: 0,
    missingIds: [],
    duplicates: 0,
    unverified: 0,
    disordered: 0,
    misplaced: 0,
    changes: 3,
  })
})

t.test('an event that arrived and was not taken is missing', async (t) => {
  const ledger = createLedger({ coalesced: false })
  receive(ledger, change(1), change(2))
  ledger.arrive(change(3))
  t.match(ledger.tally(expected), { received: 2, missing: 1, missingIds: ['event 3'] })
})

t.test('an event taken again is a duplicate and out of no order', async (t) => {
  const ledger = createLedger({ coalesced: false })
  receive(ledger, change(1), change(2), change(1), change(3))
  t.match(ledger.tally(expected), { missing: 0, duplicates: 1, disordered: 0 })
})

t.test('a change that comes after a later one, or before an earlier one is taken, is out of order', async (t) => {
  const late = createLedger({ coalesced: false })
  receive(late, change(1), change(3), change(2))
  t.equal(late.tally(expected).disordered, 1)
  const early = createLedger({ coalesced: false })
  early.arrive(change(1))
  receive(early, change(2))
  t.equal(early.tally(expected).disordered, 1)
})

t.test('a value that two events call new, or that its event does not, is misplaced', async (t) => {
  const twice = createLedger({ coalesced: false })
  receive(twice, change(1), change(2, ['value 1', 'value 2']), change(3))
  t.equal(twice.tally(expected).misplaced, 1)
  const absent = createLedger({ coalesced: false })
  receive(absent, change(1), change(2, []), change(3))
  t.match(absent.tally(expected), { misplaced: 1, missing: 0 })
})

t.test('coalesced: one delivery covers the changes whose values it has, and no others', async (t) => {
  const ledger = createLedger({ coalesced: true })
  receive(ledger, change(1), change(3, ['value 2', 'value 3']))
  t.match(ledger.tally(expected), { missing: 0, changes: 3, misplaced: 0 })
  t.match(ledger.tally([...expected, { eventId: 'event 4', value: null }]), { missing: 1, missingIds: ['event 4'] })
  const lossy = createLedger({ coalesced: true })
  receive(lossy, change(1), change(3))
  t.match(lossy.tally(expected), { missing: 1, missingIds: ['event 2'] })
})
