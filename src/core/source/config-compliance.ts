/**
 * AWS Config's changes of compliance, by EventBridge and by a delivery channel, which sends the same without an envelope:
 * https://docs.aws.amazon.com/config/latest/developerguide/example-config-rule-compliance-notification.html
 */
import type { JsonObject } from '../platform/json.js'
import { ContextBuilder } from './context-builder.js'
import { addFields, fieldMap } from './field-map.js'
import { firstText, objectAt, textAt, valueAt } from './fields.js'
import { addCloud, findingOf } from './finding.js'
import { arnOf, identityOf } from './identity.js'
import { consoleLink } from './link.js'
import type { Finding, FindingState, Reading, Source, Unread } from './source.js'
import { firstTime } from './time.js'

const STATES = new Map<string, FindingState | undefined>([
  ['NON_COMPLIANT', 'active'],
  ['COMPLIANT', 'resolved'],
  ['NOT_APPLICABLE', 'resolved'],
  ['INSUFFICIENT_DATA', undefined],
])
const FIELDS = fieldMap({
  resourceType: 'resource.type',
  resourceId: 'resource.id',
  configRuleName: 'rule.name',
})

export const configCompliance: Source = {
  name: 'config',
  detailTypes: { 'aws.config': ['Config Rules Compliance Change'] },
  isBare: (message) =>
    isChange(message) &&
    objectAt(message, 'newEvaluationResult') !== undefined &&
    textAt(message, 'configRuleARN') !== undefined,
  read: (message, reading) => (isChange(message) ? readChange(message, reading) : undefined),
}

/** Other messages of the delivery channel (configuration items, snapshots, histories) are no findings. */
function isChange(message: JsonObject): boolean {
  return textAt(message, 'messageType') === 'ComplianceChangeNotification'
}

function readChange(message: JsonObject, { envelope, defaultSeverity }: Reading): (Finding | Unread)[] | undefined {
  const result = objectAt(message, 'newEvaluationResult')
  const compliance = textAt(result, 'complianceType') ?? ''
  if (!STATES.has(compliance)) return undefined
  const rule = arnOf(message.configRuleARN)
  const account = firstText(message.awsAccountId, rule?.account, envelope?.account)
  const region = firstText(message.awsRegion, rule?.region, envelope?.region)
  const [type, id, name] = ['resourceType', 'resourceId', 'configRuleName'].map((key) => textAt(message, key))
  const context = new ContextBuilder()
  addCloud(context, account, region)
  context.add('event.provider', 'config')
  addFields(context, FIELDS, message)
  const state = STATES.get(compliance)
  const fragment = new URLSearchParams({ resourceId: id ?? '', resourceType: type ?? '' })
  return [
    findingOf(
      {
        source: 'config',
        alertId: rule && identityOf(textAt(message, 'configRuleARN'), type, id),
        titles: [`${type} ${id} is ${compliance} with ${name ?? 'a rule'}`],
        description: result?.annotation,
        severity: defaultSeverity('config', 'medium'),
        state,
        reason: state === 'active' ? undefined : compliance.toLowerCase(),
        context,
        url: consoleLink(rule?.partition, region, 'config', `/resources/timeline?${fragment}`),
        account,
        region,
        updatedAt: firstTime(
          valueAt(result, 'resultRecordedTime'),
          message.notificationCreationTime,
          valueAt(result, 'configRuleInvokedTime'),
        ),
      },
      'configRuleARN, resourceType and resourceId',
    ),
  ]
}
