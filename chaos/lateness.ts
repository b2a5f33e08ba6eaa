/** How late an event came, where faults excuse a delay while they last. Pure. */

/** Milliseconds since 1970. */
export interface Interval {
  fromMs: number
  toMs: number
}

/** An event is on time when it comes so soon after it was accepted, or after the fault that delayed it. */
export const ON_TIME_MS = 10_000

/**
 * Milliseconds from the time at which an event was due: when it was accepted, or at the end of the faults that began before
 * it would have been late.
 * @param faults in the order of their beginnings
 */
export function latenessOf(event: { acceptedMs: number; receivedMs: number }, faults: readonly Interval[]): number {
  let dueMs = event.acceptedMs
  for (const { fromMs, toMs } of faults) {
    if (fromMs <= dueMs + ON_TIME_MS) dueMs = Math.max(dueMs, toMs)
  }
  return Math.max(0, event.receivedMs - dueMs)
}
