/**
 * Pace: when the next attempt may be made at a webhook with a rate. Pure: the generic cell rate algorithm (ITU-T I.371)
 * without a burst, so that two attempts are never closer than the rate's interval, whoever makes them.
 */

/** The next free place and the one after it, in milliseconds since 1970. */
export interface Place {
  at: number
  next: number
}

/**
 * @param next the first free place, as it was left by the attempt before; 0: none was made
 * @param ratePerSecond null: no rate, so at once
 */
export function placeAfter(next: number, now: number, ratePerSecond: number | null): Place {
  if (ratePerSecond === null) return { at: now, next: 0 }
  const interval = 1000 / ratePerSecond
  // A place further ahead than the interval comes from another rate, or another clock.
  const at = Math.max(now, Math.min(next, now + interval))
  return { at, next: at + interval }
}
