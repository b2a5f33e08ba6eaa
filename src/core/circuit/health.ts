/**
 * The health of a webhook, and the circuit that follows from it. Pure: what happened, `now` and `random` in, the next
 * health out.
 *
 * Promise: a receiver that is down is asked by one delivery at a time; one that comes back is met by a growing trickle,
 * never by everything at once; every webhook that fails is told of once, and once again when it is well or given up.
 *
 *   healthy     It takes what it is sent, or fails now and then. First attempts go to it at once, retries at their times.
 *               Five failures in a row, whoever made them, and it is failing.
 *   failing     The circuit is open: what is for it waits, without using up its retry schedule. One delivery that is due
 *               is the probe: it is attempted alone, and the next probe waits longer, up to five minutes. One success and
 *               it is recovering; nothing but failures for `disableAfterMs` and it is disabled.
 *   recovering  What waited is sent at a rate that begins low and doubles every few seconds, within the webhook's own
 *               limits. When the rate is high or nothing waits any more it is healthy; five failures in a row and it is
 *               failing again, without another notice: it had not recovered.
 *
 *   healthy ── 5 failures in a row ──▶ failing      notice webhook.failing
 *   failing ── failed probe ─────────▶ failing      the next probe later
 *   failing ── success ──────────────▶ recovering
 *   recovering ── 5 failures in a row ▶ failing
 *   recovering ── ramp over, or empty ▶ healthy     notice webhook.recovered
 *   any ── 410 Gone; failing too long ▶ disabled    notice webhook.disabled (an operator enables it: recovering)
 *
 * What a failure is of matters not: a receiver that refuses one event in ten has successes in between. A webhook's status
 * (enabled, disabled) is the operators' word, its health is what its receiver shows.
 */

export const HEALTH_STATES = ['healthy', 'failing', 'recovering'] as const
export type HealthState = (typeof HEALTH_STATES)[number]

export interface Health {
  state: HealthState
  /** Failures in a row. */
  failures: number
  /** The first failure after the last success. */
  failingSince: Date | null
  /** What the last failure was, in one line. */
  lastFailure: string | null
  /** Failed probes since the circuit opened. */
  probes: number
  /** While failing: the next probe comes no earlier. */
  probeAt: Date | null
  recoveringSince: Date | null
}

export type Notice = 'webhook.failing' | 'webhook.recovered' | 'webhook.disabled'

/** What an outcome makes of a webhook's health. */
export interface HealthChange {
  health: Health
  notice?: Notice
  /** Set when it is to be disabled: why. */
  disable?: string
}

/** So many failures in a row open the circuit. */
export const FAILURES_TO_OPEN = 5

/** Seconds from a failed probe to the next one; the last is for all later ones. */
export const PROBE_WAITS_S: readonly number[] = [5, 10, 30, 60, 120, 300]
/** A probe comes up to this fraction late. */
const PROBE_JITTER = 0.2

/** Recovering: attempts a second at first, and how long until there are twice as many. */
export const RAMP_START_PER_S = 5
export const RAMP_DOUBLING_S = 5
/** Recovering ends after this long: by then the rate is above 1,000 a second. */
export const RAMP_S = 40

export const HEALTHY: Health = {
  state: 'healthy',
  failures: 0,
  failingSince: null,
  lastFailure: null,
  probes: 0,
  probeAt: null,
  recoveringSince: null,
}

/** Why a webhook is disabled when its receiver answers 410 (Standard Webhooks, "Deliverability and reliability"). */
export const GONE_REASON = 'the receiver answered 410 Gone'

/** A failure of an attempt. */
export interface Failure {
  /** One line, without secrets. */
  reason: string
  /** True for 410 Gone. */
  gone: boolean
  /** True when whoever saw this failure saw a success since its last one. */
  succeededSince: boolean
}

/**
 * The health after a failure.
 * @param options.disableAfterMs nothing but failures for this long disables
 * @param options.random in [0, 1)
 */
export function afterFailure(
  before: Health,
  failure: Failure,
  { now, random, disableAfterMs }: { now: Date; random: number; disableAfterMs: number },
): HealthChange {
  const broken = failure.succeededSince && before.state !== 'failing'
  const failures = broken ? 1 : before.failures + 1
  const failingSince = broken ? now : (before.failingSince ?? now)
  const health: Health = { ...before, failures, failingSince, lastFailure: failure.reason }
  if (failure.gone) return { health, notice: 'webhook.disabled', disable: GONE_REASON }
  if (before.state === 'failing') {
    if (now.getTime() - failingSince.getTime() >= disableAfterMs) {
      const disable = `nothing but failures since ${failingSince.toISOString()}, the last one: ${failure.reason}`
      return { health, notice: 'webhook.disabled', disable }
    }
    // an attempt that was under way when the circuit opened is no probe
    if (before.probeAt !== null && before.probeAt > now) return { health }
    return { health: opened(health, before.probes + 1, now, random) }
  }
  if (failures < FAILURES_TO_OPEN) return { health }
  const change = { health: opened(health, 0, now, random) }
  return before.state === 'healthy' ? { ...change, notice: 'webhook.failing' } : change
}

/** The health after a success: a failing webhook recovers, any other forgets its failures. */
export function afterSuccess(before: Health, now: Date): HealthChange {
  if (before.state === 'failing') return { health: recoveringFrom(now) }
  return { health: { ...before, failures: 0, failingSince: null, lastFailure: null } }
}

/** A webhook that begins to recover: after a successful probe, or when an operator enables it. */
export function recoveringFrom(now: Date): Health {
  return { ...HEALTHY, state: 'recovering', recoveringSince: now }
}

/** Recovering is over when the ramp is, or when nothing waits any more. */
export function afterDrain(before: Health, { empty, now }: { empty: boolean; now: Date }): HealthChange | undefined {
  if (before.state !== 'recovering') return undefined
  if (!empty && rampSeconds(before, now) < RAMP_S) return undefined
  return { health: HEALTHY, notice: 'webhook.recovered' }
}

/** A webhook's own limits; null: none. */
export interface Limits {
  maxInFlight: number | null
  ratePerSecond: number | null
}

/** How much may be sent now. */
export type Allowance =
  | { kind: 'wait'; until: Date }
  /** One attempt, and then its outcome. */
  | { kind: 'probe' }
  | { kind: 'send'; maxInFlight: number; ratePerSecond: number | null }

/**
 * How much may be sent to a webhook now, by its health and its own limits.
 * @param mostInFlight what bounds a webhook without a limit of its own
 */
export function allowanceOf(health: Health, limits: Limits, mostInFlight: number, now: Date): Allowance {
  if (health.state === 'failing') {
    const { probeAt } = health
    return probeAt !== null && probeAt > now ? { kind: 'wait', until: probeAt } : { kind: 'probe' }
  }
  const maxInFlight = limits.maxInFlight ?? mostInFlight
  if (health.state === 'healthy') return { kind: 'send', maxInFlight, ratePerSecond: limits.ratePerSecond }
  const growth = 2 ** (rampSeconds(health, now) / RAMP_DOUBLING_S)
  const ramp = RAMP_START_PER_S * growth
  return {
    kind: 'send',
    maxInFlight: Math.min(maxInFlight, Math.max(1, Math.floor(growth))),
    ratePerSecond: Math.min(limits.ratePerSecond ?? ramp, ramp),
  }
}

function opened(health: Health, probes: number, now: Date, random: number): Health {
  const waitS = PROBE_WAITS_S[Math.min(probes, PROBE_WAITS_S.length - 1)]!
  const probeAt = new Date(now.getTime() + Math.floor(waitS * 1000 * (1 + PROBE_JITTER * random)))
  return { ...health, state: 'failing', probes, probeAt, recoveringSince: null }
}

/** A clock that was set back counts as no time. */
function rampSeconds({ recoveringSince }: Health, now: Date): number {
  if (recoveringSince === null) return RAMP_S
  return Math.min(Math.max(0, (now.getTime() - recoveringSince.getTime()) / 1000), RAMP_S)
}
