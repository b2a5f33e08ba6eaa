/**
 * The format `ocsf`: the Open Cybersecurity Schema Framework, 1.7.0. An alert is a Detection Finding; anything else is a
 * Base Event. Pure.
 *
 * Guarantee: `unmapped` is the whole body in the format `change`; each observable is a path into it.
 */
import type { Json, JsonObject } from '../../platform/json.js'
import { integerOf } from '../../platform/json.js'
import { VERSION } from '../../platform/version.js'
import { alertOf, headlineOf, highlightsOf, isResolved, typeOf } from '../highlights.js'
import type { FormatInput } from '../input.js'
import { observablesOf } from '../observables.js'
import type { Severity } from '../severity.js'
import { fit, oneLine } from '../text.js'

const SCHEMA_VERSION = '1.7.0'
const DETECTION_FINDING = 2004
const FINDINGS = 2
const BASE_EVENT = 0
const UNCATEGORIZED = 0
const OTHER = 99
const UNKNOWN = 0
/** OCSF's integer_t. */
const MAX_INTEGER = 2n ** 31n - 1n
const MESSAGE = 2000

/** Activity and status. In Progress is not used: the relay does not know what analysts do. */
const CREATE = { activity_id: 1, activity_name: 'Create', status_id: 1, status: 'New', is_alert: true }
const UPDATE = { activity_id: 2, activity_name: 'Update', is_alert: true }
const REOPEN = { ...UPDATE, status_id: 1, status: 'New' }
const CLOSE = { activity_id: 3, activity_name: 'Close', status_id: 4, status: 'Resolved', is_alert: false }

/** What a producer says of a finding that is over, where OCSF has a status for it; all else is Resolved. */
const OVER: ReadonlyMap<string, { status_id: number; status: string }> = new Map([
  ['suppressed', { status_id: 3, status: 'Suppressed' }],
  ['archived', { status_id: 5, status: 'Archived' }],
])

/** OCSF has no equivalent of notice: it maps to Informational. */
const SEVERITY: Readonly<Record<Severity, { severity_id: number; severity: string }>> = {
  info: { severity_id: 1, severity: 'Informational' },
  notice: { severity_id: 1, severity: 'Informational' },
  low: { severity_id: 2, severity: 'Low' },
  medium: { severity_id: 3, severity: 'Medium' },
  high: { severity_id: 4, severity: 'High' },
  critical: { severity_id: 5, severity: 'Critical' },
}

export function ocsfBody(input: FormatInput): JsonObject {
  const alert = alertOf(input.body)
  return alert ? findingOf(alert, input) : eventOf(input)
}

function findingOf(alert: JsonObject & { id: string }, input: FormatInput): JsonObject {
  const { event, body } = input
  const highlights = highlightsOf(input)
  const { severity, title, page, runbook } = highlights
  const activity = activityOf(typeOf(input), alert, isResolved(body))
  const observables = observablesOf(body)
  return {
    ...activity,
    category_uid: FINDINGS,
    category_name: 'Findings',
    class_uid: DETECTION_FINDING,
    class_name: 'Detection Finding',
    type_uid: DETECTION_FINDING * 100 + activity.activity_id,
    type_name: `Detection Finding: ${activity.activity_name}`,
    ...(severity ? SEVERITY[severity] : unknownSeverity(alert.severity)),
    time: event.sentAt.getTime(),
    message: fit(headlineOf(highlights), MESSAGE),
    metadata: metadataOf(input),
    finding_info: {
      uid: alert.id.toWellFormed(),
      title,
      ...createdAt(alert.creation_time),
      modified_time: event.sentAt.getTime(),
      last_seen_time: event.sentAt.getTime(),
      ...listOf('data_sources', alert.tables),
      ...countOf(alert.match_count),
      ...(page === undefined ? {} : { src_url: page }),
    },
    ...(runbook
      ? { remediation: { desc: runbook.text, ...(runbook.href === undefined ? {} : { references: [runbook.href] }) } }
      : {}),
    ...(observables.length === 0 ? {} : { observables }),
    unmapped: body,
  }
}

/** A notification or notice is not a finding: it is a Base Event. */
function eventOf(input: FormatInput): JsonObject {
  const { event, body } = input
  return {
    activity_id: OTHER,
    activity_name: typeOf(input),
    category_uid: UNCATEGORIZED,
    category_name: 'Uncategorized',
    class_uid: BASE_EVENT,
    class_name: 'Base Event',
    type_uid: BASE_EVENT * 100 + OTHER,
    type_name: 'Base Event: Other',
    severity_id: UNKNOWN,
    severity: 'Unknown',
    time: event.sentAt.getTime(),
    message: fit(headlineOf(highlightsOf(input)), MESSAGE),
    metadata: metadataOf(input),
    unmapped: body,
  }
}

function metadataOf({ event }: FormatInput): JsonObject {
  return {
    version: SCHEMA_VERSION,
    uid: event.id,
    product: { name: 'alert-relay', vendor_name: 'alert-relay', version: VERSION },
    logged_time: event.receivedAt.getTime(),
    ...(event.topicArn === null ? {} : { log_name: event.topicArn }),
  }
}

interface Activity extends JsonObject {
  activity_id: number
  activity_name: string
}

function activityOf(type: string, alert: JsonObject, isOver: boolean): Activity {
  if (isOver) {
    const status = typeof alert.state_reason === 'string' ? OVER.get(alert.state_reason) : undefined
    return {
      ...(type === 'alert.updated' ? UPDATE : CLOSE),
      status_id: 4,
      status: 'Resolved',
      ...status,
      is_alert: false,
    }
  }
  if (type === 'alert.quiet') return CLOSE
  if (type === 'alert.reopened') return REOPEN
  return type === 'alert.updated' ? UPDATE : CREATE
}

function unknownSeverity(severity: Json | undefined): JsonObject {
  const text = typeof severity === 'string' ? fit(oneLine(severity), 100) : ''
  return text === '' ? { severity_id: UNKNOWN, severity: 'Unknown' } : { severity_id: OTHER, severity: text }
}

/** Matano's creation_time: RFC 3339 with up to nine fraction digits, or null. */
function createdAt(time: Json | undefined): JsonObject {
  const ms = typeof time === 'string' ? Date.parse(time) : NaN
  return Number.isNaN(ms) ? {} : { created_time: ms, first_seen_time: ms }
}

function listOf(key: string, value: Json | undefined): JsonObject {
  if (!Array.isArray(value)) return {}
  const texts = value.filter((entry) => typeof entry === 'string').map((entry) => fit(oneLine(entry), 250))
  return texts.length === 0 ? {} : { [key]: texts.slice(0, 50) }
}

function countOf(value: Json | undefined): JsonObject {
  const count = integerOf(value)
  return count === undefined || count < 0n || count > MAX_INTEGER ? {} : { related_events_count: Number(count) }
}
