/** Which events a webhook wants. Pure. */
import type { StoredEvent } from '../event/event.js'
import { matchesTopic } from '../event/topic-pattern.js'
import type { Webhook } from './webhook.js'

/**
 * True when the webhook selects the event's type and its topic; an empty selection selects everything. A topic is never
 * sent what came from it: that would come back for ever.
 */
export function wantsEvent(
  webhook: Pick<Webhook, 'url' | 'event_types' | 'topics'>,
  event: Pick<StoredEvent, 'type' | 'topicArn'>,
): boolean {
  const { url, event_types: types, topics } = webhook
  if (url === event.topicArn) return false
  if (types.length > 0 && !types.some((type) => type === event.type)) return false
  return topics.length === 0 || (event.topicArn !== null && matchesTopic(topics, event.topicArn))
}
