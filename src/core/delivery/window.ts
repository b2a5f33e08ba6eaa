/**
 * How many attempts at once a receiver gets, by what it shows. Pure: a window and the end of an attempt in, the next window
 * out.
 *
 * Guarantee: a receiver that answers as fast as it does alone gets more while it uses what it has; one that slows down under
 * the load, says that it is overloaded, or does not answer gets fewer; one that never answers gets one.
 *
 * The rate of a receiver is its window divided by the time that it takes to answer. Its own time is learned while it has few
 * attempts; a longer time with more of them is a queue at the receiver, and the window shrinks by as much as the time is too
 * long (the gradient of Netflix's concurrency-limits, after TCP Vegas: Brakmo and Peterson, 1995). Growth is fast up to
 * where the window last shrank, and slow beyond (slow start and congestion avoidance: RFC 5681).
 */

export interface Window {
  /** Attempts at once; at least 1, not a whole number. */
  size: number
  /** Up to this size it doubles with every round of answers. */
  fastUpTo: number
  /** The smoothed time of an answer, in milliseconds; 0: there was none. */
  latencyMs: number
  /** The same of attempts that began as one of few, or the shortest of all since. */
  ownLatencyMs: number
  /** When the window was last halved, on a monotonic clock. */
  halvedAtMs: number
  /** False: no attempt has succeeded since. */
  hasSucceeded: boolean
}

/** What an attempt says of its receiver. `overloaded`: it asks for fewer; `failed`: nothing about how many it takes. */
export type AttemptResult = 'succeeded' | 'failed' | 'overloaded' | 'unanswered'

export interface AttemptEnd {
  result: AttemptResult
  latencyMs: number
  /** Attempts at this receiver when it began, itself included. */
  inFlightBefore: number
  /** When it ended, itself included. */
  inFlight: number
  nowMs: number
}

export const FIRST_SIZE = 16
/** So many are few: only failures make the window smaller than this. */
export const FEW = 64
/** An answer may take so many times as long as the receiver's own time. */
const TOLERANCE = 1.5
/** The smoothed time is that of the last 16 answers, or of the last quarter of the window. */
const SMOOTHED = { answers: 16, share: 1 / 4 }

export const FIRST_WINDOW: Window = {
  size: FIRST_SIZE,
  fastUpTo: Infinity,
  latencyMs: 0,
  ownLatencyMs: 0,
  halvedAtMs: -Infinity,
  hasSucceeded: false,
}

export function afterAttempt(window: Window, end: AttemptEnd): Window {
  if (end.result === 'failed') return window
  return end.result === 'succeeded' ? afterSuccess(window, end) : afterLoss(window, end)
}

/**
 * Halved once for all attempts that were under way together, as long as some of them succeed: a receiver that loses one
 * in a hundred is not taken for one that is down.
 */
function afterLoss(window: Window, { result, latencyMs, nowMs }: AttemptEnd): Window {
  const isOfThatHalving = nowMs - latencyMs < window.halvedAtMs
  const isDown = result === 'unanswered' && !window.hasSucceeded
  if (isOfThatHalving && !isDown) return window
  const size = Math.max(1, Math.floor(window.size / 2))
  return { ...window, size, fastUpTo: size, halvedAtMs: nowMs, hasSucceeded: false }
}

function afterSuccess(window: Window, { latencyMs: sample, inFlightBefore, inFlight }: AttemptEnd): Window {
  const weight = 1 / Math.max(SMOOTHED.answers, window.size * SMOOTHED.share)
  const latencyMs = smoothed(window.latencyMs, sample, weight)
  const ownLatencyMs =
    inFlightBefore <= FEW
      ? smoothed(window.ownLatencyMs, sample, 1 / SMOOTHED.answers)
      : Math.min(window.ownLatencyMs, latencyMs)
  return {
    ...window,
    latencyMs,
    ownLatencyMs,
    hasSucceeded: true,
    ...resized(window, { latencyMs, ownLatencyMs, inFlight }),
  }
}

function smoothed(before: number, sample: number, weight: number): number {
  return before === 0 ? sample : before + (sample - before) * weight
}

function resized(
  { size, fastUpTo }: Window,
  { latencyMs, ownLatencyMs, inFlight }: { latencyMs: number; ownLatencyMs: number; inFlight: number },
): Pick<Window, 'size' | 'fastUpTo'> {
  if (size < FEW) return { size: Math.min(size + 1, FEW), fastUpTo }
  const gradient = Math.min(1, (TOLERANCE * ownLatencyMs) / latencyMs)
  if (gradient < 1) {
    const smaller = Math.max(FEW, size - (1 - gradient))
    return { size: smaller, fastUpTo: smaller }
  }
  if (inFlight * 2 < size) return { size, fastUpTo }
  return { size: size + (size < fastUpTo ? 1 : 1 / Math.sqrt(size)), fastUpTo }
}
