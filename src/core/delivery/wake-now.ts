/** Wakes delivery queues at once for a request of the API. Where a circuit is open, the next attempt is its probe. */
import type { FastifyBaseLogger } from 'fastify'
import type { Queryable } from '../platform/database.js'
import { leaveToUpkeep, type Queues } from '../platform/queues.js'
import { probeNow } from '../circuit/health-store.js'

export async function wakeNow(
  { database, queues, log }: { database: Queryable; queues: Pick<Queues, 'addWakes'>; log: FastifyBaseLogger },
  webhookIds: readonly string[],
  now: Date,
): Promise<void> {
  if (webhookIds.length === 0) return
  await probeNow(database, webhookIds, now)
  await leaveToUpkeep(queues.addWakes(webhookIds.map((webhookId) => ({ webhookId, at: now }))), log)
}
