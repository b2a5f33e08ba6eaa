/** Records attempts that end at about the same time, at whichever webhooks, in one statement. */
import { createBatcher } from '../platform/batcher.js'
import type { Database } from '../platform/database.js'
import { retryWhileUnavailable } from '../platform/retry.js'
import { recordAttempts, type EndedAttempt } from './delivery-store.js'

/** Resolves when the attempt is recorded. */
export type Recorder = (ended: EndedAttempt) => Promise<unknown>

const BATCHES = { maxWeight: 400, concurrency: 2 }

export function createRecorder(database: Database): Recorder {
  return createBatcher(async (ended: EndedAttempt[]) => {
    await retryWhileUnavailable(() => recordAttempts(database, ended, new Date()))
    return ended
  }, BATCHES)
}
