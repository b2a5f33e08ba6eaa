/**
 * Long work on the event loop in slices, so that other requests pass in between.
 *
 * Guarantee: work that is short takes no turn of the loop.
 */
import { setImmediate } from 'node:timers/promises'

/** How long a slice may take, in milliseconds. */
const SLICE_MS = 10
/** How many entries are done between two looks at the clock. */
const STRIDE = 256

/** Calls `work` with each entry in order. */
export async function inSlices<T>(entries: Iterable<T>, work: (entry: T) => void): Promise<void> {
  let begun = performance.now()
  let count = 0
  for (const entry of entries) {
    work(entry)
    if (++count % STRIDE === 0 && performance.now() - begun > SLICE_MS) {
      await otherTurns()
      begun = performance.now()
    }
  }
}

/** Lets what waits for the event loop pass. */
export async function otherTurns(): Promise<void> {
  await setImmediate()
}
