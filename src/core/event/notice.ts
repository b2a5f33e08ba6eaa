/**
 * Notices: events about webhooks (failing, recovered, disabled, dead deliveries), received by webhooks whose `event_types`
 * name them.
 */
import type { Queryable } from '../platform/database.js'
import { newId } from '../platform/id.js'
import { stringifyJson, type JsonObject } from '../platform/json.js'
import { localEvent, type NoticeType } from './event.js'
import { insertEvent } from './event-store.js'

/**
 * Stores a notice; it is dispatched after the commit.
 * @param subject the payload; must not have the webhook's URL, which may hold a secret
 * @returns the event's id
 */
export async function storeNotice(
  tx: Queryable,
  type: NoticeType,
  { webhookId, subject, now }: { webhookId: string; subject: JsonObject; now: Date },
): Promise<string> {
  const id = newId('evt')
  await insertEvent(tx, localEvent({ id, type, webhookId, payload: stringifyJson(subject) }, now))
  return id
}
