/**
 * Makes the body of an event in the format `change`. Pure.
 *
 * Guarantee: the body of an event is the same at its first attempt, at every retry and at every replay; unknown fields of
 * the message are passed through unchanged.
 */
import { LosslessNumber } from 'lossless-json'
import type { AlertMemory } from '../alert/alert-store.js'
import { buildContext, flattenContext, uniqueValues, type ContextValue } from '../alert/context.js'
import { changeMessageOf } from '../alert/change.js'
import { DEAD_NOTICE_TYPE, TEST_EVENT_TYPE, type EventType, type StoredEvent } from '../event/event.js'
import { readPayload } from '../event/reading.js'
import { hopsOf } from '../event/relay-mark.js'
import {
  integerOf,
  isJsonObject,
  parseStoredJson,
  stringifyJson,
  type Json,
  type JsonObject,
} from '../platform/json.js'
import { labelOf } from '../platform/text.js'
import type { Indicator } from '../indicator/once.js'

/** What the bodies of an event in all formats are made of. */
export interface EventContent {
  /** The values of this change: those of its rule matches, and those that are new. */
  carried: ContextValue[]
  /** The body in the format `change`. */
  body: JsonObject
}

/** Earlier changes of the same alert that are coalesced into a delivery (core/delivery/coalesce.ts). */
export interface Coalesced {
  /** Ascending. */
  sequences: bigint[]
  /** True when one of them created the alert. */
  isCreated: boolean
  /** The last of them that changed the alert's state; left out when none did. */
  turn?: 'alert.resolved' | 'alert.reopened'
  /** The severity before the first of them that raised it; null when none did. */
  previousSeverity: string | null
  /** The values of their rule matches, each once. */
  incoming: ContextValue[]
}

/**
 * Makes the body: for an alert change the message's own keys, with the accumulated context, the highest counts and the
 * diff against all earlier values of the alert, plus `relay`; for a source's finding the same keys, and the message that it
 * was read from under `message`; for any other message `{ message, subject, relay }`.
 * @param memory the alert's values as of this event, with the new ones of coalesced changes; undefined when the event is
 *   not an alert change
 * @param spared how many changes without news it counts (`only_new`)
 */
export function formatEvent(
  event: StoredEvent,
  memory: AlertMemory | undefined,
  coalesced?: Coalesced,
  spared = 0,
): EventContent {
  if (event.webhookId !== null) {
    const notice = parseStoredJson(event.payload)
    const isWhole = event.type === DEAD_NOTICE_TYPE && isJsonObject(notice)
    return { carried: [], body: { ...(isWhole ? notice : { webhook: notice }), relay: relayOf(event) } }
  }
  const { document, unread } = readPayload(event.payload)
  if (event.type === TEST_EVENT_TYPE) memory ??= exampleMemory(document)
  const isFinding = event.change !== null
  const message = memory && changeMessageOf(event.change === null ? document : parseStoredJson(event.change))
  if (!memory || !message || !isJsonObject(message.updated_alert)) {
    const why = event.unread ?? unread?.detail
    const relay = {
      ...relayOf(event, hopsOf(document)),
      ...(why === undefined ? {} : { unread: `No alert change: ${why}.` }),
    }
    return { carried: [], body: { message: document, subject: event.subject, relay } }
  }
  const { indicators: _upstream, ...rest } = message
  const incoming = incomingOf(message, coalesced)
  const upstream: JsonObject = hasOwnDiff(event) ? { upstream_context_diff: message.context_diff ?? null } : {}
  const body: JsonObject = {
    ...rest,
    updated_alert: updatedAlert(message.updated_alert, event, memory),
    incoming_rule_matches_context: incoming,
    context_diff: buildContext(memory.diff),
    ...(isFinding ? { message: document } : {}),
    relay: {
      ...relayOf(event, hopsOf(document)),
      ...(event.type === TEST_EVENT_TYPE ? {} : { new_values: memory.diff.length }),
      ...changesOf(event, coalesced, spared),
      ...upstream,
    },
  }
  const carried = [...(isJsonObject(incoming) ? flattenContext(incoming) : []), ...memory.diff]
  return { carried, body: memory.accumulated ? body : cutBody(body, 1) }
}

/** True for a change as Matano publishes it, whose diff is of Matano; what the relay makes of others has none. */
function hasOwnDiff({ change, source, topicArn, type }: StoredEvent): boolean {
  return change === null && type !== 'alert.quiet' && (topicArn !== null || source !== null)
}

/** Adds the indicators of one webhook to a body. */
export function withIndicators(body: JsonObject, indicators: readonly Indicator[]): JsonObject {
  return { ...body, indicators: indicators.map(({ path, value }) => ({ path, value })) }
}

/**
 * How much of a body is left out: nothing; all of a change's context but what was new, and a finding's message; that too, but
 * how many values it has.
 */
export type Cut = 0 | 1 | 2

/** What is left of the message of a notification, in characters. */
const CUT_MESSAGE = [Infinity, 16_384, 1024] as const
/** What is left of a text of the alert when only counts are. */
const CUT_TEXT = 1024

/** How much was left out of a body from `formatEvent`. */
export function cutOf({ relay }: JsonObject): Cut {
  return isJsonObject(relay) && relay.cut === true ? 1 : 0
}

/** A body with less in it, for a receiver that takes no more; `relay.cut` says so. */
export function cutBody(body: JsonObject, cut: Cut): JsonObject {
  const { relay, updated_alert: alert, context_diff: diff, message, indicators } = body
  if (cut === 0 || !isJsonObject(relay)) return body
  const { upstream_context_diff: _dropped, ...kept } = relay
  if (message !== undefined && !isJsonObject(alert)) {
    const text = typeof message === 'string' ? message : stringifyJson(message)
    if (text.length <= CUT_MESSAGE[cut]) return body
    return { ...body, message: text.slice(0, CUT_MESSAGE[cut]).toWellFormed(), relay: { ...kept, cut: true } }
  }
  if (!isJsonObject(alert) || !isJsonObject(diff)) return body
  const without = { updated_alert: { ...alert, context: {} }, incoming_rule_matches_context: {} }
  if (cut === 1) {
    const { message: _message, ...others } = body
    return { ...others, ...without, relay: { ...kept, cut: true } }
  }
  return {
    updated_alert: { ...scalarsOf(alert), context: {} },
    incoming_rule_matches_context: {},
    context_diff: {},
    ...(indicators === undefined ? {} : { indicators }),
    relay: { ...kept, cut: true, new_values: flattenContext(diff).length },
  }
}

/** The members that are no object and no list, texts cut. */
function scalarsOf(object: JsonObject): JsonObject {
  const scalars = Object.entries(object).filter(([, value]) => !Array.isArray(value) && !isJsonObject(value))
  return Object.fromEntries(
    scalars.map(([key, value]) => [key, typeof value === 'string' ? value.slice(0, CUT_TEXT).toWellFormed() : value]),
  )
}

/** A test event has no stored alert: its payload is the memory. */
function exampleMemory(message: Json): AlertMemory | undefined {
  if (!isJsonObject(message) || !isJsonObject(message.updated_alert)) return undefined
  const { context } = message.updated_alert
  const diff = message.context_diff
  return {
    accumulated: isJsonObject(context) ? flattenContext(context) : [],
    diff: isJsonObject(diff) ? flattenContext(diff) : [],
  }
}

function updatedAlert(alert: JsonObject, event: StoredEvent, memory: AlertMemory): JsonObject {
  return {
    ...alert,
    // a publisher may write it as an integer
    ...(typeof alert.id === 'string' ? {} : { id: event.alertId }),
    ...shownOf(alert, event),
    context: buildContext(memory.accumulated ?? []),
    ...highestCount('match_count', alert, event.matchCount),
    ...highestCount('update_count', alert, event.updateCount),
  }
}

/** What is shown of an alert after a finding, which decides neither title nor severity when it is old or says that it is over. */
function shownOf(alert: JsonObject, { change, title, severity }: StoredEvent): JsonObject {
  if (change === null) return {}
  const isOwnTitle = typeof alert.title === 'string' && labelOf(alert.title) === title
  return { severity, ...(isOwnTitle ? {} : { title }) }
}

function incomingOf(message: JsonObject, coalesced: Coalesced | undefined): Json {
  const { incoming_rule_matches_context: own = {} } = message
  if (!coalesced) return own
  return buildContext(uniqueValues([...coalesced.incoming, ...(isJsonObject(own) ? flattenContext(own) : [])]))
}

/**
 * The type of a delivery of several changes: what they did together. What was created and is over is resolved; what was
 * created or reopened and is active is that.
 */
function typeOf({ type, state }: StoredEvent, { isCreated, turn }: Coalesced): EventType {
  if (type === 'alert.reopened') return isCreated ? 'alert.created' : type
  if (type !== 'alert.updated') return type
  if (!isCreated) return turn ?? type
  return state === 'resolved' ? 'alert.resolved' : 'alert.created'
}

/** The fields of `relay` for a delivery that stands for several changes. */
function changesOf(event: StoredEvent, coalesced: Coalesced | undefined, spared: number): JsonObject {
  if (!coalesced) return spared === 0 ? {} : { changes: 1 + spared }
  const { sequences, previousSeverity } = coalesced
  const type = typeOf(event, coalesced)
  return {
    type,
    ...(type === 'alert.resolved' ? { reason: 'upstream' } : {}),
    ...(previousSeverity === null ? {} : { previous_severity: previousSeverity }),
    changes: sequences.length + 1 + spared,
    first_sequence: Number(sequences[0]),
  }
}

/** The highest count seen, where the alert has a lower one: counts never decrease. */
function highestCount(key: string, alert: JsonObject, highest: bigint | null): JsonObject {
  const own = integerOf(alert[key])
  if (own === undefined || highest === null || highest <= own) return {}
  return { [key]: new LosslessNumber(String(highest)) }
}

function relayOf(event: StoredEvent, hops = 0): Record<string, Json> {
  return {
    event_id: event.id,
    type: event.type,
    ...(event.source === null ? {} : { source: event.source }),
    ...(event.state === null ? {} : { state: event.state }),
    // so far only a producer ends an alert
    ...(event.type === 'alert.resolved' ? { reason: 'upstream' } : {}),
    ...(event.sequence === null ? {} : { sequence: Number(event.sequence) }),
    ...(event.previousSeverity === null ? {} : { previous_severity: event.previousSeverity }),
    topic_arn: event.topicArn,
    ...(event.subject === null ? {} : { subject: event.subject }),
    received_at: event.receivedAt.toISOString(),
    ...(hops === 0 ? {} : { hops }),
  }
}
