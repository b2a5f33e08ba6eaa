/**
 * CloudTrail activity as EventBridge sends it: what somebody did, which is no finding. Whoever wants alerts of it has it counted by
 * the engine, as a match of a rule for each action and actor. Pure.
 * https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
 */
import { buildContext } from '../alert/context.js'
import { RULE_MATCH_DEFAULTS, type RuleMatch, type Severity } from '../alert/rule-match.js'
import type { Json } from '../platform/json.js'
import { ContextBuilder } from './context-builder.js'
import { firstText, textAt, valueAt } from './fields.js'
import { envelopeOf } from './recognise.js'
import type { SourceSettings } from './settings.js'
import { CLOUDTRAIL } from './source.js'

const DETAIL_TYPES = new Set([
  'AWS API Call via CloudTrail',
  'AWS Console Sign In via CloudTrail',
  'AWS Service Event via CloudTrail',
  'AWS Console Action via CloudTrail',
])
/** In every such message, so that others are not read for it. */
export const CLOUDTRAIL_MARK = ' via CloudTrail'
const LOWEST: Severity = 'info'

/** The activity of a message; undefined for any other message. Its id is EventBridge's, the same when it is sent again. */
export function readActivity(
  document: Json,
  { severities }: SourceSettings,
): { match: RuleMatch; id: string | undefined } | undefined {
  const { envelope, detail } = envelopeOf(document) ?? {}
  if (!envelope || !DETAIL_TYPES.has(envelope.detailType)) return undefined
  const action = textAt(detail, 'eventName')
  if (action === undefined) return undefined
  const service = textAt(detail, 'eventSource') ?? 'aws'
  const user = valueAt(detail, 'userIdentity')
  const actor = firstText(valueAt(user, 'arn'), valueAt(user, 'principalId'), valueAt(user, 'invokedBy')) ?? 'somebody'
  const name = textAt(user, 'userName') ?? actor.split('/').at(-1)!
  const account = firstText(valueAt(detail, 'recipientAccountId'), valueAt(user, 'accountId')) ?? envelope.account
  const region = textAt(detail, 'awsRegion') ?? envelope.region
  const error = textAt(detail, 'errorCode')
  const signIn = textAt(detail, 'responseElements', 'ConsoleLogin')
  const hasFailed = error !== undefined || signIn === 'Failure'
  const context = new ContextBuilder()
    .add('event.action', action)
    .add('event.provider', service)
    .add('event.outcome', hasFailed ? 'failure' : 'success')
    .add('error.code', error)
    .add('error.message', valueAt(detail, 'errorMessage'))
    .add('user.id', valueAt(user, 'principalId'))
    .add('user.name', name)
    .add('aws.cloudtrail.user_identity.arn', valueAt(user, 'arn'))
    .add('aws.cloudtrail.user_identity.type', valueAt(user, 'type'))
    .add('aws.cloudtrail.mfa_used', valueAt(detail, 'additionalEventData', 'MFAUsed'))
    .add('source.ip', valueAt(detail, 'sourceIPAddress'))
    .add('user_agent.original', valueAt(detail, 'userAgent'))
    .add('cloud.provider', 'aws')
    .add('cloud.account.id', account)
    .add('cloud.region', region)
  const match = {
    ...RULE_MATCH_DEFAULTS,
    rule: cut(`cloudtrail/${service}/${action}`, 200),
    title: cut(`${action} by ${name}${hasFailed ? `, ${error ?? 'failed'}` : ''}`, 1000),
    severity: severities.get(CLOUDTRAIL) ?? LOWEST,
    dedupe: cut([account, region, actor, error ?? signIn].join('|'), 1000),
    table: CLOUDTRAIL,
    context: buildContext(context.values),
  }
  return { match, id: envelope.id }
}

function cut(text: string, length: number): string {
  return text.replaceAll('\u0000', '').slice(0, length).toWellFormed()
}
