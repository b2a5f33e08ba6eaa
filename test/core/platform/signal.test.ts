/** A signal: one waiter, with a timeout. */
import t from 'tap'
import { createSignal } from '../../../src/core/platform/signal.js'

const LONG_MS = 60_000

t.test('a signal ends the wait at once', async (t) => {
  const signal = createSignal()
  const waiting = signal.wait(LONG_MS)
  signal.notify()
  await waiting
  t.notOk(signal.consume(), 'it is consumed by the wait')
})

t.test('a signal without a waiter is kept for the next wait, once', async (t) => {
  const signal = createSignal()
  signal.notify()
  signal.notify()
  await signal.wait(LONG_MS)
  let woke = false
  const second = signal.wait(LONG_MS).then(() => (woke = true))
  await new Promise(setImmediate)
  t.notOk(woke)
  signal.notify()
  await second
})

t.test('without a signal the timeout ends the wait, and nothing is kept', async (t) => {
  const signal = createSignal()
  await signal.wait(1)
  t.notOk(signal.consume())
  signal.notify()
  t.ok(signal.consume())
  t.notOk(signal.consume(), 'consumed once')
  await signal.wait(0)
})
