/**
 * The retry queue: one delayed job per delivery that waits.
 *
 * Promise: a job makes the attempt it was made for or none: what was attempted, dropped or held meanwhile is left alone.
 * The webhook is read anew, so its current URL, secrets and status apply.
 */
import { bodyFor, disableIfGone, loadContent, type Deliver } from '../core/delivery/deliver.js'
import {
  dropDeliveries,
  dropDelivery,
  findWaiting,
  holdDelivery,
  recordRetry,
} from '../core/delivery/delivery-store.js'
import { findEvent } from '../core/event/event-store.js'
import type { Database } from '../core/platform/database.js'
import type { Queues } from '../core/platform/queues.js'
import type { Sealer } from '../core/platform/secrets.js'
import { findTarget } from '../core/webhook/webhook-store.js'

export interface RetryOptions {
  database: Database
  queues: Queues
  sealer: Sealer
  deliver: Deliver
}

export function createRetryHandler({ database, queues, sealer, deliver }: RetryOptions) {
  return async ({ deliveryId, attempt: number }: { deliveryId: string; attempt: number }): Promise<void> => {
    const delivery = await findWaiting(database, deliveryId)
    if (delivery?.status !== 'pending' || delivery.nextAttemptAt === null) return
    if (delivery.attemptCount + 1 !== number) return
    const target = await findTarget(database, sealer, delivery.webhookId)
    if (!target) return dropDeliveries(database, delivery.webhookId, new Date())
    if (target.status === 'disabled') return holdDelivery(database, deliveryId, new Date())
    const event = await findEvent(database, delivery.eventId)
    if (!event) return
    const body = await bodyFor(database, target, event, await loadContent(database, event), new Date())
    if (!body) return dropDelivery(database, deliveryId, 'its indicators were sent with other events', new Date())
    const { scheduleStart } = delivery
    const { attempt, state } = await deliver({ target, event, body, number, scheduleStart })
    await recordRetry(database, deliveryId, attempt, state, new Date())
    await disableIfGone(database, target.id, attempt, new Date())
    if (state.nextAttemptAt) await queues.addRetries([{ deliveryId, attempt: number + 1, at: state.nextAttemptAt }])
  }
}
