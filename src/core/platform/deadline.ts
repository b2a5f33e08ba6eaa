/** A bound on how long somebody is kept waiting. */
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
