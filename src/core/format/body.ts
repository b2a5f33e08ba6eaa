/**
 * The body that a webhook receives.
 *
 * Promise: the body of an event is the same at its first attempt, at every retry and at every replay; what the message
 * held and we do not know comes out as it came in.
 */
import { LosslessNumber } from 'lossless-json'
import type { AlertMemory } from '../alert/alert-store.js'
import { buildContext, flattenContext, uniqueValues, type ContextValue } from '../alert/context.js'
import { TEST_EVENT_TYPE, type StoredEvent } from '../event/event.js'
import { integerOf, isJsonObject, parseJson, type Json, type JsonObject } from '../platform/json.js'
import type { Indicator } from '../indicator/once.js'

/** What an event's bodies are made of. */
export interface EventContent {
  /** The values of this very change: what its matches held, and what was new in it. */
  carried: ContextValue[]
  /** The body of the format `change`. */
  body: JsonObject
}

/** Earlier changes of the same alert that a delivery carries besides its event's own (core/delivery/fold.ts). */
export interface Coalesced {
  /** Ascending. */
  sequences: bigint[]
  /** True when one of them made the alert. */
  isCreated: boolean
  /** The severity before the first of them that raised it. */
  previousSeverity: string | null
  /** What their matches held, each value once. */
  incoming: ContextValue[]
}

/**
 * Makes the body: for an alert change the message's own keys, with the accumulated context, the highest counts and the
 * diff against everything the alert ever held, plus `relay`; for any other message `{ message, subject, relay }`.
 * @param memory the alert's memory as of this event, the news of folded changes included; undefined when the event is no
 *   alert change
 */
export function formatEvent(event: StoredEvent, memory: AlertMemory | undefined, folded?: Coalesced): EventContent {
  const payload = parseJson(event.payload)
  if (event.type === TEST_EVENT_TYPE) memory ??= claimedMemory(payload)
  if (event.webhookId !== null) return { carried: [], body: { webhook: payload, relay: relayOf(event) } }
  if (!memory || !isJsonObject(payload) || !isJsonObject(payload.updated_alert)) {
    return { carried: [], body: { message: payload, subject: event.subject, relay: relayOf(event) } }
  }
  const { indicators: _theirs, ...rest } = payload
  const incoming = incomingOf(payload, folded)
  const upstream: JsonObject = event.topicArn === null ? {} : { upstream_context_diff: payload.context_diff ?? null }
  const body = {
    ...rest,
    updated_alert: updatedAlert(payload.updated_alert, event, memory),
    incoming_rule_matches_context: incoming,
    context_diff: buildContext(memory.diff),
    relay: { ...relayOf(event), ...coalescedOf(event, folded), ...upstream },
  }
  return { carried: [...(isJsonObject(incoming) ? flattenContext(incoming) : []), ...memory.diff], body }
}

/** The body with the indicators of one webhook in it. */
export function withIndicators(body: JsonObject, indicators: readonly Indicator[]): JsonObject {
  return { ...body, indicators: indicators.map(({ path, value }) => ({ path, value })) }
}

/**
 * A body for a receiver that takes no more: the largest parts of a change are three copies of its context: one is left, what
 * was new, and `relay.cut` says so.
 */
export function cutBody(body: JsonObject): JsonObject {
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

function incomingOf(payload: JsonObject, folded: Coalesced | undefined): Json {
  const { incoming_rule_matches_context: own = {} } = payload
  if (!folded) return own
  return buildContext(uniqueValues([...folded.incoming, ...(isJsonObject(own) ? flattenContext(own) : [])]))
}

/** What a delivery of several changes says of itself: to this receiver the alert is new if it was made by one of them. */
function coalescedOf(event: StoredEvent, folded: Coalesced | undefined): JsonObject {
  if (!folded) return {}
  const { sequences, isCreated, previousSeverity } = folded
  return {
    ...(isCreated && event.type === 'alert.updated' ? { type: 'alert.created' } : {}),
    ...(previousSeverity === null ? {} : { previous_severity: previousSeverity }),
    changes: sequences.length + 1,
    first_sequence: Number(sequences[0]),
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
