/** Retries of statements while the database is unavailable: an outcome that is known must be recorded, not made again. */
import pRetry from 'p-retry'
import { isUndecided } from './errors.js'

/** A server that restarts is back by then; what is not recorded by then is done again. */
const MAX_RETRY_MS = 20_000
const RETRY_MS = 500

/**
 * Repeats the work while the database does not answer ('undecided'), for some 20 s. The work must be idempotent: a statement
 * whose answer was lost may have been carried out.
 */
export function retryWhileUnavailable<T>(work: () => Promise<T>): Promise<T> {
  return pRetry(work, {
    retries: Infinity,
    factor: 1,
    minTimeout: RETRY_MS,
    maxRetryTime: MAX_RETRY_MS,
    shouldRetry: ({ error }) => isUndecided(error),
  })
}
