import fc from 'fast-check'
import t from 'tap'
import {
  ATTEMPT_OUTCOMES,
  JITTER,
  nextState,
  outcomeOfStatus,
  RETRY_SCHEDULE_S,
  type AttemptOutcome,
  type DeliveryState,
} from '../../../src/core/delivery/policy.js'

const NOW = new Date('2026-01-02T03:04:05.678Z')
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const failure = fc.constantFrom(...ATTEMPT_OUTCOMES.filter((outcome) => outcome !== 'succeeded'))
const slot = fc.integer({ min: 1, max: 9 })

function delayMs(state: DeliveryState, now = NOW): number {
  return state.nextAttemptAt === null ? NaN : state.nextAttemptAt.getTime() - now.getTime()
}

t.test('a 2xx alone is success', async (t) => {
  for (const status of [200, 201, 202, 204, 299]) t.equal(outcomeOfStatus(status), 'succeeded', String(status))
  for (const status of [300, 301, 304, 307, 400, 404, 410, 429, 500, 503, 600]) {
    t.equal(outcomeOfStatus(status), 'rejected', String(status))
  }
})

t.test('a success ends the delivery at any attempt', async (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), random, (attemptsInSchedule, random) => {
      const state = nextState({ outcome: 'succeeded', attemptsInSchedule, now: NOW, random })
      t.same(state, { status: 'succeeded', nextAttemptAt: null, reason: null })
    }),
  )
})

t.test('the schedule is the one of the Standard Webhooks specification', async (t) => {
  const HOUR = 3600
  t.same(RETRY_SCHEDULE_S, [0, 5, 300, 1800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR])
})

t.test('without jitter a failure waits for exactly its slot', async (t) => {
  const state = nextState({ outcome: 'rejected', attemptsInSchedule: 1, now: NOW, random: 0 })
  t.same(state, { status: 'pending', nextAttemptAt: new Date('2026-01-02T03:04:10.678Z'), reason: null })
})

t.test('a retry is never early and never a fifth of its slot late', async () => {
  fc.assert(
    fc.property(
      failure,
      slot,
      random,
      fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) }),
      (outcome, n, random, now) => {
        const ms = delayMs(nextState({ outcome, attemptsInSchedule: n, now, random }), now)
        const slotMs = (RETRY_SCHEDULE_S[n] ?? NaN) * 1000
        return ms >= slotMs && ms < slotMs * (1 + JITTER)
      },
    ),
  )
})

t.test('jitter spreads retries over the whole of its window', async (t) => {
  const at = (random: number) => delayMs(nextState({ outcome: 'timeout', attemptsInSchedule: 3, now: NOW, random }))
  t.same([at(0), at(0.25), at(0.5), at(0.75)], [1_800_000, 1_890_000, 1_980_000, 2_070_000])
})

t.test('waits never shrink, whatever the jitter', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), random, random, (n, first, second) => {
      const wait = (attemptsInSchedule: number, random: number) =>
        delayMs(nextState({ outcome: 'timeout', attemptsInSchedule, now: NOW, random }))
      return wait(n, first) <= wait(n + 1, second)
    }),
  )
})

t.test('a delivery that always fails is dead after exactly ten attempts', async () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(failure, random), { minLength: 10, maxLength: 10 }), (tries) => {
      const states = tries.map(([outcome, random], i) =>
        nextState({ outcome, attemptsInSchedule: i + 1, now: NOW, random }),
      )
      return states.every(({ status }, i) => status === (i < 9 ? 'pending' : 'dead'))
    }),
  )
})

t.test('a dead delivery says how often it failed and how last', async (t) => {
  const dead = (outcome: AttemptOutcome) => nextState({ outcome, attemptsInSchedule: 10, now: NOW, random: 0.5 })
  t.same(dead('timeout'), { status: 'dead', nextAttemptAt: null, reason: '10 attempts failed, the last one: timeout' })
})
