/** What bounds attempts in one process: the pace of one webhook, and the gate for all. */
import fc from 'fast-check'
import t from 'tap'
import { createGate } from '../../../src/core/delivery/gate.js'
import { placeAfter } from '../../../src/core/delivery/pace.js'

const rate = fc.double({ min: 0.01, max: 1000, noNaN: true })
/** Rounding of milliseconds since 1970 as doubles. */
const EPSILON_MS = 0.01

/** One who takes a place, waits for it, and takes the next: on a clock that is set while he does. */
function walk(ratePerSecond: number, steps: readonly { idleMs: number; setMs: number; setWhileWaitingMs: number }[]) {
  let [real, offset, next] = [0, Date.UTC(2026, 0, 1), 0]
  const waits: number[] = []
  const sent = steps.map(({ idleMs, setMs, setWhileWaitingMs }) => {
    real += idleMs
    offset += setMs
    const waitMs = placeAfter(next, real + offset, ratePerSecond).at - (real + offset)
    waits.push(waitMs)
    real += waitMs
    offset += setWhileWaitingMs
    next = placeAfter(next, real + offset, ratePerSecond).next
    return real
  })
  return { waits, gaps: sent.slice(1).map((at, i) => at - sent[i]!) }
}

const idleMs = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 5000 }))
function steps(clock: fc.Arbitrary<number>) {
  const step = fc.record({ idleMs, setMs: clock, setWhileWaitingMs: clock })
  return fc.array(step, { minLength: 2, maxLength: 50 })
}

t.test('two places are never closer than the interval, also where the clock stands still or is set back', async () => {
  const clock = fc.oneof(fc.constant(0), fc.integer({ min: -1e10, max: 0 }))
  fc.assert(
    fc.property(rate, steps(clock), (ratePerSecond, steps) => {
      const { waits, gaps } = walk(ratePerSecond, steps)
      return waits[0] === 0 && gaps.every((gap) => gap >= 1000 / ratePerSecond - EPSILON_MS)
    }),
  )
})

t.test('a place of another rate or clock is waited for no longer than the interval', async () => {
  const clock = fc.integer({ min: -1e10, max: 1e10 })
  fc.assert(
    fc.property(rate, steps(clock), fc.double({ min: 0, max: 1e13, noNaN: true }), (ratePerSecond, steps, stale) => {
      const now = Date.UTC(2026, 0, 1)
      const waits = [placeAfter(stale, now, ratePerSecond).at - now, ...walk(ratePerSecond, steps).waits]
      return waits.every((wait) => wait >= 0 && wait <= 1000 / ratePerSecond + EPSILON_MS)
    }),
  )
})

t.test('a place that is long free is taken at once; without a rate there is none to wait for', async (t) => {
  t.same(placeAfter(500, 1000, 10), { at: 1000, next: 1100 })
  t.same(placeAfter(1050, 1000, 10), { at: 1050, next: 1150 })
  t.same(placeAfter(9_999_999, 1000, null), { at: 1000, next: 0 })
})

/** The window of a webhook that nothing is known of. */
const FIRST_WINDOW = createGate().room('new')

function fill(gate: ReturnType<typeof createGate>, webhookId: string): number {
  let places = 0
  while (gate.enter(webhookId)) places++
  return places
}

t.test('webhooks that hang, however many, leave room for one that answers', async (t) => {
  for (const hanging of [100, 500, 5000]) {
    const gate = createGate()
    gate.enter('answers')
    gate.leave('answers', 'succeeded')
    for (let i = 0; i < hanging; i++) fill(gate, `hangs-${i}`)
    t.ok(gate.room('answers') > 0, `${hanging} hang`)
    t.ok(gate.enter('answers'), `${hanging} hang`)
  }
})

t.test('a window grows by one with each success up to its bound, is halved by each silence down to one', async (t) => {
  const gate = createGate()
  t.equal(fill(gate, 'a'), FIRST_WINDOW)
  const pass = (result: 'succeeded' | 'failed' | 'unanswered', times: number) => {
    for (let i = 0; i < times; i++) {
      gate.enter('b')
      gate.leave('b', result)
    }
    return gate.room('b')
  }
  t.same(
    [pass('succeeded', 1), pass('failed', 5), pass('succeeded', 7), pass('succeeded', 1000)],
    [1, 1, 8, 64 - FIRST_WINDOW].map((more) => FIRST_WINDOW + more),
  )
  t.same([pass('unanswered', 1), pass('unanswered', 1), pass('unanswered', 3), pass('unanswered', 100)], [32, 16, 2, 1])
  t.equal(fill(gate, 'b'), 1)
  gate.leave('b', 'succeeded')
  t.equal(gate.room('b'), 2)
  t.equal(gate.room('a'), 0, 'another webhook is none of its business')
})

t.test('a process makes a bounded number of attempts at once, and no place is lost or given twice', async (t) => {
  const results = fc.constantFrom('succeeded' as const, 'failed' as const, 'unanswered' as const)
  const move = fc.record({ webhook: fc.nat(30), result: fc.option(results, { nil: undefined }), times: fc.nat(70) })
  fc.assert(
    fc.property(fc.array(move, { maxLength: 100 }), (moves) => {
      const gate = createGate()
      const taken = new Map<string, number>()
      for (const { webhook, result, times } of moves) {
        const id = String(webhook)
        for (let i = 0; i < times; i++) {
          const held = taken.get(id) ?? 0
          const room = gate.room(id)
          if (room < 0 || held + room > 64) return false
          if (result === undefined) {
            if (gate.enter(id) !== room > 0) return false
            if (room > 0) taken.set(id, held + 1)
          } else if (held > 0) {
            gate.leave(id, result)
            taken.set(id, held - 1)
          }
        }
      }
      for (const [id, held] of taken) for (let i = 0; i < held; i++) gate.leave(id, 'succeeded')
      return gate.room('new') === FIRST_WINDOW
    }),
  )
  const gate = createGate()
  let inAll = 0
  for (let i = 0; i < 5000; i++) inAll += fill(gate, String(i))
  t.ok(inAll <= 1024, `${inAll} at once`)
})
