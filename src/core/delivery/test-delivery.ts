/** The test of a webhook: one event of type webhook.test, attempted once and at once. */
import type { FastifyBaseLogger } from 'fastify'
import { localEvent, TEST_EVENT_TYPE, type CountEvent, type StoredEvent } from '../event/event.js'
import { insertEvent } from '../event/event-store.js'
import { SAMPLE_CHANGE } from '../event/sample.js'
import type { Database } from '../platform/database.js'
import { newId } from '../platform/id.js'
import { stringifyJson } from '../platform/json.js'
import { withIndicators } from '../format/body.js'
import type { Target } from '../webhook/webhook.js'
import { indicatorOf, selectIndicators } from '../indicator/once.js'
import { logAttempt } from './attempt-log.js'
import { loadContent } from './content.js'
import type { Deliver } from './deliver.js'
import type { DeliveryWithAttempts } from './delivery.js'
import { findDelivery } from './delivery-list.js'
import { recordDispatches } from './delivery-store.js'
import type { DeliveryState } from './policy.js'

/**
 * Sends a test event to a webhook, whatever its status and selection.
 * @param deliveryId of the delivery that it is to be
 * @returns the delivery, succeeded or dead, with its attempt
 */
export async function sendTest(
  options: { database: Database; deliver: Deliver; log: FastifyBaseLogger; countEvent?: CountEvent },
  target: Target,
  deliveryId: string,
): Promise<DeliveryWithAttempts> {
  const { database, deliver, log, countEvent } = options
  const event = testEvent(new Date())
  await insertEvent(database, event)
  countEvent?.({ type: TEST_EVENT_TYPE, source: 'relay' })
  const content = await loadContent(database, event, { reader: target })
  const { once } = target
  const indicators = once ? selectIndicators(content.carried, once).map(indicatorOf) : undefined
  const body = indicators ? withIndicators(content.body, indicators) : content.body
  const delivered = await deliver({ target, event, body, number: 1, scheduleStart: 0 })
  const ended = { deliveryId, attempt: delivered.attempt, state: withoutRetry(delivered.state) }
  logAttempt(log, { ...ended, target, event })
  const result = { ...ended, webhookId: target.id, sealed: true }
  await recordDispatches(database, [{ event, results: [result] }], new Date())
  const delivery = await findDelivery(database, deliveryId)
  if (!delivery) throw new Error(`the delivery of test event ${event.id} is gone`)
  return delivery
}

/** An event of type webhook.test with the sample change, not stored. */
export function testEvent(now: Date): StoredEvent {
  const payload = stringifyJson(SAMPLE_CHANGE)
  return localEvent({ id: newId('evt'), type: TEST_EVENT_TYPE, payload, dispatchedAt: now }, now)
}

/** A failed test is dead at once: it is not retried. */
function withoutRetry(state: DeliveryState): DeliveryState {
  if (state.status !== 'pending') return state
  return { status: 'dead', nextAttemptAt: null, reason: 'a test is not retried' }
}
