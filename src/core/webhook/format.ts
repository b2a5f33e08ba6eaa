/**
 * The body that a webhook receives.
 *
 * Promise: the body of an event is the same at its first attempt, at every retry and at every replay; what the message
 * held and we do not know comes out as it came in.
 */
import { LosslessNumber } from 'lossless-json'
import type { AlertMemory } from '../alert/alert-store.js'
import { buildContext, flattenContext } from '../alert/context.js'
import { TEST_EVENT_TYPE, type StoredEvent } from '../event/event.js'
import { integerOf, isJsonObject, parseJson, stringifyJson, type Json, type JsonObject } from '../platform/json.js'

/**
 * Writes the body: for an alert change the message's own keys, with the accumulated context, the highest counts and the
 * diff against everything the alert ever held, plus `relay`; for any other message `{ message, subject, relay }`.
 * @param memory the alert's memory as of this event; undefined when the event is no alert change
 */
export function formatBody(event: StoredEvent, memory: AlertMemory | undefined): string {
  const payload = parseJson(event.payload)
  if (event.type === TEST_EVENT_TYPE) memory ??= claimedMemory(payload)
  if (!memory || !isJsonObject(payload) || !isJsonObject(payload.updated_alert)) {
    return stringifyJson({ message: payload, subject: event.subject, relay: relayOf(event) })
  }
  return stringifyJson({
    ...payload,
    updated_alert: updatedAlert(payload.updated_alert, event, memory),
    incoming_rule_matches_context: payload.incoming_rule_matches_context ?? {},
    context_diff: buildContext(memory.diff),
    relay: { ...relayOf(event), upstream_context_diff: payload.context_diff ?? null },
  })
}

/** A test has no alert: its example stands for itself. */
function claimedMemory(payload: Json): AlertMemory | undefined {
  if (!isJsonObject(payload) || !isJsonObject(payload.updated_alert)) return undefined
  const { context } = payload.updated_alert
  const diff = payload.context_diff
  return {
    accumulated: isJsonObject(context) ? flattenContext(context) : [],
    diff: isJsonObject(diff) ? flattenContext(diff) : [],
  }
}

function updatedAlert(alert: JsonObject, event: StoredEvent, memory: AlertMemory): JsonObject {
  return {
    ...alert,
    context: buildContext(memory.accumulated),
    ...raised('match_count', alert, event.matchCount),
    ...raised('update_count', alert, event.updateCount),
  }
}

/** Counts only go up: the highest one seen replaces a lower one, and nothing else. */
function raised(key: string, alert: JsonObject, highest: bigint | null): JsonObject {
  const own = integerOf(alert[key])
  if (own === undefined || highest === null || highest <= own) return {}
  return { [key]: new LosslessNumber(String(highest)) }
}

function relayOf(event: StoredEvent): Record<string, Json> {
  return {
    event_id: event.id,
    type: event.type,
    ...(event.sequence === null ? {} : { sequence: Number(event.sequence) }),
    topic_arn: event.topicArn,
    received_at: event.receivedAt.toISOString(),
  }
}
