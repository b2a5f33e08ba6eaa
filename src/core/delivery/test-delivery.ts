/** A test: one event of type webhook.test for one webhook, attempted now and never again. */
import { TEST_EVENT_TYPE, type StoredEvent } from '../event/event.js'
import { insertEvent } from '../event/event-store.js'
import { SAMPLE_CHANGE } from '../event/sample.js'
import type { Database } from '../platform/database.js'
import { newId } from '../platform/id.js'
import { stringifyJson } from '../platform/json.js'
import type { Target } from '../webhook/webhook.js'
import { indicatorOf, selectIndicators } from '../webhook/once.js'
import { loadContent, type Deliver } from './deliver.js'
import type { DeliveryWithAttempts } from './delivery.js'
import { findDelivery, listDeliveries } from './delivery-list.js'
import { recordDispatch } from './delivery-store.js'
import type { DeliveryState } from './policy.js'

/**
 * Sends a test to a webhook, whatever its status and selection, and says what came of it.
 * @returns the delivery, succeeded or dead, with its one attempt
 */
export async function sendTest(
  { database, deliver }: { database: Database; deliver: Deliver },
  target: Target,
): Promise<DeliveryWithAttempts> {
  const event = testEvent(new Date())
  await insertEvent(database, event)
  const content = await loadContent(database, event)
  const { once } = target
  const body = once ? content.bodyWith(selectIndicators(content.carried, once).map(indicatorOf)) : content.body
  const { attempt, state } = await deliver({ target, event, body, number: 1, scheduleStart: 0 })
  const result = { webhookId: target.id, attempt, state: onceOnly(state) }
  await recordDispatch(database, event.id, [result], new Date())
  const { data } = await listDeliveries(database, { event_id: event.id }, { limit: 1 })
  const delivery = data[0] && (await findDelivery(database, data[0].id))
  if (!delivery) throw new Error(`the delivery of test event ${event.id} is gone`)
  return delivery
}

function testEvent(now: Date): StoredEvent {
  return {
    id: newId('evt'),
    type: TEST_EVENT_TYPE,
    messageId: null,
    topicArn: null,
    alertId: null,
    sequence: null,
    severity: null,
    previousSeverity: null,
    title: null,
    subject: null,
    matchCount: null,
    updateCount: null,
    payload: stringifyJson(SAMPLE_CHANGE),
    sentAt: now,
    receivedAt: now,
    dispatchedAt: now,
  }
}

/** A test says what happened now; nobody waits for it later. */
function onceOnly(state: DeliveryState): DeliveryState {
  if (state.status !== 'pending') return state
  return { status: 'dead', nextAttemptAt: null, reason: 'a test is not retried' }
}
