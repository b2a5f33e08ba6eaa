import fc from 'fast-check'
import t from 'tap'
import {
  afterDrain,
  afterFailure,
  afterSuccess,
  allowanceOf,
  FAILURES_TO_OPEN,
  HEALTH_STATES,
  HEALTHY,
  PROBE_WAITS_S,
  RAMP_DOUBLING_S,
  RAMP_S,
  RAMP_START_PER_S,
  recoveringFrom,
  type Failure,
  type FailureSubject,
  type Health,
  type HealthChange,
} from '../../../src/core/circuit/health.js'

const NOW = new Date('2026-01-02T03:04:05.678Z')
const DISABLE_AFTER_MS = 5 * 86_400_000
const NO_LIMITS = { maxInFlight: null, ratePerSecond: null }
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

const later = (seconds: number, from = NOW) => new Date(from.getTime() + seconds * 1000)

function failed(before: Health, failure: Partial<Failure> & { now?: Date; random?: number } = {}): HealthChange {
  const { now = NOW, random = 0, ...rest } = failure
  const defaults: Failure = {
    reason: 'rejected: status 500',
    gone: false,
    subject: 'receiver',
    resumeAt: null,
    succeededSince: false,
  }
  return afterFailure(before, { ...defaults, ...rest }, { now, random, disableAfterMs: DISABLE_AFTER_MS })
}

const REFUSED: Partial<Failure> = { subject: 'body', reason: 'rejected: status 413' }
const NOT_SENT: Partial<Failure> = { subject: 'relay', reason: 'not_sent: no template' }

/** The health after so many failures in a row. */
function failedTimes(times: number, from: Health = HEALTHY, now = NOW): Health {
  return Array.from({ length: times }).reduce<Health>((health) => failed(health, { now }).health, from)
}

const FAILING = failedTimes(FAILURES_TO_OPEN)

t.test('five failures in a row open the circuit and make a notice', async (t) => {
  t.match(failedTimes(4), { state: 'healthy', failures: 4, failingSince: NOW, probeAt: null })
  for (const before of [HEALTHY, failedTimes(1), failedTimes(3)]) t.equal(failed(before).notice, undefined)
  const opened = failed(failedTimes(4), { reason: 'timeout: nothing within 1000 ms', now: later(9) })
  t.equal(opened.notice, 'webhook.failing')
  t.same(opened.health, {
    state: 'failing',
    failures: 5,
    failingSince: NOW,
    lastFailure: 'timeout: nothing within 1000 ms',
    probes: 0,
    probeAt: later(14),
    recoveringSince: null,
    resumeAt: null,
  })
})

t.test('a success ends the failures in a row, whether it was recorded or only seen', async (t) => {
  const written = failed(afterSuccess(failedTimes(4), NOW).health, { now: later(60) })
  const seen = failed(failedTimes(4), { succeededSince: true, now: later(60) })
  for (const { health, notice } of [written, seen]) {
    t.match(health, { state: 'healthy', failures: 1, failingSince: later(60) })
    t.equal(notice, undefined)
  }
})

t.test(
  'each failed probe makes the wait for the next one longer, up to five minutes; a probe is at most a fifth late',
  async (t) => {
    for (const random of [0, 0.999]) {
      let health = failed(failedTimes(4), { random }).health
      let now = NOW
      const waits: number[] = []
      for (let probes = 0; probes < 8; probes++) {
        waits.push((health.probeAt!.getTime() - now.getTime()) / 1000)
        now = health.probeAt!
        const change = failed(health, { now, random })
        t.equal(change.notice, undefined, 'there is one notice per outage')
        health = change.health
      }
      const schedule = [5, 10, 30, 60, 120, 300, 300, 300]
      t.same(schedule.slice(0, PROBE_WAITS_S.length), PROBE_WAITS_S)
      if (random === 0) t.same(waits, schedule)
      t.ok(waits.every((wait, i) => wait >= schedule[i]! && wait <= schedule[i]! * 1.2))
    }
  },
)

t.test('attempts in flight when the circuit opens are not probes', async (t) => {
  const health = failedTimes(30, FAILING, later(1))
  t.match(health, { state: 'failing', failures: 35, probes: 0 })
  t.same(health.probeAt, FAILING.probeAt, 'they do not move the first probe')
})

t.test('a failing webhook gets nothing before the probe, and then one delivery', async (t) => {
  t.same(allowanceOf(FAILING, NO_LIMITS, NOW), { kind: 'wait', until: later(5) })
  t.same(allowanceOf(FAILING, NO_LIMITS, later(4.999)), { kind: 'wait', until: later(5) })
  t.same(allowanceOf(FAILING, NO_LIMITS, later(5)), { kind: 'probe' })
  t.same(allowanceOf({ ...FAILING, probeAt: null }, NO_LIMITS, NOW), { kind: 'probe' })
})

t.test('a success starts the recovery; its notice comes when the ramp is over or no delivery waits', async (t) => {
  const { health, notice } = afterSuccess(FAILING, later(60))
  t.same(health, { ...HEALTHY, state: 'recovering', recoveringSince: later(60) })
  t.equal(notice, undefined)
  t.equal(afterDrain(health, { empty: false, now: later(60 + RAMP_S - 0.001) }), undefined)
  const recovered = { health: HEALTHY, notice: 'webhook.recovered' }
  t.same(afterDrain(health, { empty: false, now: later(60 + RAMP_S) }), recovered)
  t.same(afterDrain(health, { empty: true, now: later(60) }), recovered)
  t.match(afterSuccess(health, later(61)), { health, notice: undefined }, 'further successes do not shorten the ramp')
  for (const other of [HEALTHY, FAILING]) t.equal(afterDrain(other, { empty: true, now: later(99) }), undefined)
})

t.test(
  'a recovering webhook gets deliveries at a rate that doubles every few seconds, within its own limits',
  async (t) => {
    const health = recoveringFrom(NOW)
    const at = (seconds: number, limits = {}) =>
      allowanceOf(health, { ...NO_LIMITS, ...limits }, later(seconds)) as {
        maxInFlight: number
        ratePerSecond: number
      }
    t.same(at(0), { kind: 'send', maxInFlight: 1, ratePerSecond: RAMP_START_PER_S })
    t.same(at(RAMP_DOUBLING_S), { kind: 'send', maxInFlight: 2, ratePerSecond: 2 * RAMP_START_PER_S })
    t.same(at(3 * RAMP_DOUBLING_S), { kind: 'send', maxInFlight: 8, ratePerSecond: 8 * RAMP_START_PER_S })
    t.ok(at(RAMP_S - 0.001).ratePerSecond > 1000)
    t.same(at(20, { maxInFlight: 3, ratePerSecond: 7 }), { kind: 'send', maxInFlight: 3, ratePerSecond: 7 })
    t.same(at(0, { maxInFlight: 3, ratePerSecond: 7 }), { kind: 'send', maxInFlight: 1, ratePerSecond: 5 })
    t.same(allowanceOf(HEALTHY, { maxInFlight: 3, ratePerSecond: 7 }, NOW), {
      kind: 'send',
      maxInFlight: 3,
      ratePerSecond: 7,
    })
    t.same(allowanceOf(HEALTHY, NO_LIMITS, NOW), { kind: 'send', maxInFlight: Infinity, ratePerSecond: null })
  },
)

t.test('five failures during the recovery open the circuit again, without another notice', async (t) => {
  const before = failedTimes(4, recoveringFrom(NOW))
  t.equal(before.state, 'recovering')
  const { health, notice } = failed(before)
  t.match(health, { state: 'failing', probes: 0, probeAt: later(5), recoveringSince: null })
  t.equal(notice, undefined)
  t.equal(failed(before, { succeededSince: true }).health.state, 'recovering', 'a success in between ends the row')
})

t.test('nothing but failures for `disableAfterMs` disables a webhook, with the time and the reason', async (t) => {
  const before = failed(FAILING, { now: later(DISABLE_AFTER_MS / 1000 - 1) })
  t.equal(before.disable, undefined)
  const after = failed(before.health, { now: later(DISABLE_AFTER_MS / 1000), reason: 'timeout' })
  t.equal(after.notice, 'webhook.disabled')
  t.equal(after.disable, `nothing but failures since ${NOW.toISOString()}, the last one: timeout`)
  const seldom = failedTimes(1, failedTimes(1), later(DISABLE_AFTER_MS / 1000 + 1))
  t.equal(seldom.state, 'healthy', 'two failures in a week are not enough')
})

t.test('410 Gone disables a webhook at once, in any state', async (t) => {
  for (const before of [HEALTHY, FAILING, recoveringFrom(NOW)]) {
    const change = failed(before, { gone: true })
    t.match(change, { notice: 'webhook.disabled', disable: 'the receiver answered 410 Gone' })
    t.equal(change.health.state, before.state)
  }
})

t.test(
  'failures of the body or of the relay do not open a circuit, and leave the failures in a row as they are',
  async (t) => {
    for (const other of [REFUSED, NOT_SENT]) {
      for (const from of [HEALTHY, recoveringFrom(NOW)]) {
        let health = failedTimes(4, from)
        for (let i = 0; i < 20; i++) {
          const change = failed(health, { ...other, now: later(i) })
          t.same([change.notice, change.disable], [undefined, undefined])
          health = change.health
        }
        t.match(health, { state: from.state, failures: 4, failingSince: NOW, lastFailure: other.reason })
        t.equal(failed(health).health.state, 'failing', 'the fifth failure of the receiver opens it')
        t.match(failed(health, { ...other, succeededSince: true, now: later(60) }).health, {
          failures: 0,
          failingSince: later(60),
        })
      }
    }
  },
)

t.test(
  'a probe that is refused for its body starts the recovery; one that was not sent is a failed probe',
  async (t) => {
    const refused = failed(FAILING, { ...REFUSED, now: later(5) })
    t.same(refused, {
      health: { ...recoveringFrom(later(5)), failingSince: NOW, lastFailure: 'rejected: status 413' },
    })
    t.equal(afterDrain(refused.health, { empty: true, now: later(5) })!.notice, 'webhook.recovered')
    const notSent = failed(FAILING, { ...NOT_SENT, now: later(5) })
    t.match(notSent, { health: { state: 'failing', probes: 1, probeAt: later(15) }, notice: undefined })
  },
)

t.test(
  'a webhook that refuses everything for `disableAfterMs` is disabled in any state, with the time and the reason',
  async (t) => {
    const end = DISABLE_AFTER_MS / 1000
    const since = NOW.toISOString()
    for (const state of [HEALTHY, recoveringFrom(NOW), FAILING]) {
      const first = failed(state, REFUSED).health
      t.equal(failed(first, { ...REFUSED, now: later(end - 1) }).disable, undefined)
      const refused = failed(first, { ...REFUSED, now: later(end) })
      t.match(refused, {
        notice: 'webhook.disabled',
        disable: `nothing was accepted since ${since}, the last body was refused: rejected: status 413`,
      })
      t.equal(
        failed(first, { ...NOT_SENT, now: later(end) }).disable,
        `nothing was accepted since ${since}, the last one could not be sent: not_sent: no template`,
      )
      t.equal(failed(first, { ...REFUSED, succeededSince: state !== FAILING, now: later(end - 1) }).disable, undefined)
    }
    const throughRecovery = afterDrain(failed(FAILING, REFUSED).health, { empty: true, now: NOW })!.health
    t.ok(failed(throughRecovery, { ...REFUSED, now: later(end) }).disable, 'a recovery without a success is no success')
  },
)

t.test('Retry-After holds a webhook: nothing before it, then one attempt at a time until another answer', async (t) => {
  const held = failed(HEALTHY, { resumeAt: later(30) }).health
  t.match(held, { state: 'healthy', failures: 1, resumeAt: later(30) })
  t.same(allowanceOf(held, NO_LIMITS, later(29.999)), { kind: 'wait', until: later(30) })
  t.same(allowanceOf(held, NO_LIMITS, later(30)), { kind: 'probe' })
  const longest = failed(held, { resumeAt: later(20) }).health
  t.same(longest.resumeAt, later(30), 'of concurrent answers the longest counts')
  t.same(failed(held, { resumeAt: later(90) }).health.resumeAt, later(90))

  const answers = { failure: {}, refusal: REFUSED }
  for (const [name, answer] of Object.entries(answers)) {
    t.same(failed(held, { ...answer, now: later(29) }).health.resumeAt, later(30), `a ${name} of an attempt in flight`)
    t.equal(failed(held, { ...answer, now: later(30) }).health.resumeAt, null, `a ${name} of the probe`)
  }
  t.same(afterSuccess(held, later(29)).health.resumeAt, later(30), 'a success of an attempt in flight')
  t.same(afterSuccess(held, later(30)).health, HEALTHY)
  t.same(failed(held, { ...NOT_SENT, now: later(31) }).health.resumeAt, later(30), 'what was not sent has no answer')
  t.same(failed(held, { resumeAt: later(61), now: later(31) }).health.resumeAt, later(61), 'held again')
})

t.test('a failing webhook that is held waits for the later of its probe and Retry-After', async (t) => {
  const held = failed(failedTimes(4), { resumeAt: later(60) })
  t.match(held, { health: { state: 'failing', probeAt: later(5), resumeAt: later(60) }, notice: 'webhook.failing' })
  t.same(allowanceOf(held.health, NO_LIMITS, later(59)), { kind: 'wait', until: later(60) })
  t.same(allowanceOf({ ...held.health, probeAt: later(99) }, NO_LIMITS, NOW), { kind: 'wait', until: later(99) })
  t.same(allowanceOf(held.health, NO_LIMITS, later(60)), { kind: 'probe' })
  t.same(afterSuccess(held.health, later(60)).health, recoveringFrom(later(60)))
})

t.test('a clock that was set back counts as no time', async (t) => {
  const health = recoveringFrom(later(3600))
  t.same(allowanceOf(health, NO_LIMITS, NOW), { kind: 'send', maxInFlight: 1, ratePerSecond: RAMP_START_PER_S })
  t.equal(afterDrain(health, { empty: false, now: NOW }), undefined)
  t.equal(failed({ ...FAILING, failingSince: later(DISABLE_AFTER_MS / 1000) }, { now: NOW }).disable, undefined)
})

const time = fc.date({ min: later(-1e7), max: later(1e7), noInvalidDate: true })
const nullable = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null })
const anyHealth: fc.Arbitrary<Health> = fc.record({
  state: fc.constantFrom(...HEALTH_STATES),
  failures: fc.nat(100),
  failingSince: nullable(time),
  lastFailure: nullable(fc.constant('timeout')),
  probes: fc.nat(100),
  probeAt: nullable(time),
  recoveringSince: nullable(time),
  resumeAt: nullable(time),
})

t.test('an allowance never exceeds the limits, for any health and clock', async () => {
  const limits = fc.record({
    maxInFlight: nullable(fc.integer({ min: 1, max: 1000 })),
    ratePerSecond: nullable(fc.double({ min: 0.01, max: 1000, noNaN: true })),
  })
  fc.assert(
    fc.property(anyHealth, limits, time, (health, limits, now) => {
      const allowance = allowanceOf(health, limits, now)
      if (allowance.kind === 'wait') {
        const { probeAt, resumeAt } = health
        return allowance.until > now && [probeAt, resumeAt].some((at) => at?.getTime() === allowance.until.getTime())
      }
      if (health.resumeAt !== null && health.resumeAt > now) return false
      if (allowance.kind === 'probe') return health.state === 'failing' || health.resumeAt !== null
      const { maxInFlight, ratePerSecond } = allowance
      const isWithin =
        limits.ratePerSecond === null || (ratePerSecond !== null && ratePerSecond <= limits.ratePerSecond)
      const isPositive = maxInFlight >= 1 && (ratePerSecond === null || ratePerSecond > 0)
      return (
        health.state !== 'failing' &&
        health.resumeAt === null &&
        isWithin &&
        isPositive &&
        maxInFlight <= (limits.maxInFlight ?? Infinity)
      )
    }),
    { numRuns: 1000 },
  )
})

type Step =
  | ({ kind: 'failure'; random: number; retryAfterS: number | null } & Pick<
      Failure,
      'gone' | 'subject' | 'succeededSince'
    >)
  | { kind: 'success' }
  | { kind: 'drain'; empty: boolean }
  | { kind: 'time'; seconds: number }

const seldom = (n: number) => fc.nat(n).map((one) => one === 0)
const failure = fc
  .record({
    gone: seldom(40),
    subject: fc.constantFrom<FailureSubject>('receiver', 'receiver', 'receiver', 'body', 'relay'),
    retryAfterS: fc.option(fc.integer({ min: 1, max: 86_400 }), { nil: null, freq: 10 }),
    succeededSince: seldom(10),
    random,
  })
  .map((failure): Step => ({ kind: 'failure', ...failure }))
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: failure },
  { weight: 2, arbitrary: fc.constant<Step>({ kind: 'success' }) },
  { weight: 2, arbitrary: fc.boolean().map((empty): Step => ({ kind: 'drain', empty })) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(-3600, 1, 50, 400, 200_000).map((seconds): Step => ({ kind: 'time', seconds })),
  },
)

t.test(
  'a webhook leaves healthy only after five failures in a row; every failing notice is followed by recovered or disabled',
  async (t) => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        let health = HEALTHY
        let now = NOW
        /** Failures in a row over all processes. */
        let inRow = 0
        let isNoticed = false
        for (const step of steps) {
          if (step.kind === 'time') now = later(step.seconds, now)
          if (step.kind === 'success') inRow = 0
          if (step.kind === 'failure') {
            if (step.succeededSince && health.state !== 'failing') inRow = 0
            if (step.subject === 'receiver') inRow++
          }
          const change = changeBy(step, health, now)
          if (!change) continue
          if (health.state === 'healthy' && change.health.state !== 'healthy' && inRow < FAILURES_TO_OPEN) return false
          if (change.health.state === 'failing' && change.health.probeAt === null) return false
          // only a failure of the receiver opens a circuit, and a hold ends only when it is over
          const isOpened = health.state !== 'failing' && change.health.state === 'failing'
          if (isOpened && !(step.kind === 'failure' && step.subject === 'receiver')) return false
          const isHeld = health.resumeAt !== null && health.resumeAt > now
          if (isHeld && !(change.health.resumeAt! >= health.resumeAt!)) return false
          if (change.notice === 'webhook.failing' && isNoticed) return false
          if (change.notice === 'webhook.recovered' && health.state !== 'recovering') return false
          if ((change.notice === 'webhook.disabled') !== (change.disable !== undefined)) return false
          if (change.notice) isNoticed = change.notice === 'webhook.failing'
          if (change.notice) seen.add(change.notice)
          health = change.health
          if (change.disable !== undefined) {
            // an operator enables it
            health = recoveringFrom(now)
            inRow = 0
          }
          // no failing notice is left without a second one
          if (health.state === 'healthy' && isNoticed) return false
        }
        return true
      }),
      { numRuns: 500 },
    )
    t.equal(seen.size, 3, 'the sequences have every notice')
  },
)

function changeBy(step: Step, health: Health, now: Date): HealthChange | undefined {
  if (step.kind === 'failure') {
    const { retryAfterS, gone, subject, succeededSince, random } = step
    const resumeAt = retryAfterS === null || subject !== 'receiver' ? null : later(retryAfterS, now)
    return failed(health, { gone, subject, succeededSince, random, resumeAt, now })
  }
  if (step.kind === 'success') return afterSuccess(health, now)
  return step.kind === 'drain' ? afterDrain(health, { empty: step.empty, now }) : undefined
}
