/**
 * Spacing of the attempts at a webhook with a rate. Pure: the generic cell rate algorithm (ITU-T I.371) without a burst.
 *
 * Guarantee: two slots are never closer than the rate's interval, whichever process takes them.
 */

/** A free slot and the one after it, in milliseconds since 1970. */
export interface Slot {
  at: number
  next: number
}

/**
 * The first slot that is free at `now`.
 * @param next the first free slot, as the attempt before left it; 0: there was none
 * @param ratePerSecond null: no rate, the slot is now
 */
export function slotAfter(next: number, now: number, ratePerSecond: number | null): Slot {
  if (ratePerSecond === null) return { at: now, next: 0 }
  const interval = 1000 / ratePerSecond
  // A slot further ahead than the interval was computed with another rate or on another clock.
  const at = Math.max(now, Math.min(next, now + interval))
  return { at, next: at + interval }
}
