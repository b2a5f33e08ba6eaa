import fc from 'fast-check'
import t from 'tap'
import {
  ATTEMPT_OUTCOMES,
  JITTER,
  nextState,
  requestedWaitS,
  RETRY_AFTER_LIMIT_S,
  retryAfterS,
  saysGone,
  subjectOf,
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
  t.equal(retryAfterS('Friday, 02-Jan-26 03:05:05 GMT', NOW), 60)
  t.equal(retryAfterS('Fri Jan  2 03:05:05 2026', NOW), 60)
  t.equal(retryAfterS('99999999999', NOW), 99_999_999_999)
  t.ok(retryAfterS('9'.repeat(400), NOW)! > 1e300)
  for (const header of [
    null,
    '',
    '-1',
    '1.5',
    '1e3',
    'soon',
    '2026-01-02T03:05:05Z',
    'Xxx, 99 Xxx 2026 99:99:99 GMT',
  ]) {
    t.equal(retryAfterS(header, NOW), undefined, String(header))
  }
})

t.test(
  'the Retry-After of 429 and 503 is followed, up to a day; one that is shorter than the slot uses up no slot',
  async (t) => {
    const after = (statusCode: number, retryAfter: string, attemptsInSchedule = 1) => {
      const answer = { statusCode, retryAfter }
      const state = stateAfter({ outcome: 'rejected', attemptsInSchedule, now: NOW, random: 0, answer })
      return [delayMs(state) / 1000, state.status === 'pending' && state.keepsSlot === true]
    }
    t.same(after(429, '30', 2), [30, true], 'not the slot of 300 s')
    t.same(after(429, '7200'), [7200, false], 'longer than the slot of 5 s')
    t.same(after(429, '5'), [5, false])
    t.same(after(429, '1'), [1, true])
    t.same(after(503, '0'), [1, true], 'a second at least')
    t.same(after(503, 'Fri, 02 Jan 2026 03:05:06 GMT'), [61, false])
    t.same(after(503, 'Friday, 02-Jan-26 03:05:06 GMT'), [61, false])
    t.same(after(503, 'Fri Jan  2 03:05:06 2026'), [61, false])
    t.same(after(503, 'Fri, 02 Jan 2025 03:05:05 GMT'), [1, true], 'a date in the past')
    t.same(after(429, '9'.repeat(400)), [86_400, false], 'a day at most')
    t.same(after(429, '1', 10), [NaN, false], 'dead after the last slot')
    t.same(after(500, '120'), [5, false], 'the Retry-After of other answers is ignored')
    const header = fc.oneof(fc.string(), fc.bigInt({ min: 0n }).map(String), fc.integer({ max: 400_000 }).map(String))
    fc.assert(
      fc.property(header, slot, random, (retryAfter, n, random) => {
        const answer = { statusCode: 503, retryAfter }
        const state = stateAfter({ outcome: 'rejected', attemptsInSchedule: n, now: NOW, random, answer })
        const requestedS = requestedWaitS(answer, NOW)
        const waitMs = (requestedS ?? slotS(n, 'rejected')) * 1000
        const isShorter = waitMs < slotS(n, 'rejected') * 1000
        if (state.status !== 'pending' || waitMs < 1000 || waitMs > RETRY_AFTER_LIMIT_S * 1000) return false
        // never early, and late by less than a fifth
        const isInTime = delayMs(state) >= waitMs && delayMs(state) < waitMs * (1 + JITTER)
        return isInTime && isShorter === (state.keepsSlot === true)
      }),
    )
  },
)

t.test('a failure says something about the receiver, about this body, or about the relay alone', async (t) => {
  const subjects = (statusCodes: number[]) =>
    statusCodes.map((statusCode) => subjectOf({ outcome: 'rejected', statusCode }))
  const others = [301, 307, 401, 402, 403, 404, 407, 408, 410, 418, 425, 429, 500, 502, 503, 504, 599]
  t.same(new Set(subjects([400, 405, 406, 409, 411, 413, 414, 415, 422, 431])), new Set(['body']))
  t.same(new Set(subjects(others)), new Set(['receiver']))
  const byOutcome = (outcome: AttemptOutcome) => subjectOf({ outcome, statusCode: null })
  t.same((['timeout', 'connection_failed', 'invalid_response'] as const).map(byOutcome), Array(3).fill('receiver'))
  t.same((['not_sent', 'target_refused'] as const).map(byOutcome), ['relay', 'relay'])
  t.equal(subjectOf({ outcome: 'rejected', statusCode: 403, final: 'SNS can never take it' }), 'body')
  t.equal(
    subjectOf({ outcome: 'rejected', statusCode: 200 }),
    'receiver',
    'a 2xx that fails the condition of its webhook',
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
