/**
 * IAM Access Analyzer's findings: external, internal and unused access.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-eventbridge.html
 */
import type { Severity } from '../alert/rule-match.js'
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js'
import { ContextBuilder } from './context-builder.js'
import { addFields, fieldMap } from './field-map.js'
import { firstText, flagAt, textAt } from './fields.js'
import { addCloud, findingOf } from './finding.js'
import { arnOf, identityOf } from './identity.js'
import { consoleLink } from './link.js'
import type { Finding, Reading, Source, Unread } from './source.js'
import { firstTime, timeOf } from './time.js'

const EXTERNAL = 'Access Analyzer Finding'
const INTERNAL = 'Internal Access Finding'
const UNUSED = 'Unused Access Finding for IAM entities'

const FIELDS = fieldMap({
  resource: 'resource.id',
  resourceType: 'resource.type',
  action: 'event.action',
  findingType: 'rule.name',
})

export const accessAnalyzer: Source = {
  name: 'access-analyzer',
  detailTypes: { 'aws.access-analyzer': [EXTERNAL, INTERNAL, UNUSED] },
  // the detail alone has no field that is its own
  isBare: () => false,
  read: (finding, reading) => [readFinding(finding, reading)],
}

function readFinding(finding: JsonObject, { envelope, defaultSeverity }: Reading): Finding | Unread {
  const analyzer = arnOf(envelope?.resources[0])
  const id = firstText(finding.id, finding.findingId)
  const account = firstText(finding.accountId, envelope?.account)
  const region = firstText(finding.region, analyzer?.region, envelope?.region)
  const kind = kindOf(finding, envelope?.detailType)
  const context = new ContextBuilder()
  addCloud(context, account, region)
  context.add('event.provider', 'access-analyzer')
  addFields(context, FIELDS, finding)
  for (const principal of principalsOf(finding)) context.add('user.id', principal)
  return findingOf(
    {
      source: 'access-analyzer',
      alertId: analyzer ? identityOf(envelope?.resources[0], id) : identityOf('access-analyzer', account, region, id),
      titles: [titleOf(finding, kind)],
      description: finding.error,
      severity: defaultSeverity('access-analyzer', SEVERITIES[kind], kind),
      ...stateOf(finding),
      context,
      url: consoleLink(analyzer?.partition, region, 'access-analyzer', '/findings'),
      account,
      region,
      firstSeen: timeOf(finding.createdAt),
      updatedAt: firstTime(finding.updatedAt, finding.analyzedAt),
    },
    'id',
  )
}

type Kind = 'public' | 'external' | 'internal' | 'unused' | 'error'

/** Access Analyzer has no severities. */
const SEVERITIES: Readonly<Record<Kind, Severity>> = {
  public: 'high',
  external: 'medium',
  internal: 'medium',
  unused: 'low',
  error: 'notice',
}

function kindOf(finding: JsonObject, detailType: string | undefined): Kind {
  if (textAt(finding, 'error') !== undefined) return 'error'
  if (detailType === UNUSED) return 'unused'
  if (detailType === INTERNAL) return 'internal'
  return flagAt(finding, 'isPublic') ? 'public' : 'external'
}

/** One that is deleted is over, though its status stays ACTIVE. */
function stateOf(finding: JsonObject) {
  const status = textAt(finding, 'status')?.toLowerCase()
  if (status === 'resolved' || status === 'archived') return { state: 'resolved' as const, reason: status }
  if (flagAt(finding, 'isDeleted')) return { state: 'resolved' as const, reason: 'deleted' }
  return { state: 'active' as const, reason: undefined }
}

/** The values of `principal`: `{"AWS": "*"}`, `{"Federated": "..."}`. */
function principalsOf({ principal }: JsonObject): Json[] {
  return isJsonObject(principal) ? Object.values(principal).slice(0, 100) : []
}

const VERBS: Readonly<Record<Kind, string>> = {
  public: 'is public',
  external: 'can be accessed from outside',
  internal: 'can be accessed',
  unused: 'has access that it does not use',
  error: 'could not be analyzed',
}

/** `AWS::S3::Bucket arn:aws:s3:::example-bucket is public`, and to whom where it is not for all. */
function titleOf(finding: JsonObject, kind: Kind): string {
  const resource = [textAt(finding, 'resourceType'), textAt(finding, 'resource')].filter((part) => part !== undefined)
  const principal = principalsOf(finding).find((value) => typeof value === 'string' && value !== '*')
  const by = kind === 'external' || kind === 'internal' ? principal : undefined
  return `${resource.join(' ') || 'A resource'} ${VERBS[kind]}${by === undefined ? '' : ` by ${by as string}`}`
}
