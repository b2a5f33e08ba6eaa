/**
 * The format `cloudevents`: CloudEvents 1.0.2 in structured mode. Pure.
 *
 * Guarantee: `id` and `source` identify an event: every retry and replay has the same ones.
 */
import type { JsonObject } from '../../platform/json.js'
import { alertOf, typeOf } from '../highlights.js'
import type { FormatInput } from '../input.js'
import { oneLine } from '../text.js'

/** Precedes the type of an event: `com.alert-relay.alert.created`. */
const TYPE_PREFIX = 'com.alert-relay.'
/** The source of events that the relay makes: rule matches, quiet alerts, notices, tests. */
const OWN_SOURCE = 'urn:alert-relay'
/** Code points that the specification's String excludes besides control characters: U+nFFFE, U+nFFFF, U+FDD0-FDEF. */
const NONCHARACTERS = /\p{Noncharacter_Code_Point}/gu

/** `data` is the body in the format `change`; `subject` is the id of the alert, or of the webhook of a notice. */
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
