/**
 * What becomes of a batch when it is stored: this process dispatches it, where it has room for a claim, or a job does.
 *
 * Guarantee: when `queued` resolves, each undispatched batch is being dispatched by this process or has a job.
 */
import type { Batch, Queues } from '../platform/queues.js'
import type { Claim, Claims } from './claims.js'
import type { StoredBatch, StoredMessage } from './message-store.js'

export interface HandOverOptions {
  queues: Pick<Queues, 'addDispatches'>
  /** Undefined: this process dispatches nothing. */
  claims?: Claims | undefined
}

/**
 * Stores a batch and hands it over.
 * @param size bounds of what is to be stored
 * @param store stores the batch under the claim, in one transaction
 */
export async function handOver(
  { queues, claims }: HandOverOptions,
  size: { events: number; bytes: number },
  store: (claim: Claim | undefined) => Promise<StoredBatch>,
): Promise<{ messages: StoredMessage[]; queued: Promise<void> }> {
  const claim = claims?.take(size)
  try {
    const stored = await store(claim)
    const queued = (claims?.queue ?? queues.addDispatches)(batchesOf(stored.messages))
    claim?.work(stored)
    return { messages: stored.messages, queued }
  } catch (error) {
    claim?.fail(error)
    throw error
  }
}

/** The batches of undispatched events: the new one, and those of messages that were stored before. */
function batchesOf(stored: readonly StoredMessage[]): Batch[] {
  const batches = new Map<string, Batch>()
  for (const { event, waitMs = 0 } of stored) {
    if (event.dispatchedAt !== null) continue
    const { size, inMs = waitMs } = batches.get(event.batchId) ?? { size: 0 }
    batches.set(event.batchId, { batchId: event.batchId, size: size + 1, inMs: Math.min(inMs, waitMs) })
  }
  return [...batches.values()]
}
