import fc from 'fast-check'
import t from 'tap'
import {
  ATTEMPT_OUTCOMES,
  JITTER,
  nextState,
  retryAfterS,
  saysGone,
  UNANSWERED_FACTOR,
  type Result,
  outcomeOfStatus,
  RETRY_SCHEDULE_S,
  type AttemptOutcome,
  type DeliveryState,
} from '../../../src/core/delivery/policy.js'

const NOW = new Date('2026-01-02T03:04:05.678Z')
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const failure = fc.constantFrom(...ATTEMPT_OUTCOMES.filter((outcome) => outcome !== 'succeeded'))
const slot = fc.integer({ min: 1, max: 9 })

/** The state after an attempt, on the standard schedule unless another is given. */
function stateAfter(attempt: {
  outcome: AttemptOutcome
  attemptsInSchedule: number
  now: Date
  random: number
  answer?: Partial<Result>
  scheduleS?: readonly number[]
}): DeliveryState {
  const { outcome, answer, scheduleS = RETRY_SCHEDULE_S, ...rest } = attempt
  return nextState({ result: { outcome, statusCode: null, retryAfter: null, ...answer }, scheduleS, ...rest })
}

/** A slot in seconds, doubled for an attempt without an answer. */
function slotS(n: number, outcome: AttemptOutcome): number {
  const factor = outcome === 'timeout' || outcome === 'connection_failed' ? UNANSWERED_FACTOR : 1
  return (RETRY_SCHEDULE_S[n] ?? NaN) * factor
}

function delayMs(state: DeliveryState, now = NOW): number {
  return state.nextAttemptAt === null ? NaN : state.nextAttemptAt.getTime() - now.getTime()
}

t.test('only a 2xx is success', async (t) => {
  for (const status of [200, 201, 202, 204, 299]) t.equal(outcomeOfStatus(status), 'succeeded', String(status))
  for (const status of [300, 301, 304, 307, 400, 404, 410, 429, 500, 503, 600]) {
    t.equal(outcomeOfStatus(status), 'rejected', String(status))
  }
})

t.test('a success ends the delivery at any attempt', async (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), random, (attemptsInSchedule, random) => {
      const state = stateAfter({ outcome: 'succeeded', attemptsInSchedule, now: NOW, random })
      t.same(state, { status: 'succeeded', nextAttemptAt: null, reason: null })
    }),
  )
})

t.test('the schedule is the one of the Standard Webhooks specification', async (t) => {
  const HOUR = 3600
  t.same(RETRY_SCHEDULE_S, [0, 5, 300, 1800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR])
})

t.test('without jitter a failed delivery waits for exactly its slot', async (t) => {
  const state = stateAfter({ outcome: 'rejected', attemptsInSchedule: 1, now: NOW, random: 0 })
  t.same(state, { status: 'pending', nextAttemptAt: new Date('2026-01-02T03:04:10.678Z'), reason: null })
})

t.test('a retry is never early, and never late by a fifth of its slot or more', async () => {
  fc.assert(
    fc.property(
      failure,
      slot,
      random,
      fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) }),
      (outcome, n, random, now) => {
        const ms = delayMs(stateAfter({ outcome, attemptsInSchedule: n, now, random }), now)
        const slotMs = slotS(n, outcome) * 1000
        return ms >= slotMs && ms < slotMs * (1 + JITTER)
      },
    ),
  )
})

t.test('jitter spreads retries over the whole of its window', async (t) => {
  const at = (random: number) => delayMs(stateAfter({ outcome: 'rejected', attemptsInSchedule: 3, now: NOW, random }))
  t.same([at(0), at(0.25), at(0.5), at(0.75)], [1_800_000, 1_890_000, 1_980_000, 2_070_000])
})

t.test('waits never shrink, whatever the jitter', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), random, random, (n, first, second) => {
      const wait = (attemptsInSchedule: number, random: number) =>
        delayMs(stateAfter({ outcome: 'timeout', attemptsInSchedule, now: NOW, random }))
      return wait(n, first) <= wait(n + 1, second)
    }),
  )
})

t.test('a delivery that always fails is dead after exactly ten attempts', async () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(failure, random), { minLength: 10, maxLength: 10 }), (tries) => {
      const states = tries.map(([outcome, random], i) =>
        stateAfter({ outcome, attemptsInSchedule: i + 1, now: NOW, random }),
      )
      return states.every(({ status }, i) => status === (i < 9 ? 'pending' : 'dead'))
    }),
  )
})

t.test('the reason of a dead delivery is the number of failures and the last outcome', async (t) => {
  const dead = (outcome: AttemptOutcome) => stateAfter({ outcome, attemptsInSchedule: 10, now: NOW, random: 0.5 })
  t.same(dead('timeout'), { status: 'dead', nextAttemptAt: null, reason: '10 attempts failed, the last one: timeout' })
})

t.test('an attempt without an answer waits twice its slot', async (t) => {
  for (const [outcome, ms] of [
    ['rejected', 5000],
    ['invalid_response', 5000],
    ['target_refused', 5000],
    ['timeout', 10_000],
    ['connection_failed', 10_000],
  ] as const) {
    t.equal(delayMs(stateAfter({ outcome, attemptsInSchedule: 1, now: NOW, random: 0 })), ms, outcome)
  }
})

t.test('410 is final: dead at once, and the webhook is to be disabled', async (t) => {
  const answer = { statusCode: 410 }
  const state = stateAfter({ outcome: 'rejected', attemptsInSchedule: 1, now: NOW, random: 0, answer })
  t.same(state, { status: 'dead', nextAttemptAt: null, reason: 'the receiver answered 410 Gone' })
  t.same(
    [410, 404, 200, null].map((statusCode) => saysGone({ statusCode })),
    [true, false, false, false],
  )
})

t.test('Retry-After is seconds or a date, and nothing else', async (t) => {
  t.equal(retryAfterS('120', NOW), 120)
  t.equal(retryAfterS(' 0 ', NOW), 0)
  t.equal(retryAfterS('Fri, 02 Jan 2026 03:05:05 GMT', NOW), 60)
  t.equal(retryAfterS('Fri, 02 Jan 2025 03:05:05 GMT', NOW), 0, 'a time in the past')
  for (const header of [
    null,
    '',
    '-1',
    '1.5',
    '1e3',
    'soon',
    '2026-01-02T03:05:05Z',
    '99999999999',
    'Xxx, 99 Xxx 2026 99:99:99 GMT',
  ]) {
    t.equal(retryAfterS(header, NOW), undefined, String(header))
  }
})

t.test('the Retry-After of 429 and 503 is followed from the slot up to an hour or twice the slot', async (t) => {
  const wait = (statusCode: number, retryAfter: string, attemptsInSchedule = 1) =>
    delayMs(
      stateAfter({
        outcome: 'rejected',
        attemptsInSchedule,
        now: NOW,
        random: 0,
        answer: { statusCode, retryAfter },
      }),
    ) / 1000
  t.equal(wait(429, '120'), 120)
  t.equal(wait(503, 'Fri, 02 Jan 2026 03:05:06 GMT'), 61)
  t.equal(wait(429, '1'), 5, 'not before the slot')
  t.equal(wait(429, '999999999'), 3600, 'an hour at most after a short slot')
  t.equal(wait(429, '999999999', 4), 14_400, 'twice the slot after a long one')
  t.equal(wait(500, '120'), 5, 'the Retry-After of other answers is ignored')
  fc.assert(
    fc.property(fc.string(), slot, random, (retryAfter, n, random) => {
      const answer = { statusCode: 503, retryAfter }
      const ms = delayMs(stateAfter({ outcome: 'rejected', attemptsInSchedule: n, now: NOW, random, answer }))
      const bound = Math.max(slotS(n, 'rejected') * 2, 3600) * 1000 * (1 + JITTER)
      return ms >= slotS(n, 'rejected') * 1000 && ms <= bound
    }),
  )
})

t.test('a schedule of its own replaces the standard one', async (t) => {
  const scheduleS = [0, 1, 60]
  const states = [1, 2, 3].map((attemptsInSchedule) =>
    stateAfter({ outcome: 'rejected', attemptsInSchedule, now: NOW, random: 0, scheduleS }),
  )
  t.same(
    states.map((state) => [state.status, delayMs(state)]),
    [
      ['pending', 1000],
      ['pending', 60_000],
      ['dead', NaN],
    ],
  )
})
