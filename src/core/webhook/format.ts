/**
 * The body that a webhook receives.
 *
 * Promise: the body of an event is the same at its first attempt, at every retry and at every replay; what the message
 * held and we do not know comes out as it came in.
 */
import { LosslessNumber } from 'lossless-json'
import type { AlertMemory } from '../alert/alert-store.js'
import { buildContext, flattenContext, type ContextValue } from '../alert/context.js'
import { TEST_EVENT_TYPE, type StoredEvent } from '../event/event.js'
import { integerOf, isJsonObject, parseJson, stringifyJson, type Json, type JsonObject } from '../platform/json.js'
import type { Indicator } from './once.js'

/** A body, ready to be sent. */
export interface Outgoing {
  /** JSON. */
  text: string
  /** The body with its contexts cut to what was new, for a receiver that takes no more. */
  cut(): string
}

/** What an event's bodies are made of. */
export interface EventContent {
  /** The values of this very change: what its matches held, and what was new in it. */
  carried: ContextValue[]
  /** The body that every webhook receives. */
  body: Outgoing
  /** The body with the indicators of one webhook in it. */
  bodyWith(indicators: readonly Indicator[]): Outgoing
}

/**
 * Makes the body: for an alert change the message's own keys, with the accumulated context, the highest counts and the
 * diff against everything the alert ever held, plus `relay`; for any other message `{ message, subject, relay }`.
 * @param memory the alert's memory as of this event; undefined when the event is no alert change
 */
export function formatEvent(event: StoredEvent, memory: AlertMemory | undefined): EventContent {
  const payload = parseJson(event.payload)
  if (event.type === TEST_EVENT_TYPE) memory ??= claimedMemory(payload)
  if (!memory || !isJsonObject(payload) || !isJsonObject(payload.updated_alert)) {
    return contentOf({ message: payload, subject: event.subject, relay: relayOf(event) }, [])
  }
  const { indicators: _theirs, ...rest } = payload
  const { incoming_rule_matches_context: incoming = {} } = payload
  const upstream: JsonObject = event.topicArn === null ? {} : { upstream_context_diff: payload.context_diff ?? null }
  const body = {
    ...rest,
    updated_alert: updatedAlert(payload.updated_alert, event, memory),
    incoming_rule_matches_context: incoming,
    context_diff: buildContext(memory.diff),
    relay: { ...relayOf(event), ...upstream },
  }
  return contentOf(body, [...(isJsonObject(incoming) ? flattenContext(incoming) : []), ...memory.diff])
}

function contentOf(body: JsonObject, carried: ContextValue[]): EventContent {
  return {
    carried,
    body: outgoing(body),
    bodyWith: (indicators) => outgoing({ ...body, indicators: indicators.map(({ path, value }) => ({ path, value })) }),
  }
}

function outgoing(body: JsonObject): Outgoing {
  return { text: stringifyJson(body), cut: () => stringifyJson(cut(body)) }
}

/** The largest parts of a change are three copies of its context: one is left, and `relay.cut` says so. */
function cut(body: JsonObject): JsonObject {
  const { updated_alert: alert, relay, context_diff: diff } = body
  if (!isJsonObject(alert) || !isJsonObject(relay) || !isJsonObject(diff)) return body
  const { upstream_context_diff: _dropped, ...kept } = relay
  return {
    ...body,
    updated_alert: { ...alert, context: diff },
    incoming_rule_matches_context: {},
    relay: { ...kept, cut: true },
  }
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
    ...(event.previousSeverity === null ? {} : { previous_severity: event.previousSeverity }),
    topic_arn: event.topicArn,
    received_at: event.receivedAt.toISOString(),
  }
}
