/** Deadlines: bounds on how long a caller waits. The work that is waited for goes on. */
import { Refusal } from './errors.js'

/**
 * The promise's result, or a Refusal 'undecided' when it takes longer than `ms`. The work itself goes on: what it commits
 * after the deadline stays committed.
 */
export async function withDeadline<T>(work: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Refusal('undecided', `${what} took longer than ${ms} ms; try again`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** A deadline that several pieces of work share. */
export interface Deadline {
  /** The full time counts again from now. */
  extend(): void
  /** Resolves when the work has settled, whatever its result, or when the time is over. */
  race(work: Promise<unknown>): Promise<void>
  /** Ends the time now and frees its timer. */
  end(): void
}

export function createDeadline(ms: number): Deadline {
  let end!: () => void
  const over = new Promise<void>((resolve) => (end = resolve))
  const timer = setTimeout(() => end(), ms)
  return {
    extend: () => void timer.refresh(),
    async race(work) {
      await Promise.race([work.catch(() => {}), over])
    },
    end() {
      clearTimeout(timer)
      end()
    },
  }
}
