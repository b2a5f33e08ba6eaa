/**
 * Whose message this is, and the findings in it.
 *
 * Guarantee: for every JSON there is an answer, never an exception; the same message has the same answer always; and it
 * is bounded by the message's size. Only what SNS signs is used.
 */
import { uniqueValues } from '../alert/context.js'
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js'
import { accessAnalyzer } from './access-analyzer.js'
import { alertmanager, grafana } from './alertmanager.js'
import { securityHub } from './asff.js'
import { cloudWatch } from './cloudwatch.js'
import { configCompliance } from './config-compliance.js'
import { falco } from './falco.js'
import { textAt, textsAt } from './fields.js'
import { guardDutyScan } from './guardduty-scan.js'
import { guardDuty } from './guardduty.js'
import { health } from './health.js'
import { inspector } from './inspector.js'
import { macie } from './macie.js'
import { ocsf } from './ocsf.js'
import { partsOf } from './part.js'
import type { SourceSettings } from './settings.js'
import type { Envelope, Finding, Reading, Source, Unread } from './source.js'

/**
 * The built-in sources, in the order in which they are asked. Matano's changes come before all of them, and an operator's
 * own sources (own-sources.ts) after.
 */
export const SOURCES: readonly Source[] = [
  guardDuty,
  guardDutyScan,
  securityHub,
  ocsf,
  inspector,
  macie,
  accessAnalyzer,
  configCompliance,
  health,
  cloudWatch,
  grafana,
  alertmanager,
  falco,
]

/** More than any producer puts into one message; a message with more stays a notification. */
export const MAX_FINDINGS = 1000

export interface RecogniseOptions extends SourceSettings {
  /** The message's topic, which an old CloudWatch alarm needs. */
  topicArn?: string | null | undefined
}

export interface Recognised {
  /** The name of the source. */
  source: string
  /** At least one, and none with the alert id of another. */
  changes: Finding[]
  /**
   * By change, what of the message it was read from: the message, or where it holds several findings its part; then what of
   * it could not be read, if anything.
   */
  messages: Json[]
  /** Why some findings of the message could not be read; undefined when all were. */
  unread: string | undefined
  /**
   * EventBridge's id of the event, which is the same when it is sent again in another SNS message. With the source it
   * identifies the message.
   */
  envelopeId: string | undefined
}

/** A message that its source knows, but of which it can say nothing. */
export interface UnreadMessage extends Unread {
  source: string
}

/** EventBridge's `source` and `detail-type`, one line each, to the source that reads the detail. */
const BY_DETAIL_TYPE = new Map<string, Source>(
  SOURCES.flatMap((source) =>
    Object.entries(source.detailTypes).flatMap(([from, types]) =>
      types.map((type) => [`${from}\n${type}`, source] as const),
    ),
  ),
)

/**
 * Reads a message as the findings of a source; undefined for a message of no source.
 *
 * Matano's changes are read before, by `parseAlertChange`.
 */
export function recognise(message: Json, options: RecogniseOptions): Recognised | UnreadMessage | undefined {
  const envelope = envelopeOf(message)
  const source = envelope ? BY_DETAIL_TYPE.get(envelope.key) : bareSource(message)
  if (!source || options.disabled.has(source.name)) return undefined
  const detail = envelope ? envelope.detail : asObject(message)
  if (!detail) return undefined
  const results = source.read(detail, readingOf(envelope?.envelope, options))
  if (!results) return undefined
  if (results.length > MAX_FINDINGS) {
    const unread = `it holds ${results.length} findings, of which at most ${MAX_FINDINGS} are read`
    return { source: source.name, unread }
  }
  const unread = results.find((result): result is Unread => 'unread' in result)?.unread
  const changes = oneEach(results)
  if (changes.length === 0) return { source: source.name, unread: unread ?? 'it holds no finding' }
  const left = results.flatMap((result, place) => ('unread' in result ? [place] : []))
  const places = [...changes.map((change) => change.places), ...(left.length > 0 ? [left] : [])]
  const list = source.list === undefined || Array.isArray(message) ? [] : [source.list]
  return {
    source: source.name,
    changes: changes.map(({ finding }) => finding),
    messages: partsOf(message, envelope ? ['detail', ...list] : list, places),
    unread,
    envelopeId: envelope?.envelope.id,
  }
}

/** EventBridge's id of an event, of any source; undefined for a message that is none. */
export function envelopeIdOf(message: Json): string | undefined {
  return envelopeOf(message)?.envelope.id
}

/** A list of findings is read as Security Hub sends one: under `findings`. */
function asObject(message: Json): JsonObject | undefined {
  if (isJsonObject(message)) return message
  return Array.isArray(message) ? { findings: message } : undefined
}

function bareSource(message: Json): Source | undefined {
  const object = asObject(message)
  return object && SOURCES.find((source) => source.isBare(object))
}

/**
 * EventBridge's envelope: texts `source` and `detail-type`, an object `detail`.
 * https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html
 */
export function envelopeOf(message: Json): { key: string; detail: JsonObject; envelope: Envelope } | undefined {
  if (!isJsonObject(message) || !isJsonObject(message.detail)) return undefined
  const { source, 'detail-type': detailType } = message
  if (typeof source !== 'string' || typeof detailType !== 'string') return undefined
  return {
    key: `${source}\n${detailType}`,
    detail: message.detail,
    envelope: {
      id: textAt(message, 'id'),
      detailType,
      account: textAt(message, 'account'),
      region: textAt(message, 'region'),
      resources: textsAt(message, 'resources'),
    },
  }
}

function readingOf(envelope: Envelope | undefined, { severities, topicArn }: RecogniseOptions): Reading {
  return {
    envelope,
    topicArn: topicArn ?? undefined,
    defaultSeverity: (source, fallback, kind) =>
      (kind === undefined ? undefined : severities.get(`${source}.${kind}`)) ?? severities.get(source) ?? fallback,
  }
}

/** One change for each alert: of findings with one id the latest, with the context of all. */
export function oneEach(results: readonly (Finding | Unread)[]): { finding: Finding; places: number[] }[] {
  const alerts = new Map<string, { findings: Finding[]; places: number[] }>()
  for (const [place, finding] of results.entries()) {
    if ('unread' in finding) continue
    const known = alerts.get(finding.alertId) ?? { findings: [], places: [] }
    alerts.set(finding.alertId, known)
    known.findings.push(finding)
    known.places.push(place)
  }
  return [...alerts.values()].map(({ findings, places }) => ({ finding: merged(findings), places }))
}

function merged(findings: readonly Finding[]): Finding {
  if (findings.length === 1) return findings[0]!
  return {
    ...findings.reduce(later),
    context: uniqueValues(findings.flatMap(({ context }) => context)),
    cut: findings.some(({ cut }) => cut),
  }
}

/** @param second the one that comes later in the message, which counts unless it says that it is older */
function later(first: Finding, second: Finding): Finding {
  const isOlder = (second.updatedAt?.getTime() ?? Infinity) < (first.updatedAt?.getTime() ?? 0)
  return isOlder ? first : second
}
