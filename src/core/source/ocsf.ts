/**
 * Findings in the Open Cybersecurity Schema Framework: Security Hub's (the second edition), and any tool's that posts
 * them, one or a list. https://schema.ocsf.io/categories/findings
 *
 * An id that is an ARN is the provider's own, so that Inspector's finding is one alert over both roads.
 */
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js'
import { ContextBuilder } from './context-builder.js'
import { countAt, firstText, numberAt, objectAt, objectsAt, textAt, valueAt } from './fields.js'
import { findingOf } from './finding.js'
import { arnOf, identityOf } from './identity.js'
import { webLink } from './link.js'
import { addOcsfFields } from './ocsf-fields.js'
import { severityOfOcsf, severityOfWord } from './severity.js'
import type { Finding, FindingState, Reading, Source, Unread } from './source.js'
import { firstTime } from './time.js'

const SECURITY_FINDING = 2001
const INCIDENT_FINDING = 2005
const DATA_SECURITY_FINDING = 2006
const LAST_CLASS = 2008

export const ocsf: Source = {
  name: 'ocsf',
  detailTypes: { 'aws.securityhub': ['Findings Imported V2'] },
  list: 'findings',
  isBare: (message) => isFinding(Array.isArray(message.findings) ? message.findings[0] : message),
  read: (message, reading) => {
    const findings = Array.isArray(message.findings) ? message.findings : [message]
    return findings.map((finding) =>
      isJsonObject(finding) ? readFinding(finding, reading) : { unread: 'a finding of ocsf is no object' },
    )
  },
}

/** Of the category 2, with what tells which finding it is. An activity (API Activity, Network Activity) is none. */
function isFinding(value: Json | undefined): boolean {
  if (!isJsonObject(value)) return false
  const category = value.category_uid ?? null
  const uid = classOf(value)
  return (
    Number.isInteger(uid) &&
    uid >= SECURITY_FINDING &&
    uid <= LAST_CLASS &&
    (category === null || category === 2) &&
    (isJsonObject(value.finding_info) || isJsonObject(value.finding) || Array.isArray(value.finding_info_list))
  )
}

/** The class's number, which `type_uid` has too. Its name is misspelt in places. */
function classOf(finding: JsonObject): number {
  return numberAt(finding, 'class_uid') ?? Math.floor((numberAt(finding, 'type_uid') ?? 0) / 100)
}

/** What names the finding: of an incident the first of several. */
function infoOf(finding: JsonObject): JsonObject | undefined {
  return objectAt(finding, 'finding_info') ?? objectAt(finding, 'finding') ?? objectsAt(finding, 'finding_info_list')[0]
}

function readFinding(finding: JsonObject, { envelope, defaultSeverity }: Reading): Finding | Unread {
  const info = infoOf(finding)
  const cloud = objectAt(finding, 'cloud')
  const uid = textAt(info, 'uid')
  const resource = objectsAt(finding, 'resources')[0] ?? objectAt(finding, 'resource')
  const account = firstText(valueAt(cloud, 'account', 'uid'), cloud?.account_uid, envelope?.account)
  const region = firstText(cloud?.region, resource?.region, arnOf(uid)?.region, envelope?.region)
  const context = new ContextBuilder()
  context.add('cloud.account.id', account).add('cloud.region', region)
  addOcsfFields(context, finding)
  return findingOf(
    {
      source: 'ocsf',
      alertId: alertIdOf(finding, uid, account, region),
      titles: [info?.title, finding.message],
      description: firstText(info?.desc, finding.desc, finding.message),
      severity: severityOf(finding) ?? defaultSeverity('ocsf', 'notice'),
      ...stateOf(finding),
      context,
      url: webLink(info?.src_url),
      account,
      region,
      matchCount: countAt(finding, 'count') ?? countAt(info, 'related_events_count'),
      firstSeen: firstTime(
        info?.first_seen_time_dt,
        info?.first_seen_time,
        info?.created_time_dt,
        info?.created_time,
        finding.start_time_dt,
        finding.start_time,
      ),
      updatedAt: firstTime(
        info?.modified_time_dt,
        info?.modified_time,
        info?.last_seen_time_dt,
        info?.last_seen_time,
        finding.time_dt,
        finding.time,
      ),
    },
    'finding_info.uid',
  )
}

/** An id that is no ARN is one of its product, account and Region. `metadata.uid` is Security Hub's or the event's own. */
function alertIdOf(
  finding: JsonObject,
  uid: string | undefined,
  account: string | undefined,
  region: string | undefined,
): string | undefined {
  if (arnOf(uid)) return identityOf(uid)
  const product = objectAt(finding, 'metadata', 'product')
  const producer = firstText(product?.uid, product?.name, product?.vendor_name) ?? 'product'
  return identityOf('ocsf', producer, account ?? '-', region ?? '-', uid ?? textAt(finding, 'metadata', 'uid'))
}

function severityOf(finding: JsonObject) {
  return (
    severityOfOcsf(finding.severity_id) ??
    severityOfWord(finding.severity) ??
    RISK_LEVELS.get(numberAt(finding, 'risk_level_id') ?? -1)
  )
}

/** OCSF, "risk_level_id". */
const RISK_LEVELS = new Map([
  [0, 'info' as const],
  [1, 'low' as const],
  [2, 'medium' as const],
  [3, 'high' as const],
  [4, 'critical' as const],
])

/** What `status_id` says of a finding that is over: most classes, and the two that have lists of their own. */
const CLOSED = new Map([
  [3, 'suppressed'],
  [4, 'resolved'],
  [5, 'archived'],
  [6, 'deleted'],
])
const CLOSED_INCIDENT = new Map([
  [4, 'resolved'],
  [5, 'closed'],
])
const CLOSED_SECURITY_FINDING = new Map([
  [3, 'suppressed'],
  [4, 'resolved'],
])
const CLOSE = 3
const SUPPRESS = 4
const PASS = 1

/** Over when it is closed, when somebody ended it, or when its check passed: each of them, whatever the others say. */
function stateOf(finding: JsonObject): { state: FindingState; reason: string | undefined } {
  const activity = numberAt(finding, 'activity_id')
  const reason =
    closedWord(finding) ??
    (hasPassed(finding) ? 'passed' : undefined) ??
    (classOf(finding) === DATA_SECURITY_FINDING && activity === SUPPRESS ? 'suppressed' : undefined) ??
    (activity === CLOSE ? 'closed' : undefined)
  return { state: reason === undefined ? 'active' : 'resolved', reason }
}

function closedWord(finding: JsonObject): string | undefined {
  const status = numberAt(finding, 'status_id') ?? -1
  const uid = classOf(finding)
  if (uid === INCIDENT_FINDING) return CLOSED_INCIDENT.get(status)
  if (uid !== SECURITY_FINDING) return CLOSED.get(status)
  return CLOSED_SECURITY_FINDING.get(numberAt(finding, 'state_id') ?? -1)
}

/** A check's result is in `compliance`; Prowler has it in `status_code`, with a status that is New. */
function hasPassed(finding: JsonObject): boolean {
  const compliance = objectAt(finding, 'compliance')
  if (numberAt(compliance, 'status_id') === PASS) return true
  return /^pass(ed)?$/i.test(firstText(compliance?.status, finding.status_code) ?? '')
}
