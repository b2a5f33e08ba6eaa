/** Patience with a database that is away for a moment: what was done outside shall be on record, not done again. */
import { setTimeout as pause } from 'node:timers/promises'
import { Refusal } from './errors.js'

/** A server that restarts is back by then; later, whatever was not written is done again. */
const PATIENCE_MS = 20_000
const PAUSE_MS = 500

/**
 * Does the work again while the database does not answer ('undecided'), for some 20 s. The work must be harmless to repeat:
 * a statement whose answer was lost may have been carried out.
 */
export async function persist<T>(work: () => Promise<T>): Promise<T> {
  const until = performance.now() + PATIENCE_MS
  for (;;) {
    try {
      return await work()
    } catch (error) {
      const isAway = error instanceof Refusal && error.code === 'undecided'
      if (!isAway || performance.now() > until) throw error
    }
    await pause(PAUSE_MS)
  }
}
