/**
 * AWS Health's events, one alert for each account that an event concerns:
 * https://docs.aws.amazon.com/health/latest/ug/aws-health-events-eventbridge-schema.html
 *
 * Pages of one event, and the copy that is sent to another Region, are the same alert: what they bring is more entities.
 */
import type { Severity } from '../alert/rule-match.js'
import type { JsonObject } from '../platform/json.js'
import { ContextBuilder } from './context-builder.js'
import { firstText, objectsAt, textAt } from './fields.js'
import { addCloud, findingOf } from './finding.js'
import { arnOf, identityOf } from './identity.js'
import type { Finding, Reading, Source, Unread } from './source.js'
import { timeOf } from './time.js'

/** Health has categories and no severities. */
const SEVERITIES = new Map<string, Severity>([
  ['issue', 'high'],
  ['abuse', 'high'],
  ['investigation', 'medium'],
  ['scheduledChange', 'notice'],
  ['accountNotification', 'info'],
])
const ABUSE = 'AWS Health Abuse Event'
/** What stands for an entity that Health does not know. */
const NO_ENTITY = new Set(['UNKNOWN', '-'])

export const health: Source = {
  name: 'health',
  detailTypes: { 'aws.health': ['AWS Health Event', ABUSE] },
  isBare: (message) =>
    /^arn:aws[\w-]*:health:/.test(textAt(message, 'eventArn') ?? '') && textAt(message, 'eventTypeCode') !== undefined,
  read: (message, reading) => [readEvent(message, reading)],
}

function readEvent(event: JsonObject, { envelope, defaultSeverity }: Reading): Finding | Unread {
  const arn = arnOf(event.eventArn)
  const account = firstText(event.affectedAccount, envelope?.account, arn?.account)
  const region = firstText(event.eventRegion, arn?.region, envelope?.region)
  const code = textAt(event, 'eventTypeCode')
  const service = textAt(event, 'service')
  const isClosed = textAt(event, 'statusCode')?.toLowerCase() === 'closed'
  const kind = kindOf(event, envelope?.detailType)
  const context = new ContextBuilder()
  addCloud(context, account, region)
  context.add('event.provider', 'health').add('rule.name', code).add('rule.category', event.eventTypeCategory)
  context.add('cloud.service.name', service)
  for (const { entityValue: entity } of objectsAt(event, 'affectedEntities')) {
    if (typeof entity === 'string' && !NO_ENTITY.has(entity)) context.add('resource.id', entity)
  }
  return findingOf(
    {
      source: 'health',
      alertId: arn && identityOf(textAt(event, 'eventArn'), account ?? '-'),
      titles: [code && titleOf(code, service)],
      description: descriptionOf(event),
      severity: defaultSeverity('health', severityOf(event, kind), kind),
      state: isClosed ? 'resolved' : 'active',
      reason: isClosed ? 'closed' : undefined,
      context,
      url: arn && linkOf(arn.partition, textAt(event, 'eventArn')!),
      account,
      region,
      firstSeen: timeOf(event.startTime),
      updatedAt: timeOf(event.lastUpdatedTime),
    },
    'eventArn',
  )
}

function kindOf(event: JsonObject, detailType: string | undefined): string {
  return detailType === ABUSE ? 'abuse' : (textAt(event, 'eventTypeCategory') ?? 'issue')
}

function severityOf(event: JsonObject, kind: string): Severity {
  const severity = SEVERITIES.get(kind) ?? 'medium'
  return kind === 'scheduledChange' && textAt(event, 'actionability') === 'ACTION_REQUIRED' ? 'medium' : severity
}

/** `AWS_EC2_OPERATIONAL_ISSUE` is `EC2: operational issue`. */
function titleOf(code: string, service: string | undefined): string {
  const words = code.replace(/^AWS_/, '').replace(service === undefined ? '' : `${service}_`, '')
  const text = words.replaceAll('_', ' ').toLowerCase()
  return service === undefined ? text : `${service}: ${text}`
}

/** The first paragraph of the description, in English where there is one. */
function descriptionOf(event: JsonObject): string | undefined {
  const descriptions = objectsAt(event, 'eventDescription')
  const english = descriptions.find((description) => textAt(description, 'language')?.startsWith('en'))
  return textAt(english ?? descriptions[0], 'latestDescription')?.split(/\r?\n\s*\r?\n/, 1)[0]
}

function linkOf(partition: string, eventArn: string): string | undefined {
  if (partition !== 'aws' || eventArn.length > 1000) return undefined
  const parameters = new URLSearchParams({ eventID: eventArn, eventTab: 'details' })
  return `https://health.aws.amazon.com/health/home#/account/event-log?${parameters}`
}
