import t from 'tap'
import { createPenalties } from '../../../src/core/access/penalties.js'

t.test('after ten keys that are not known an address waits, longer with each', async (t) => {
  let now = 0
  const penalties = createPenalties(
    (key) => key,
    () => now,
  )
  const wait = (address = '192.0.2.1') => penalties.waitMs(address, 'wrong')
  for (let i = 0; i < 9; i++) penalties.refused('192.0.2.1')
  t.equal(wait(), 0)
  penalties.refused('192.0.2.1')
  t.equal(wait(), 1000)
  t.equal(wait('192.0.2.2'), 0)
  now += 600
  t.equal(wait(), 400)
  for (let i = 0; i < 3; i++) penalties.refused('192.0.2.1')
  t.equal(wait(), 8000)
  for (let i = 0; i < 100; i++) penalties.refused('::ffff:192.0.2.1')
  t.equal(wait(), 300_000, 'five minutes at most, also of the address in IPv6')
  now += 15 * 60_000
  penalties.refused('192.0.2.1')
  t.equal(wait(), 0, 'it begins anew after a quarter of an hour')
})

t.test('whoever has one address of an IPv6 network has all', async (t) => {
  const penalties = createPenalties(
    (key) => key,
    () => 0,
  )
  for (let i = 0; i < 10; i++) penalties.refused(`2001:db8:1:2::${i}`)
  t.equal(penalties.waitMs('2001:db8:1:2:ffff::1', 'wrong'), 1000)
  t.equal(penalties.waitMs('2001:db8:1:3::1', 'wrong'), 0)
})

t.test('a key that was accepted lately does not wait for its neighbours', async (t) => {
  const penalties = createPenalties(
    (key) => key,
    () => 0,
  )
  penalties.accepted('good')
  for (let i = 0; i < 20; i++) penalties.refused('192.0.2.1')
  t.equal(penalties.waitMs('192.0.2.1', 'good'), 0)
  for (let i = 0; i < 1000; i++) penalties.accepted(`other ${i}`)
  t.ok(penalties.waitMs('192.0.2.1', 'good') > 0, 'a thousand keys are remembered')
})

t.test('of any number of addresses those that failed last are remembered', async (t) => {
  const penalties = createPenalties(
    (key) => key,
    () => 0,
  )
  for (let i = 0; i < 11; i++) penalties.refused('192.0.2.1')
  for (let i = 0; i < 10_000; i++) penalties.refused(`host ${i}`)
  t.equal(penalties.waitMs('192.0.2.1', 'wrong'), 0)
})
