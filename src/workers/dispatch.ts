/**
 * The dispatch queue: one job per event.
 *
 * Promise: when a job is done, every enabled webhook that wants the event had its first attempt, and what came of it is
 * written. A job that dies half-way is done again from the start: a receiver may get the event twice, never not at all.
 */
import { bodyFor, disableIfGone, loadContent, type Deliver } from '../core/delivery/deliver.js'
import { findRecordedWebhooks, recordDispatch, type FirstAttempt } from '../core/delivery/delivery-store.js'
import type { StoredEvent } from '../core/event/event.js'
import { findEvent } from '../core/event/event-store.js'
import type { Database } from '../core/platform/database.js'
import type { DispatchJob, Queues } from '../core/platform/queues.js'
import type { Sealer } from '../core/platform/secrets.js'
import { wantsEvent } from '../core/webhook/filter.js'
import type { EventContent } from '../core/webhook/format.js'
import type { Target } from '../core/webhook/webhook.js'
import { listTargets } from '../core/webhook/webhook-store.js'

export interface DispatchOptions {
  database: Database
  queues: Queues
  sealer: Sealer
  deliver: Deliver
}

export function createDispatchHandler(options: DispatchOptions) {
  const { database, queues, sealer } = options
  return async ({ eventId }: DispatchJob): Promise<void> => {
    const event = await findEvent(database, eventId)
    if (!event || event.dispatchedAt !== null) return
    const [content, targets, recorded] = await Promise.all([
      loadContent(database, event),
      listTargets(database, sealer),
      findRecordedWebhooks(database, eventId),
    ])
    const wanted = targets.filter((target) => wantsEvent(target, event) && !recorded.has(target.id))
    const results = await Promise.all(wanted.map((target) => firstAttempt(options, target, event, content)))
    const made = results.filter((result) => result !== undefined)
    const retries = await recordDispatch(database, eventId, made, new Date())
    for (const { webhookId, attempt } of made) await disableIfGone(database, webhookId, attempt, new Date())
    await queues.addRetries(retries)
  }
}

/** Undefined when the webhook is to get nothing: every indicator in the event was sent to it before. */
async function firstAttempt(
  { database, deliver }: DispatchOptions,
  target: Target,
  event: StoredEvent,
  content: EventContent,
): Promise<FirstAttempt | undefined> {
  const body = await bodyFor(database, target, event, content, new Date())
  if (!body) return undefined
  return { webhookId: target.id, ...(await deliver({ target, event, body, number: 1, scheduleStart: 0 })) }
}
