/**
 * The dispatch queue: one job per event.
 *
 * Promise: when a job is done, every enabled webhook that wants the event had its first attempt, and what came of it is
 * written. A job that dies half-way is done again from the start: a receiver may get the event twice, never not at all.
 */
import type { Deliver } from '../core/delivery/deliver.js'
import { loadBody } from '../core/delivery/deliver.js'
import { findRecordedWebhooks, recordDispatch } from '../core/delivery/delivery-store.js'
import { findEvent } from '../core/event/event-store.js'
import type { Database } from '../core/platform/database.js'
import type { DispatchJob, Queues } from '../core/platform/queues.js'
import type { Sealer } from '../core/platform/secrets.js'
import { wantsEvent } from '../core/webhook/filter.js'
import { listTargets } from '../core/webhook/webhook-store.js'

export interface DispatchOptions {
  database: Database
  queues: Queues
  sealer: Sealer
  deliver: Deliver
}

export function createDispatchHandler({ database, queues, sealer, deliver }: DispatchOptions) {
  return async ({ eventId }: DispatchJob): Promise<void> => {
    const event = await findEvent(database, eventId)
    if (!event || event.dispatchedAt !== null) return
    const [body, targets, recorded] = await Promise.all([
      loadBody(database, event),
      listTargets(database, sealer),
      findRecordedWebhooks(database, eventId),
    ])
    const wanted = targets.filter((target) => wantsEvent(target, event) && !recorded.has(target.id))
    const results = await Promise.all(
      wanted.map(async (target) => ({
        webhookId: target.id,
        ...(await deliver({ target, eventId, body, number: 1, scheduleStart: 0 })),
      })),
    )
    await queues.addRetries(await recordDispatch(database, eventId, results, new Date()))
  }
}
