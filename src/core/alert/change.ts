/**
 * An alert change: what Matano publishes when rule matches created or updated an alert.
 *
 * Promise: whatever has the shape of a change is taken as it is, unknown fields and odd values included; what has not is
 * no change (and is relayed as a plain notification), never an error.
 */
import { integerOf, isJsonObject, type Json, type JsonObject } from '../platform/json.js'
import { byIdentity, flattenContext, type ContextValues } from './context.js'

export interface AlertChange {
  alertId: string
  title: string
  severity: string
  /** The names of its tables, no more than `MAX_TABLES`. */
  tables: string[]
  matchCount: bigint | undefined
  updateCount: bigint | undefined
  /** Every value that the message knows of, those of the alert's own context first. */
  values: ContextValues
}

/** Tables that an alert is found by; the payload has all of them. */
const MAX_TABLES = 50

/** What identifies an alert: Matano uses a UUID; others may use any printable text of this length. */
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
