/** The pace of a webhook with a rate. */
import fc from 'fast-check'
import t from 'tap'
import { slotAfter } from '../../../src/core/delivery/pace.js'

const rate = fc.double({ min: 0.01, max: 1000, noNaN: true })
/** Rounding of milliseconds since 1970 as doubles. */
const EPSILON_MS = 0.01

/** A process that waits for one slot after the other, on a clock that is set meanwhile. */
function walk(ratePerSecond: number, steps: readonly { idleMs: number; setMs: number; setWhileWaitingMs: number }[]) {
  let [real, offset, next] = [0, Date.UTC(2026, 0, 1), 0]
  const waits: number[] = []
  const sent = steps.map(({ idleMs, setMs, setWhileWaitingMs }) => {
    real += idleMs
    offset += setMs
    const waitMs = slotAfter(next, real + offset, ratePerSecond).at - (real + offset)
    waits.push(waitMs)
    real += waitMs
    offset += setWhileWaitingMs
    next = slotAfter(next, real + offset, ratePerSecond).next
    return real
  })
  return { waits, gaps: sent.slice(1).map((at, i) => at - sent[i]!) }
}

const idleMs = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 5000 }))
function steps(clock: fc.Arbitrary<number>) {
  const step = fc.record({ idleMs, setMs: clock, setWhileWaitingMs: clock })
  return fc.array(step, { minLength: 2, maxLength: 50 })
}

t.test('two slots are never closer than the interval, also when the clock stands still or is set back', async () => {
  const clock = fc.oneof(fc.constant(0), fc.integer({ min: -1e10, max: 0 }))
  fc.assert(
    fc.property(rate, steps(clock), (ratePerSecond, steps) => {
      const { waits, gaps } = walk(ratePerSecond, steps)
      return waits[0] === 0 && gaps.every((gap) => gap >= 1000 / ratePerSecond - EPSILON_MS)
    }),
  )
})

t.test('a slot of another rate or clock is waited for no longer than the interval', async () => {
  const clock = fc.integer({ min: -1e10, max: 1e10 })
  fc.assert(
    fc.property(rate, steps(clock), fc.double({ min: 0, max: 1e13, noNaN: true }), (ratePerSecond, steps, stale) => {
      const now = Date.UTC(2026, 0, 1)
      const waits = [slotAfter(stale, now, ratePerSecond).at - now, ...walk(ratePerSecond, steps).waits]
      return waits.every((wait) => wait >= 0 && wait <= 1000 / ratePerSecond + EPSILON_MS)
    }),
  )
})

t.test('a slot in the past is taken at once; without a rate every slot is now', async (t) => {
  t.same(slotAfter(500, 1000, 10), { at: 1000, next: 1100 })
  t.same(slotAfter(1050, 1000, 10), { at: 1050, next: 1150 })
  t.same(slotAfter(9_999_999, 1000, null), { at: 1000, next: 0 })
})
