/**
 * The health of a webhook: a circuit breaker. Pure: an outcome, `now` and `random` in, the next health out.
 *
 * Guarantee: a receiver that is down gets one attempt at a time; one that is back gets its waiting deliveries at a growing
 * rate; each outage makes one notice when it begins and one when it ends, by recovery or by disabling the webhook.
 *
 *   healthy     The circuit is closed. First attempts are made at once, retries when they are due. Five failures of the
 *               receiver in a row, counted over all processes, open the circuit.
 *   failing     The circuit is open. Deliveries wait, without using up their retry schedules. One due delivery at a time is
 *               attempted as a probe; after a failed probe the next one waits longer, up to five minutes. One success
 *               starts the recovery, and so does a refused body, which shows that the receiver is up.
 *   recovering  The circuit is half-open. Waiting deliveries are sent at a rate that starts low and doubles every few
 *               seconds, within the webhook's own limits. The end of the ramp, or of the waiting deliveries, closes the
 *               circuit; five failures in a row open it again, without another notice.
 *
 *   healthy ── 5 failures in a row ──▶ failing      notice webhook.failing
 *   failing ── failed probe ─────────▶ failing      the next probe later
 *   failing ── success, body refused ▶ recovering
 *   recovering ── 5 failures in a row ▶ failing
 *   recovering ── ramp over, or empty ▶ healthy     notice webhook.recovered
 *   any ── 410 Gone; no success too long ▶ disabled notice webhook.disabled (an operator enables it: recovering)
 *
 * A failure has a subject (delivery/policy.ts): the receiver, the body or the relay. Only failures of the receiver count
 * towards opening the circuit. Nothing but failures of any kind for `disableAfterMs` disables the webhook: those of the
 * receiver once the circuit is open, the others in any state.
 *
 * In any state a webhook may be held, by the Retry-After of a 429 or 503: nothing is sent before `resumeAt`, and after it one
 * attempt at a time, until one is answered otherwise. An attempt that was in flight when the hold began does not end it.
 *
 * Status (enabled, disabled) is set by operators and by disabling; health follows from the outcomes of attempts.
 */

export const HEALTH_STATES = ['healthy', 'failing', 'recovering'] as const
export type HealthState = (typeof HEALTH_STATES)[number]

export interface Health {
  state: HealthState
  /** Failures of the receiver in a row. */
  failures: number
  /** The first failure of any kind after the last success. */
  failingSince: Date | null
  /** The reason of the last failure, in one line. */
  lastFailure: string | null
  /** Failed probes since the circuit opened. */
  probes: number
  /** While failing: the earliest time of the next probe. */
  probeAt: Date | null
  recoveringSince: Date | null
  /** Set while the webhook is held: nothing is sent before this time, and then one attempt at a time. */
  resumeAt: Date | null
}

export type Notice = 'webhook.failing' | 'webhook.recovered' | 'webhook.disabled'

/** The effect of an outcome on a webhook. */
export interface HealthChange {
  health: Health
  notice?: Notice
  /** Set when the webhook is to be disabled: the reason. */
  disable?: string
}

/** Failures in a row that open the circuit. */
export const FAILURES_TO_OPEN = 5

/** Seconds from a failed probe to the next one; the last value is used for all later ones. */
export const PROBE_WAITS_S: readonly number[] = [5, 10, 30, 60, 120, 300]
/** A probe is up to this fraction late, so that the probes of many webhooks spread out. */
const PROBE_JITTER = 0.2

/** While recovering: attempts a second at first, and the time in which the rate doubles. */
export const RAMP_START_PER_S = 5
export const RAMP_DOUBLING_S = 5
/** The length of the ramp: at its end the rate is above 1,000 a second. */
export const RAMP_S = 40

export const HEALTHY: Health = {
  state: 'healthy',
  failures: 0,
  failingSince: null,
  lastFailure: null,
  probes: 0,
  probeAt: null,
  recoveringSince: null,
  resumeAt: null,
}

/** 410 disables a webhook: Standard Webhooks, "Deliverability and reliability". */
export const GONE_REASON = 'the receiver answered 410 Gone'

/** The reason of a webhook that was disabled by request. */
export const DISABLED_BY_OPERATOR = 'disabled by an operator'

/** What a failure says something about: delivery/policy.ts, `subjectOf`. */
export type FailureSubject = 'receiver' | 'body' | 'relay'

/** A failed attempt. */
export interface Failure {
  /** One line, without secrets. */
  reason: string
  /** True for 410 Gone. */
  gone: boolean
  subject: FailureSubject
  /** The time before which the receiver asked to be sent nothing; null when it did not. */
  resumeAt: Date | null
  /** True when the process that saw this failure saw a success of the webhook since the last failure. */
  succeededSince: boolean
}

export interface FailureOptions {
  now: Date
  /** In [0, 1). */
  random: number
  /** Nothing but failures for this long disables. */
  disableAfterMs: number
}

/** The health after a failure. */
export function afterFailure(before: Health, failure: Failure, options: FailureOptions): HealthChange {
  const health = counted(before, failure, options.now)
  if (failure.gone) return { health, notice: 'webhook.disabled', disable: GONE_REASON }
  if (hasFailedTooLong(health, failure, options)) {
    return { health, notice: 'webhook.disabled', disable: reasonOf(failure, health.failingSince!) }
  }
  if (health.state === 'failing') return { health: afterFailedProbe(health, failure, options) }
  if (failure.subject !== 'receiver' || health.failures < FAILURES_TO_OPEN) return { health }
  const change = { health: opened(health, 0, options) }
  return before.state === 'healthy' ? { ...change, notice: 'webhook.failing' } : change
}

/** The health with this failure counted, in the same state. */
function counted(before: Health, { reason, subject, succeededSince, resumeAt }: Failure, now: Date): Health {
  const isFirst = succeededSince && before.state !== 'failing'
  const failures = isFirst ? 0 : before.failures
  // without an answer the hold goes on
  const held = subject === 'relay' ? before.resumeAt : remainingHold(before, now)
  return {
    ...before,
    failures: subject === 'receiver' ? failures + 1 : failures,
    failingSince: isFirst ? now : (before.failingSince ?? now),
    lastFailure: reason,
    resumeAt: held !== null && resumeAt !== null && held > resumeAt ? held : (resumeAt ?? held),
  }
}

function hasFailedTooLong(
  { state, failingSince }: Health,
  { subject }: Failure,
  { now, disableAfterMs }: FailureOptions,
): boolean {
  if (failingSince === null || (state !== 'failing' && subject === 'receiver')) return false
  return now.getTime() - failingSince.getTime() >= disableAfterMs
}

function reasonOf({ subject, reason }: Failure, since: Date): string {
  if (subject === 'receiver') return `nothing but failures since ${since.toISOString()}, the last one: ${reason}`
  const last = subject === 'body' ? 'the last body was refused' : 'the last one could not be sent'
  return `nothing was accepted since ${since.toISOString()}, ${last}: ${reason}`
}

/** An attempt that was in flight when the circuit opened is not a probe. */
function afterFailedProbe(health: Health, { subject }: Failure, options: FailureOptions): Health {
  const { failingSince, lastFailure, resumeAt, probeAt, probes } = health
  if (subject === 'body') return { ...recoveringFrom(options.now), failingSince, lastFailure, resumeAt }
  return probeAt !== null && probeAt > options.now ? health : opened(health, probes + 1, options)
}

/** The health after a success: a failing webhook starts to recover, any other has no failures in a row. */
export function afterSuccess(before: Health, now: Date): HealthChange {
  const resumeAt = remainingHold(before, now)
  if (before.state === 'failing') return { health: { ...recoveringFrom(now), resumeAt } }
  return { health: { ...before, failures: 0, failingSince: null, lastFailure: null, resumeAt } }
}

/** True when a success changes this health, so that it has to be recorded. A healthy webhook's count is left as it is. */
export function endsWithSuccess({ state, failingSince, resumeAt }: Health): boolean {
  return state === 'failing' || resumeAt !== null || (state === 'recovering' && failingSince !== null)
}

/** The hold that an answer leaves in place: one that is not over. */
function remainingHold({ resumeAt }: Health, now: Date): Date | null {
  return resumeAt !== null && resumeAt > now ? resumeAt : null
}

/** The health at the start of a recovery: after a successful probe, or when an operator enables the webhook. */
export function recoveringFrom(now: Date): Health {
  return { ...HEALTHY, state: 'recovering', recoveringSince: now }
}

/** The end of a recovery: when the ramp is over, or when no delivery waits (`empty`); undefined before. */
export function afterDrain(before: Health, { empty, now }: { empty: boolean; now: Date }): HealthChange | undefined {
  if (before.state !== 'recovering') return undefined
  if (!empty && rampSeconds(before, now) < RAMP_S) return undefined
  const { failingSince, lastFailure, resumeAt } = before
  return { health: { ...HEALTHY, failingSince, lastFailure, resumeAt }, notice: 'webhook.recovered' }
}

/** A webhook's own limits; null: no limit. */
export interface Limits {
  maxInFlight: number | null
  ratePerSecond: number | null
}

/** True when only the webhook's own limits apply: its circuit is closed and it is not held. */
export function isUnrestricted({ state, resumeAt }: Health): boolean {
  return state === 'healthy' && resumeAt === null
}

/** What may be sent now. */
export type Allowance =
  | { kind: 'wait'; until: Date }
  /** One attempt; the next decision needs its outcome. */
  | { kind: 'probe' }
  | { kind: 'send'; maxInFlight: number; ratePerSecond: number | null }

/** What may be sent to a webhook now, by its health and its own limits. */
export function allowanceOf(health: Health, limits: Limits, now: Date): Allowance {
  const { state, probeAt, resumeAt } = health
  if (state === 'failing' || resumeAt !== null) {
    const until = new Date(Math.max(probeAt?.getTime() ?? 0, resumeAt?.getTime() ?? 0))
    return until > now ? { kind: 'wait', until } : { kind: 'probe' }
  }
  const maxInFlight = limits.maxInFlight ?? Infinity
  if (state === 'healthy') return { kind: 'send', maxInFlight, ratePerSecond: limits.ratePerSecond }
  const growth = 2 ** (rampSeconds(health, now) / RAMP_DOUBLING_S)
  const ramp = RAMP_START_PER_S * growth
  return {
    kind: 'send',
    maxInFlight: Math.min(maxInFlight, Math.max(1, Math.floor(growth))),
    ratePerSecond: Math.min(limits.ratePerSecond ?? ramp, ramp),
  }
}

function opened(health: Health, probes: number, { now, random }: FailureOptions): Health {
  const waitS = PROBE_WAITS_S[Math.min(probes, PROBE_WAITS_S.length - 1)]!
  const probeAt = new Date(now.getTime() + Math.floor(waitS * 1000 * (1 + PROBE_JITTER * random)))
  return { ...health, state: 'failing', probes, probeAt, recoveringSince: null }
}

/** Seconds since the recovery began, at most `RAMP_S`; 0 when the clock was set back. */
function rampSeconds({ recoveringSince }: Health, now: Date): number {
  if (recoveringSince === null) return RAMP_S
  return Math.min(Math.max(0, (now.getTime() - recoveringSince.getTime()) / 1000), RAMP_S)
}
