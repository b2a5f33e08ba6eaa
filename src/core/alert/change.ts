/**
 * An alert change: what Matano publishes when rule matches create or update an alert.
 *
 * Guarantee: a message with the shape of a change is accepted with unknown fields and unexpected values; any other
 * message is relayed as a plain notification and is never an error.
 */
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
}

/** Tables by which an alert can be searched; the payload has all of them. */
const MAX_TABLES = 50

/** An alert id: Matano uses a UUID; other publishers may use any printable text of this length. */
const ALERT_ID = /^[^\p{Cc}\p{Cs}]{1,200}$/u

/** Reads a message as an alert change; undefined when it is something else. */
export function parseAlertChange(message: Json): AlertChange | undefined {
  if (!isJsonObject(message)) return undefined
  const { updated_alert: alert, incoming_rule_matches_context: incoming, context_diff: diff } = message
  if (!isJsonObject(alert) || !isJsonObject(incoming)) return undefined
  if (diff !== undefined && !isJsonObject(diff)) return undefined
  if (typeof alert.id !== 'string' || !ALERT_ID.test(alert.id)) return undefined
  return {
    alertId: alert.id,
    title: textOf(alert.title),
    severity: textOf(alert.severity),
    tables: textsOf(alert.tables).slice(0, MAX_TABLES),
    matchCount: integerOf(alert.match_count),
    updateCount: integerOf(alert.update_count),
    values: byIdentity([...flattenContext(contextOf(alert)), ...flattenContext(incoming)]),
  }
}

function contextOf(alert: JsonObject): JsonObject {
  return isJsonObject(alert.context) ? alert.context : {}
}

function textsOf(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : []
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : ''
}
