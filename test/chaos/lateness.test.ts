/** What a fault excuses: too much, and a delay is overlooked; too little, and a run fails without a fault of the relay. */
import t from 'tap'
import { latenessOf } from '../../chaos/lateness.js'

const lateness = (acceptedS: number, receivedS: number, ...faults: [number, number][]) =>
  latenessOf(
    { acceptedMs: acceptedS * 1000, receivedMs: receivedS * 1000 },
    faults.map(([fromS, toS]) => ({ fromMs: fromS * 1000, toMs: toS * 1000 })),
  ) / 1000

t.test('without a fault an event is due when it was accepted', async (t) => {
  t.equal(lateness(100, 103), 3)
  t.equal(lateness(100, 99), 0, 'it may arrive before its sender is told')
})

t.test('a fault that it met moves the time to the end of the fault', async (t) => {
  t.equal(lateness(100, 125, [90, 120]), 5)
  t.equal(lateness(100, 125, [105, 120]), 5)
  t.equal(lateness(100, 105, [101, 120]), 0)
  t.equal(lateness(100, 131, [90, 110], [119, 128]), 3, 'and so does one that begins before it is late')
})

t.test('a fault that is over, or that begins when it is late, excuses nothing', async (t) => {
  t.equal(lateness(100, 120, [80, 99]), 20)
  t.equal(lateness(100, 130, [111, 129]), 30)
  t.equal(lateness(100, 140, [90, 110], [121, 139]), 30)
})
