/** Which events a webhook wants. Pure. */
import { NOTICE_TYPES, type StoredEvent } from '../event/event.js'
import { matchesTopic } from '../platform/topic-pattern.js'
import { matchesPolicy } from '../filter/match.js'
import type { EventContent } from '../format/body.js'
import { isJsonObject } from '../platform/json.js'
import type { Target, Webhook } from './webhook.js'

/**
 * True when the webhook selects the event's type and its topic; an empty selection selects everything but notices. An
 * event is never published to the topic it came from, and a notice never sent to the webhook it is about: both would loop. The
 * end of what nobody was told of is sent to nobody.
 */
export function wantsEvent(
  webhook: Pick<Webhook, 'id' | 'url' | 'event_types' | 'topics'>,
  event: Pick<StoredEvent, 'type' | 'topicArn' | 'webhookId' | 'unannounced'>,
): boolean {
  const { id, url, event_types: types, topics } = webhook
  if (url === event.topicArn || id === event.webhookId || event.unannounced) return false
  const isNotice = NOTICE_TYPES.some((type) => type === event.type)
  if (types.length > 0 || isNotice) {
    if (!types.some((type) => type === event.type)) return false
  }
  return topics.length === 0 || isNotice || (event.topicArn !== null && matchesTopic(topics, event.topicArn))
}

/** True when the webhook has no filter, or its filter matches the body in the format `change`, which it may not itself receive. */
export function wantsBody({ policy }: Pick<Target, 'policy'>, { body }: Pick<EventContent, 'body'>): boolean {
  return policy === undefined || matchesPolicy(policy, body)
}

/**
 * True for a change that a webhook with `only_new` is not sent: it brought no value that its alert did not hold, raised no
 * severity and changed no state.
 */
export function isSpared(
  { only_new: onlyNew }: Pick<Target, 'only_new'>,
  { type, previousSeverity }: Pick<StoredEvent, 'type' | 'previousSeverity'>,
  { body: { relay } }: Pick<EventContent, 'body'>,
): boolean {
  const isUpdate = onlyNew && type === 'alert.updated' && previousSeverity === null
  return isUpdate && isJsonObject(relay) && relay.new_values === 0
}
