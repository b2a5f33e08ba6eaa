/**
 * CloudWatch alarms: as the alarm's own action sends them to SNS, and as EventBridge does; metric and composite alarms,
 * and contributors (the resources of one alarm over many), each of which is an alert of its own.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
 */
import { isJsonObject, parseJson, type Json, type JsonObject } from '../platform/json.js'
import { ContextBuilder } from './context-builder.js'
import { firstText, objectAt, objectsAt, textAt, valueAt } from './fields.js'
import { addCloud, findingOf } from './finding.js'
import { arnOf, identityOf } from './identity.js'
import { consoleLink } from './link.js'
import type { Finding, FindingState, Reading, Source, Unread } from './source.js'
import { timeOf } from './time.js'

const STATES = new Map<string, FindingState | undefined>([
  ['ALARM', 'active'],
  ['OK', 'resolved'],
  ['INSUFFICIENT_DATA', undefined],
])

/** What both forms say. */
interface Alarm {
  name: string | undefined
  arn: string | undefined
  account: string | undefined
  state: string
  reason: Json | undefined
  description: Json | undefined
  changedAt: Json | undefined
  contributor: string | undefined
  attributes: JsonObject | undefined
  metrics: JsonObject[]
  children: string[]
  /** Who keeps its actions from being taken. */
  silenced: string | undefined
}

export const cloudWatch: Source = {
  name: 'cloudwatch',
  detailTypes: { 'aws.cloudwatch': ['CloudWatch Alarm State Change', 'CloudWatch Alarm Contributor State Change'] },
  isBare: (message) =>
    textAt(message, 'AlarmName') !== undefined &&
    STATES.has(textAt(message, 'NewStateValue') ?? '') &&
    textAt(message, 'StateChangeTime') !== undefined,
  read: (message, reading) => {
    const alarm = reading.envelope ? fromEventBridge(message, reading) : fromAction(message, reading)
    return STATES.has(alarm.state) ? [readAlarm(alarm, reading)] : undefined
  },
}

function fromAction(message: JsonObject, { topicArn }: Reading): Alarm {
  const trigger = objectAt(message, 'Trigger')
  const account = textAt(message, 'AWSAccountId')
  const name = textAt(message, 'AlarmName')
  const topic = arnOf(topicArn)
  // an alarm sends to topics of its own Region; the message's Region is a display name
  const oldArn = topic && account && `arn:${topic.partition}:cloudwatch:${topic.region}:${account}:alarm:${name}`
  return {
    name,
    arn: textAt(message, 'AlarmArn') ?? oldArn,
    account,
    state: textAt(message, 'NewStateValue') ?? '',
    reason: message.NewStateReason,
    description: message.AlarmDescription,
    changedAt: message.StateChangeTime,
    contributor: textAt(message, 'AlarmContributorId'),
    attributes: objectAt(message, 'AlarmContributorAttributes'),
    metrics: [...(trigger ? [trigger] : []), ...objectsAt(trigger, 'Metrics').flatMap(metricOf)],
    children: objectsAt(message, 'TriggeringChildren').flatMap((child) => textAt(child, 'Arn') ?? []),
    silenced: silencerOf(textAt(message, 'ActionsSuppressedBy'), undefined),
  }
}

function fromEventBridge(detail: JsonObject, { envelope }: Reading): Alarm {
  const state = objectAt(detail, 'state')
  return {
    name: textAt(detail, 'alarmName'),
    arn: envelope?.resources[0],
    account: arnOf(envelope?.resources[0])?.account ?? envelope?.account,
    state: textAt(state, 'value') ?? '',
    reason: state?.reason,
    description: valueAt(detail, 'configuration', 'description'),
    changedAt: state?.timestamp,
    contributor: textAt(detail, 'alarmContributor', 'id'),
    attributes: objectAt(detail, 'alarmContributor', 'attributes'),
    metrics: objectsAt(detail, 'configuration', 'metrics').flatMap(metricOf),
    children: triggeringAlarms(textAt(state, 'reasonData')),
    silenced: silencerOf(textAt(state, 'actionsSuppressedBy'), objectAt(detail, 'muteDetail')),
  }
}

/** A metric of an expression, in either spelling. */
function metricOf(metric: JsonObject): JsonObject[] {
  const found = objectAt(metric, 'MetricStat', 'Metric') ?? objectAt(metric, 'metricStat', 'metric')
  return found ? [found] : []
}

const MAX_REASON_DATA = 65_536

/** The alarms that a composite one is for, which EventBridge has in a JSON text. */
function triggeringAlarms(reasonData: string | undefined): string[] {
  if (!reasonData?.includes('triggeringAlarms') || reasonData.length > MAX_REASON_DATA) return []
  try {
    return objectsAt(parseJson(reasonData), 'triggeringAlarms').flatMap((alarm) => textAt(alarm, 'arn') ?? [])
  } catch {
    return []
  }
}

function silencerOf(suppressedBy: string | undefined, muteDetail: JsonObject | undefined): string | undefined {
  if (muteDetail) return 'muted'
  return suppressedBy === undefined ? undefined : 'suppressed'
}

function readAlarm(alarm: Alarm, { defaultSeverity }: Reading): Finding | Unread {
  const { name, arn, contributor } = alarm
  const parts = arnOf(arn)
  const state = STATES.get(alarm.state)
  const context = new ContextBuilder()
  addCloud(context, alarm.account, parts?.region)
  context.add('event.provider', 'cloudwatch').add('rule.name', name).add('resource.id', alarm.children)
  context.add('event.reference', runbookOf(alarm.description))
  for (const metric of alarm.metrics) addMetric(context, metric)
  for (const [key, value] of Object.entries(alarm.attributes ?? {})) context.addOwn(['aws', 'dimensions'], key, value)
  return findingOf(
    {
      source: 'cloudwatch',
      alertId: parts && identityOf(contributor === undefined ? arn : `${arn}#${contributor}`),
      titles: [name],
      description: firstText(alarm.reason, alarm.description),
      severity: defaultSeverity('cloudwatch', 'medium'),
      state,
      reason: state === 'active' ? alarm.silenced : alarm.state.toLowerCase(),
      context,
      url:
        name &&
        consoleLink(
          parts?.partition,
          parts?.region,
          'cloudwatch',
          `alarmsV2:alarm/${encodeURIComponent(name.toWellFormed())}`,
        ),
      account: alarm.account,
      region: parts?.region,
      updatedAt: timeOf(alarm.changedAt),
    },
    'AlarmArn, and its topic does not tell the Region',
  )
}

/** An author's link in the alarm's description. */
function runbookOf(description: Json | undefined): string | undefined {
  return /https:\/\/[^\s"'<>()[\]]{1,2000}/.exec(textAt(description) ?? '')?.[0]
}

/** A metric's names: of an action in capitals with a list of dimensions, of EventBridge in lower case with an object. */
function addMetric(context: ContextBuilder, metric: JsonObject): void {
  context.add('aws.cloudwatch.namespace', firstText(metric.Namespace, metric.namespace))
  context.add('aws.cloudwatch.metric_name', firstText(metric.MetricName, metric.name))
  for (const dimension of objectsAt(metric, 'Dimensions')) {
    const name = firstText(dimension.name, dimension.Name)
    if (name !== undefined) context.addOwn(['aws', 'dimensions'], name, firstText(dimension.value, dimension.Value))
  }
  const dimensions = metric.dimensions
  if (!isJsonObject(dimensions)) return
  for (const [name, value] of Object.entries(dimensions)) context.addOwn(['aws', 'dimensions'], name, value)
}
