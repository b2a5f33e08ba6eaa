/**
 * Recognises an event of this relay that comes back to it, through a topic that it publishes to and is subscribed to.
 *
 * Guarantee: a message counts as own only if it carries nothing that is not stored. Its `relay.event_id` alone proves nothing,
 * since everybody who received a body knows one: the event of that id must be of the same alert and sequence, every field of
 * the message must be as in that event, and every value must be stored with the alert. Anything else is stored as usual.
 * Outside the comparison are `relay` itself, which the relay writes anew, and SNS's Subject.
 */
import { contextKey, flattenContext, type ContextValue } from '../alert/context.js'
import type { Queryable } from '../platform/database.js'
import {
  canonicalJson,
  integerOf,
  isJsonObject,
  parseStoredJson,
  stringifyJson,
  type Json,
  type JsonObject,
} from '../platform/json.js'
import { findEvent } from './event-store.js'
import type { StoredEvent } from './event.js'
import { readPayload, storedChange } from './reading.js'
import type { RelayMark } from './relay-mark.js'

/** The event that a marked document is a body of, if it adds nothing to what is stored. */
export async function findOwn(
  db: Queryable,
  { document, mark }: { document: JsonObject; mark: RelayMark },
): Promise<StoredEvent | undefined> {
  const event = await findEvent(db, mark.eventId)
  if (!event || event.sequence !== mark.sequence) return undefined
  const values = valuesBeyond(document, event, mark.isCut)
  if (values === undefined || (values.length > 0 && event.alertId === null)) return undefined
  return values.length === 0 || (await areStored(db, event.alertId!, values)) ? event : undefined
}

async function areStored(db: Queryable, alertId: string, values: readonly ContextValue[]): Promise<boolean> {
  const { rows } = await db.query(
    `select 1 from unnest($2::bytea[]) as v (key)
     where not exists (select from alert_values a where a.alert_id = $1 and a.key = v.key) limit 1`,
    [alertId, values.map(contextKey)],
  )
  return rows.length === 0
}

/**
 * The values of a body that are not in the event's own payload; undefined when anything else in it is not as in the event.
 * A body has the values of all its alert, which are stored beside the event.
 */
function valuesBeyond(document: JsonObject, event: StoredEvent, isCut: boolean): ContextValue[] | undefined {
  const { relay: _relay, ...body } = document
  if (event.webhookId !== null) {
    const notice = parseStoredJson(event.payload)
    return isSame(body, { webhook: notice }) || isSame(body, notice) ? [] : undefined
  }
  if (event.change !== null) return valuesBeyondFinding(body, { event, isCut })
  const change = storedChange(event.payload)
  if (change && isJsonObject(body.updated_alert)) {
    return valuesBeyondChange(body, body.updated_alert, { stored: change, event, isCut })
  }
  const { message, subject, ...others } = body
  const isOfEvent = Object.keys(others).length === 0 && isSame(subject, event.subject)
  return isOfEvent && isSameMessage(message, readPayload(event.payload).document, isCut) ? [] : undefined
}

/** A body of a finding has the producer's message beside the change that was read in it, unless it was cut. */
function valuesBeyondFinding(body: JsonObject, { event, isCut }: Omit<Known, 'stored'>): ContextValue[] | undefined {
  const { message, ...change } = body
  const isOfEvent = isSame(message, readPayload(event.payload).document) || (isCut && message === undefined)
  const stored = storedChange(event.change!)
  const alert = body.updated_alert
  if (!isOfEvent || !stored || !isJsonObject(stored.updated_alert) || !isJsonObject(alert)) return undefined
  // what the alert shows may be of another finding
  const shown = { ...stored.updated_alert, title: alert.title ?? null, severity: event.severity }
  const isOwnTitle = [stored.updated_alert.title, event.title].some((title) => isSame(title, shown.title))
  if (!isOwnTitle) return undefined
  return valuesBeyondChange(change, alert, { stored: { ...stored, updated_alert: shown }, event, isCut })
}

function isSameMessage(message: Json | undefined, stored: Json, isCut: boolean): boolean {
  if (isSame(message, stored)) return true
  return isCut && isBeginning(message, typeof stored === 'string' ? stored : stringifyJson(stored))
}

interface Known {
  stored: JsonObject
  event: StoredEvent
  isCut: boolean
}

function valuesBeyondChange(body: JsonObject, alert: JsonObject, known: Known): ContextValue[] | undefined {
  const { stored, event, isCut } = known
  if (!isJsonObject(stored.updated_alert)) return undefined
  const { updated_alert: _alert, incoming_rule_matches_context: incoming, context_diff: diff, ...rest } = body
  const { indicators = [], ...fields } = rest
  const { id = null, context, match_count: matches = null, update_count: updates = null, ...alertFields } = alert
  const { updated_alert: storedAlert, incoming_rule_matches_context: storedIncoming, context_diff: storedDiff } = stored
  const isOfEvent =
    isSame(id, event.alertId ?? storedAlert.id) &&
    isWithin(fields, stored, isCut) &&
    isWithin(alertFields, storedAlert, isCut) &&
    isReached(matches, storedAlert.match_count, event.matchCount) &&
    isReached(updates, storedAlert.update_count, event.updateCount)
  const values = valuesOf([context, incoming, diff])
  const storedValues = valuesOf([storedAlert.context, storedIncoming, storedDiff])
  if (!isOfEvent || !values || !storedValues) return undefined
  if (!areIndicatorsOf([...values, ...storedValues], indicators)) return undefined
  const storedKeys = new Set(storedValues.map(keyOf))
  return values.filter((value) => !storedKeys.has(keyOf(value)))
}

/** The values of contexts, where there are any; undefined when one of them is no context. */
function valuesOf(contexts: readonly (Json | undefined)[]): ContextValue[] | undefined {
  const given = contexts.filter((context) => context !== undefined && context !== null)
  return given.every(isJsonObject) ? given.flatMap(flattenContext) : undefined
}

/** True when every member is as in `stored`; of a body that was cut, a text may be the beginning of it. */
function isWithin(members: JsonObject, stored: JsonObject, isCut: boolean): boolean {
  return Object.entries(members).every(([key, value]) => {
    const known = Object.hasOwn(stored, key) ? stored[key] : undefined
    return isSame(value, known) || (isCut && typeof known === 'string' && isBeginning(value, known))
  })
}

/** True when the count is the event's own, or one that its alert had reached. */
function isReached(count: Json, own: Json | undefined, highest: bigint | null): boolean {
  if (count === null || isSame(count, own)) return true
  const given = integerOf(count)
  return given !== undefined && highest !== null && given <= highest
}

function areIndicatorsOf(values: readonly ContextValue[], indicators: Json): boolean {
  if (!Array.isArray(indicators)) return false
  const keys = new Set(values.map(({ path, value }) => keyOf({ path: [path.join('.')], value })))
  return indicators.every((entry) => {
    if (!isJsonObject(entry) || Object.keys(entry).length !== 2) return false
    const { path, value } = entry
    return typeof path === 'string' && value !== undefined && keys.has(keyOf({ path: [path], value }))
  })
}

/** True for the beginning of a text, which may have been cut within a character. */
function isBeginning(value: Json | undefined, text: string): boolean {
  return typeof value === 'string' && text.toWellFormed().startsWith(value.replace(/\ufffd$/, ''))
}

function isSame(value: Json | undefined, stored: Json | undefined): boolean {
  if (value === undefined || stored === undefined) return value === stored
  return canonicalJson(value) === canonicalJson(stored)
}

/** Equal for equal values at one path. */
function keyOf(value: ContextValue): string {
  return contextKey(value).toString('base64')
}
