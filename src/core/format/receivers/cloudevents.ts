/**
 * The format `cloudevents`: CloudEvents 1.0.2 in structured mode. Pure.
 *
 * Promise: `id` and `source` together name an event for good: a retry or replay has the same ones.
 */
import type { JsonObject } from '../../platform/json.js'
import { alertOf, typeOf } from '../highlights.js'
import type { FormatInput } from '../input.js'
import { oneLine } from '../text.js'

/** The type of an event is this and our own type: `com.alert-relay.alert.created`. */
const TYPE_PREFIX = 'com.alert-relay.'
/** The source of what the relay made itself: rule matches, quiet alerts, notices, tests. */
const OWN_SOURCE = 'urn:alert-relay'
/** Code points that the specification's String leaves out besides control characters: U+nFFFE, U+nFFFF, U+FDD0-FDEF. */
const NONCHARACTERS = /\p{Noncharacter_Code_Point}/gu

/** `data` is the body of the `change` format; `subject` the alert's id, or that of the webhook a notice is about. */
export function cloudEvent({ event, body }: FormatInput): JsonObject {
  const subject = oneLine(alertOf(body)?.id ?? event.webhookId ?? '').replace(NONCHARACTERS, '\ufffd')
  return {
    specversion: '1.0',
    id: event.id,
    source: event.topicArn ?? OWN_SOURCE,
    type: `${TYPE_PREFIX}${typeOf({ event, body })}`,
    ...(subject === '' ? {} : { subject }),
    time: event.receivedAt.toISOString(),
    datacontenttype: 'application/json',
    data: body,
  }
}
