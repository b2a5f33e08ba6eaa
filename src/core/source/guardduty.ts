/**
 * GuardDuty's findings: https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings_eventbridge.html
 *
 * A finding is sent again with the details of its latest occurrence alone, and never says that it is over.
 */
import type { Json, JsonObject } from '../platform/json.js'
import { ContextBuilder } from './context-builder.js'
import { addFields } from './field-map.js'
import { countAt, firstText, flagAt, objectAt, objectsAt, textAt, valueAt } from './fields.js'
import { addCloud, findingOf } from './finding.js'
import { addAction } from './guardduty-action.js'
import { FIELDS, FIELDS_OF_RESOURCE, INDICATORS, RESOURCE_FIELDS } from './guardduty-fields.js'
import { arnOf, identityOf } from './identity.js'
import { consoleLink } from './link.js'
import { severityOfGuardDuty } from './severity.js'
import type { Finding, Reading, Source, Unread } from './source.js'
import { firstTime, timeOf } from './time.js'

export const guardDuty: Source = {
  name: 'guardduty',
  detailTypes: { 'aws.guardduty': ['GuardDuty Finding'] },
  isBare: (message) =>
    textAt(message, 'service', 'serviceName') === 'guardduty' &&
    textAt(message, 'type') !== undefined &&
    textAt(message, 'id') !== undefined &&
    textAt(message, 'accountId') !== undefined &&
    message.severity !== undefined,
  // the API writes its keys with capitals: it is another form, which is not read
  read: (finding, reading) =>
    finding.type === undefined && finding.Type !== undefined ? undefined : [readFinding(finding, reading)],
}

function readFinding(finding: JsonObject, { envelope, defaultSeverity }: Reading): Finding | Unread {
  const service = objectAt(finding, 'service')
  const type = textAt(finding, 'type')
  const account = firstText(finding.accountId, envelope?.account)
  const region = firstText(finding.region, envelope?.region)
  const id = textAt(finding, 'id')
  const sample = isSample(service)
  const archived = flagAt(service, 'archived')
  return findingOf(
    {
      source: 'guardduty',
      alertId: alertIdOf(finding, account, region),
      titles: [finding.title, type],
      description: finding.description,
      severity: isAttackSequence(finding)
        ? 'critical'
        : (severityOfGuardDuty(finding.severity) ?? defaultSeverity('guardduty', 'notice')),
      // also an archived one: GuardDuty sends its later occurrences, and does not say that it is over
      state: 'active',
      reason: archived ? 'archived' : undefined,
      context: contextOf(finding, service, account, region, sample),
      url:
        id &&
        consoleLink(
          textAt(finding, 'partition') ?? arnOf(finding.arn)?.partition,
          region,
          'guardduty',
          `/findings?macros=current&fId=${encodeURIComponent(id.slice(0, 100).toWellFormed())}`,
        ),
      account,
      region,
      matchCount: countAt(service, 'count'),
      firstSeen: firstTime(service?.eventFirstSeen, finding.createdAt),
      updatedAt: timeOf(finding.updatedAt),
      sample,
    },
    'arn, and no accountId, region and id',
  )
}

/** The ARN, by which all roads join; one that is cut is none. */
function alertIdOf(finding: JsonObject, account: string | undefined, region: string | undefined): string | undefined {
  const arn = textAt(finding, 'arn')
  if (arnOf(arn) && /\/finding\/[^/]+$/.test(arn!)) return identityOf(arn)
  return identityOf('guardduty', account, region, textAt(finding, 'id'))
}

function isAttackSequence(finding: JsonObject): boolean {
  return (textAt(finding, 'type') ?? '').startsWith('AttackSequence:')
}

/** GuardDuty says so in `additionalInfo.sample`, or in the JSON text `additionalInfo.value`. */
function isSample(service: JsonObject | undefined): boolean {
  const info = objectAt(service, 'additionalInfo')
  return flagAt(info, 'sample') || /"sample"\s*:\s*true/.test((textAt(info, 'value') ?? '').slice(0, 10_000))
}

function contextOf(
  finding: JsonObject,
  service: JsonObject | undefined,
  account: string | undefined,
  region: string | undefined,
  sample: boolean,
): ContextBuilder {
  const context = new ContextBuilder()
  addCloud(context, account, region)
  context.add('event.provider', 'guardduty')
  addRule(context, textAt(finding, 'type'))
  const resource = objectAt(finding, 'resource')
  context.add('resource.type', valueAt(resource, 'resourceType'))
  addResource(context, resource, sample)
  addFields(context, FIELDS, finding)
  addAction(context, objectAt(service, 'action'))
  addSequence(context, objectAt(service, 'detection', 'sequence'))
  return context
}

/** `Purpose:Resource/Family.Mechanism!Artifact`: the purpose is a category, the purpose and the resource a rule set. */
export function addRule(context: ContextBuilder, type: string | undefined): void {
  const [, ruleset, category] = /^(([^:]{1,100}):[^/]{1,100})\//.exec(type ?? '') ?? []
  context.add('rule.name', type).add('rule.category', category).add('rule.ruleset', ruleset)
}

/** Samples have sections of other resources too, which say nothing about this one. */
function addResource(context: ContextBuilder, resource: JsonObject | undefined, sample: boolean): void {
  const fitting = sample ? FIELDS_OF_RESOURCE.get(textAt(resource, 'resourceType') ?? '') : undefined
  for (const fields of fitting ?? RESOURCE_FIELDS) addFields(context, fields, resource)
}

/** An attack sequence: findings of many kinds that belong together, with what they have in common. */
function addSequence(context: ContextBuilder, sequence: JsonObject | undefined): void {
  addIndicators(context, objectsAt(sequence, 'sequenceIndicators'))
  for (const signal of objectsAt(sequence, 'signals')) addIndicators(context, objectsAt(signal, 'signalIndicators'))
}

function addIndicators(context: ContextBuilder, indicators: JsonObject[]): void {
  for (const indicator of indicators) {
    const key = textAt(indicator, 'key') ?? ''
    const name = INDICATORS.find(([pattern]) => pattern.test(key))?.[1]
    if (name !== undefined) addIndicator(context, name, indicator.values)
  }
}

/** A technique is its id, its name, or `T1485 - Data Destruction`. */
function addIndicator(context: ContextBuilder, name: string, values: Json | undefined): void {
  if (name !== 'threat.technique') context.add(name, values)
  else if (Array.isArray(values)) {
    for (const value of values) {
      const [, id, rest] = /^(T\d{4}(?:\.\d{3})?)?(?:\s*-\s*)?(.*)$/.exec(textAt(value) ?? '') ?? []
      context.add('threat.technique.id', id).add('threat.technique.name', rest)
    }
  }
}
