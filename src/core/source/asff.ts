/**
 * Security Hub's findings in the AWS Security Finding Format, whichever product they are from:
 * https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-cwe-event-formats.html
 *
 * A finding whose id is an ARN is the provider's own, so that it is one alert over all roads.
 */
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js'
import { addAsffFields, camelCased, guardDutyService } from './asff-fields.js'
import { ContextBuilder } from './context-builder.js'
import { countAt, firstText, flagAt, objectAt, textAt, valueAt } from './fields.js'
import { addCloud, findingOf } from './finding.js'
import { addAction } from './guardduty-action.js'
import { arnOf, identityOf } from './identity.js'
import { consoleLink, webLink } from './link.js'
import { severityOfNormalized, severityOfWord } from './severity.js'
import type { Finding, FindingState, Reading, Source, Unread } from './source.js'
import { firstTime, timeOf } from './time.js'

export const securityHub: Source = {
  name: 'securityhub',
  detailTypes: { 'aws.securityhub': ['Security Hub Findings - Imported', 'Security Hub Findings - Custom Action'] },
  list: 'findings',
  isBare: (message) => isAsff(message) || (Array.isArray(message.findings) && isAsff(message.findings[0])),
  read: (message, reading) => {
    const findings = Array.isArray(message.findings) ? message.findings : [message]
    return findings.map((finding) =>
      isJsonObject(finding) ? readFinding(finding, reading) : { unread: 'a finding of securityhub is no object' },
    )
  },
}

function isAsff(value: Json | undefined): boolean {
  return (
    isJsonObject(value) &&
    value.SchemaVersion === '2018-10-08' &&
    textAt(value, 'Id') !== undefined &&
    textAt(value, 'ProductArn') !== undefined &&
    textAt(value, 'Title') !== undefined &&
    isJsonObject(value.Severity)
  )
}

function readFinding(finding: JsonObject, { envelope, defaultSeverity }: Reading): Finding | Unread {
  const id = textAt(finding, 'Id')
  const product = arnOf(finding.ProductArn)
  const account = firstText(finding.AwsAccountId, envelope?.account)
  const region = firstText(finding.Region, product?.region, arnOf(id)?.region, envelope?.region)
  return findingOf(
    {
      source: 'securityhub',
      alertId: alertIdOf(finding, id, account),
      titles: [finding.Title, ...textOfFirstType(finding)],
      description: finding.Description,
      severity: severityOf(finding) ?? defaultSeverity('securityhub', 'notice'),
      ...stateOf(finding),
      context: contextOf(finding, account, region),
      url:
        webLink(finding.SourceUrl) ??
        (id &&
          consoleLink(
            product?.partition ?? arnOf(id)?.partition,
            region,
            'securityhub',
            // the console's own encoding of a filter: Id equals
            `/findings?search=Id%3D%255Coperator%255C%253AEQUALS%255C%253A${encodeURIComponent(encodeURIComponent(id.toWellFormed()))}`,
          )),
      account,
      region,
      matchCount: countAt(finding, 'ProductFields', 'aws/guardduty/service/count'),
      firstSeen: firstTime(finding.FirstObservedAt, finding.CreatedAt),
      updatedAt: timeOf(finding.UpdatedAt),
      sample: flagAt(finding, 'Sample'),
    },
    'Id, or it is no ARN and has no ProductArn and AwsAccountId',
  )
}

/** An id that is no ARN is unique within a product, an account and a Region; the product's ARN has the Region. */
function alertIdOf(finding: JsonObject, id: string | undefined, account: string | undefined): string | undefined {
  if (arnOf(id)) return identityOf(id)
  return identityOf(textAt(finding, 'ProductArn'), account, id)
}

function textOfFirstType({ Types: types }: JsonObject): Json[] {
  return Array.isArray(types) ? types.slice(0, 1) : []
}

/** The label, then the number; the provider's own words last. The two may differ, and then the label is right. */
function severityOf({ Severity: severity }: JsonObject) {
  return (
    severityOfWord(valueAt(severity, 'Label')) ??
    severityOfNormalized(valueAt(severity, 'Normalized')) ??
    severityOfWord(valueAt(severity, 'Original')) ??
    severityOfWord(valueAt(severity, 'Product'))
  )
}

/**
 * Resolved when it is archived, when somebody resolved or suppressed it, or when its check passed: each of them, whatever
 * the others say. A workflow that is new proves nothing, since Security Hub sets it so by itself.
 */
function stateOf(finding: JsonObject): { state: FindingState; reason: string | undefined } {
  const workflow = textAt(finding, 'Workflow', 'Status') ?? textAt(finding, 'WorkflowState')
  const compliance = textAt(finding, 'Compliance', 'Status')
  const reason = [
    workflow === 'SUPPRESSED' && workflow,
    textAt(finding, 'RecordState') === 'ARCHIVED' && 'ARCHIVED',
    (compliance === 'PASSED' || compliance === 'NOT_AVAILABLE') && compliance,
    workflow === 'RESOLVED' && workflow,
  ].find((word) => word !== false)
  return { state: reason === undefined ? 'active' : 'resolved', reason: reason?.toLowerCase() }
}

function contextOf(finding: JsonObject, account: string | undefined, region: string | undefined): ContextBuilder {
  const context = new ContextBuilder()
  addCloud(context, account, region)
  context.add('event.provider', productOf(finding))
  const rule = firstText(valueAt(finding, 'Compliance', 'SecurityControlId'), finding.GeneratorId)
  context.add('rule.id', rule).add('rule.name', arnOf(rule) ? undefined : rule)
  context.add('event.reference', webLink(valueAt(finding, 'Remediation', 'Recommendation', 'Url')))
  addAsffFields(context, finding)
  const action = camelCased(finding.Action ?? null)
  addAction(context, isJsonObject(action) ? action : undefined)
  addAction(context, objectAt(guardDutyService(objectAt(finding, 'ProductFields')), 'action'))
  return context
}

/** `Security Hub`; of an old finding the last part of `arn:aws:securityhub:eu-west-1::product/aws/guardduty`. */
function productOf(finding: JsonObject): string | undefined {
  return firstText(
    finding.ProductName,
    valueAt(finding, 'ProductFields', 'aws/securityhub/ProductName'),
    /\/([^/]+)$/.exec(textAt(finding, 'ProductArn') ?? '')?.[1],
  )
}
