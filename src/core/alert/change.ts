/**
 * An alert change: what Matano publishes when rule matches create or update an alert.
 *
 * Guarantee: a message with the shape of a change is accepted with unknown fields and unexpected values; any other
 * message is relayed as a plain notification and is never an error. One that was nearly a change says why it is none.
 */
import { isLosslessNumber } from 'lossless-json'
import { integerOf, isJsonObject, type Json, type JsonObject } from '../platform/json.js'
import { byIdentity, flattenContext, type ContextValues } from './context.js'

export interface AlertChange {
  alertId: string
  title: string
  severity: string
  /** The names of its first `MAX_TABLES` tables. */
  tables: string[]
  matchCount: bigint | undefined
  updateCount: bigint | undefined
  /** Every value in the message, those of the alert's context before those of the incoming matches. */
  values: ContextValues
  /** What a source says beside that; undefined for a change as Matano publishes it. */
  finding?: FindingFacts
}

/** What the finding of a source says of its alert. */
export interface FindingFacts {
  source: string
  /** Undefined where it says nothing about it: the alert keeps its state. */
  state: 'active' | 'resolved' | undefined
  /** The producer's word for the state. */
  reason: string | undefined
  /** Its severity as a place in `SEVERITIES`. */
  rank: number
  /** When it says that it was updated, never in the future: an older finding decides no state, title or severity. */
  updatedAt: Date
  /** The change in Matano's shape, as JSON. */
  document: string
}

/** Why a message that was meant as an alert change is none: a code for the metric, and a sentence for people. */
export interface Unread {
  reason: UnreadReason
  detail: string
}

export const UNREAD_REASONS = [
  'not_json',
  'too_deep',
  'several_changes',
  'updated_alert',
  'alert_id',
  'incoming_rule_matches_context',
  'context_diff',
  'finding',
  'source',
] as const
export type UnreadReason = (typeof UNREAD_REASONS)[number]

/** Tables by which an alert can be searched; the payload has all of them. */
const MAX_TABLES = 50

/** An alert id: Matano uses a UUID; other publishers may use any printable text of this length, or an integer. */
const ALERT_ID = /^[^\p{Cc}\p{Cs}]{1,200}$/u

/** Reads a document as an alert change; undefined when it is something else. */
export function parseAlertChange(document: Json): AlertChange | undefined {
  const message = changeMessageOf(document)
  if (!message || unreadOf(message)) return undefined
  const { updated_alert: alert, incoming_rule_matches_context: incoming } = message
  if (!isJsonObject(alert) || !isJsonObject(incoming)) return undefined
  return {
    alertId: alertIdOf(alert)!,
    title: textOf(alert.title),
    severity: textOf(alert.severity),
    tables: textsOf(alert.tables).slice(0, MAX_TABLES),
    matchCount: integerOf(alert.match_count),
    updateCount: integerOf(alert.update_count),
    values: byIdentity(contextsOf(alert, incoming).flatMap(flattenContext)),
  }
}

/** The message in a document that may be a change: the document, or the only entry of a list; undefined: there is none. */
export function changeMessageOf(document: Json): JsonObject | undefined {
  const message = Array.isArray(document) && document.length === 1 ? document[0]! : document
  return isMeantAsChange(message) ? message : undefined
}

/** Why a document that was meant as an alert change is none; undefined when it is one, or was not meant as one. */
export function unreadOf(document: Json): Unread | undefined {
  if (Array.isArray(document) && document.length > 1 && document.some(isMeantAsChange)) {
    return { reason: 'several_changes', detail: `it is a list of ${document.length}: send each change by itself` }
  }
  const message = changeMessageOf(document)
  if (!message) return undefined
  const { updated_alert: alert, incoming_rule_matches_context: incoming, context_diff: diff } = message
  if (!isJsonObject(alert)) return { reason: 'updated_alert', detail: `updated_alert ${mustBeObject(alert)}` }
  if (alertIdOf(alert) === undefined) {
    return {
      reason: 'alert_id',
      detail: 'updated_alert.id must be a text of 1 to 200 printable characters, or an integer',
    }
  }
  if (!isJsonObject(incoming)) {
    return {
      reason: 'incoming_rule_matches_context',
      detail: `incoming_rule_matches_context ${mustBeObject(incoming)}`,
    }
  }
  if (diff !== undefined && diff !== null && !isJsonObject(diff)) {
    return { reason: 'context_diff', detail: `context_diff ${mustBeObject(diff)}` }
  }
  return undefined
}

/** No other message is known to have one of these keys. */
function isMeantAsChange(message: Json): message is JsonObject {
  return (
    isJsonObject(message) &&
    (Object.hasOwn(message, 'updated_alert') || Object.hasOwn(message, 'incoming_rule_matches_context'))
  )
}

/** The id as text: an integer is written with every digit. */
function alertIdOf({ id }: JsonObject): string | undefined {
  const text = typeof id === 'number' || isLosslessNumber(id) ? String(id) : id
  if (typeof text !== 'string' || !ALERT_ID.test(text)) return undefined
  return typeof id === 'string' || /^-?\d+$/.test(text) ? text : undefined
}

function mustBeObject(value: Json | undefined): string {
  if (value === undefined) return 'is missing'
  return `must be an object, and is ${value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`}`
}

/** The alert's context, and that of the incoming matches unless it is the very same. */
function contextsOf({ context }: JsonObject, incoming: JsonObject): JsonObject[] {
  return isJsonObject(context) && context !== incoming ? [context, incoming] : [incoming]
}

function textsOf(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : []
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : ''
}
