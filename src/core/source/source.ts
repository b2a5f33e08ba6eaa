/**
 * Sources: what recognises the messages of one producer and reads the findings in them.
 *
 * Guarantee: what a source says follows from the message's content alone, which SNS signs, and from its topic. Nothing
 * in a message makes a source throw, and the work is linear in the message's size.
 */
import type { Severity } from '../alert/rule-match.js'
import type { ContextValue } from '../alert/context.js'
import type { JsonObject } from '../platform/json.js'

/** The built-in sources, by the names that settings and `relay.source` have. Matano's changes are read by alert/change. */
export const SOURCE_NAMES = [
  'guardduty',
  'guardduty-s3-scan',
  'securityhub',
  'ocsf',
  'inspector',
  'macie',
  'access-analyzer',
  'config',
  'health',
  'cloudwatch',
  'grafana',
  'alertmanager',
  'falco',
] as const
export type SourceName = (typeof SOURCE_NAMES)[number]
/** Activity, which is no finding: read where SOURCES_ENABLED names it. */
export const CLOUDTRAIL = 'cloudtrail'

/** The kinds of findings whose severity an operator can set apart (`health.issue`), by source. */
export const SEVERITY_KINDS: Readonly<Partial<Record<SourceName, readonly string[]>>> = {
  health: ['issue', 'abuse', 'investigation', 'scheduledChange', 'accountNotification'],
  'access-analyzer': ['public', 'external', 'internal', 'unused', 'error'],
}

export type FindingState = 'active' | 'resolved'

/** One finding of a message: what an alert is created or changed with. */
export interface Finding {
  /** The name of a built-in source, or of an own one. */
  source: string
  /** Global and stable over all updates and roads; at most `MAX_ALERT_ID` printable characters. */
  alertId: string
  /** Never empty; at most `MAX_TITLE` characters. */
  title: string
  /** What the producer says beside the title, at most `MAX_TEXT` characters. */
  description: string | undefined
  severity: Severity
  /** Undefined where the message says nothing about it, as INSUFFICIENT_DATA: an alert keeps its state. */
  state: FindingState | undefined
  /** The producer's word for the state in lower case (passed, suppressed, archived ...), where it has one. */
  reason: string | undefined
  /** Values by ECS names, without repeats. What changes at every update (titles, counts, times) is not among them. */
  context: ContextValue[]
  /** True when lists or texts of the context were too long and are cut. */
  cut: boolean
  /** A page about the finding: http or https. */
  url: string | undefined
  /** The account and the Region of the finding, which need not be those of the bus or the topic. */
  account: string | undefined
  region: string | undefined
  /** How often the producer counted it. */
  matchCount: bigint | undefined
  firstSeen: Date | undefined
  /**
   * The finding's own time of update, by which states are ordered. It is as the producer wrote it: whoever orders by it
   * must not believe one in the future.
   */
  updatedAt: Date | undefined
  /** True for a made-up finding that a producer sends on request. */
  sample: boolean
}

/** EventBridge's envelope. Its account and Region are those of the bus. */
export interface Envelope {
  id: string | undefined
  detailType: string
  account: string | undefined
  region: string | undefined
  resources: string[]
}

/** What a source may use besides the finding. */
export interface Reading {
  /** Undefined for a message that came without one. */
  envelope: Envelope | undefined
  topicArn: string | undefined
  /**
   * The severity of a finding that has none: the operator's for this kind (`health.issue`) or for the source (`health`),
   * else the fallback.
   */
  defaultSeverity(source: SourceName, fallback: Severity, kind?: string): Severity
}

/** Why a message that its source knows could not be read; it stays a notification. */
export interface Unread {
  unread: string
}

export interface Source {
  name: SourceName
  /** By EventBridge's `source`, the detail-types whose `detail` it reads. */
  detailTypes: Readonly<Record<string, readonly string[]>>
  /** The list of a `detail` or of a bare message that it reads a finding each from; undefined where there is one. */
  list?: 'findings' | 'alerts'
  /** Whether it reads a message that has no envelope. */
  isBare(message: JsonObject): boolean
  /**
   * The findings of a `detail` or of a bare message; undefined when it is none of them after all.
   */
  read(message: JsonObject, reading: Reading): (Finding | Unread)[] | undefined
}
