/** Rendered bodies for the tests of the formats, validated against the documented schema of each receiver. */
import { Ajv, type ValidateFunction } from 'ajv'
import ajvFormats from 'ajv-formats'
import type { FormatName } from '../../../src/core/format/format-names.js'
import type { FormatInput } from '../../../src/core/format/input.js'
import { renderFormat } from '../../../src/core/format/receivers.js'
import { isJsonObject, type Json, type JsonObject } from '../../../src/core/platform/json.js'
import { alertInput, findingInput, noticeInput, notificationInput } from './inputs.js'
import { cloudEventSchema } from './schemas/cloudevents.js'
import { discordSchema } from './schemas/discord.js'
import { jiraSchema } from './schemas/jira.js'
import { ocsfSchema } from './schemas/ocsf.js'
import { pagerdutySchema } from './schemas/pagerduty.js'
import { slackSchema } from './schemas/slack.js'
import { teamsSchema } from './schemas/teams.js'

export type Rendering = Exclude<FormatName, 'template'>

/** Lengths in UTF-16 code units: the largest count that a receiver uses. */
const ajv = ajvFormats.default(new Ajv({ unicode: false, strict: false, allErrors: true }))
const VALIDATE: { [F in Rendering]?: ValidateFunction } = {
  cloudevents: ajv.compile(cloudEventSchema),
  ocsf: ajv.compile(ocsfSchema),
  slack: ajv.compile(slackSchema),
  teams: ajv.compile(teamsSchema),
  pagerduty: ajv.compile(pagerdutySchema),
  discord: ajv.compile(discordSchema),
  jira: ajv.compile(jiraSchema),
}

/** The rendered body. @throws Error when it does not match the schema of its receiver */
export function bodyOf(format: Rendering, input: FormatInput): JsonObject {
  const { text } = renderFormat(format, input)
  const body = JSON.parse(text) as JsonObject
  const validate = VALIDATE[format]
  if (validate && !validate(body)) throw new Error(`${format}: ${JSON.stringify(validate.errors)}\n${text}`)
  return body
}

/** Every string in a value, keys included. */
export function stringsOf(value: Json | undefined): string[] {
  if (typeof value === 'string') return [value]
  if (Array.isArray(value)) return value.flatMap(stringsOf)
  return isJsonObject(value) ? Object.entries(value).flatMap(([key, child]) => [key, ...stringsOf(child)]) : []
}

/** Every object in a value of a type that Slack, Teams and the Atlassian Document Format name by `type`. */
export function nodesOf(value: Json | undefined, type: string): JsonObject[] {
  if (Array.isArray(value)) return value.flatMap((child) => nodesOf(child, type))
  if (!isJsonObject(value)) return []
  return [...(value.type === type ? [value] : []), ...Object.values(value).flatMap((child) => nodesOf(child, type))]
}

/** An input of every kind of event. */
export const INPUTS = {
  created: alertInput(),
  updated: alertInput({}, { user: { name: ['b'] } }, { type: 'alert.updated', previousSeverity: 'low' }),
  finding: findingInput({ type: 'alert.created', state: 'active' }, { account: '111122223333', region: 'eu-west-1' }),
  resolved: findingInput({ type: 'alert.resolved', state: 'resolved' }, { state_reason: 'archived' }),
  reopened: findingInput({ type: 'alert.reopened', state: 'active' }),
  quiet: alertInput({}, {}, { type: 'alert.quiet', topicArn: null, messageId: null }),
  test: alertInput({}, {}, { type: 'webhook.test', topicArn: null, alertId: null }),
  minimal: alertInput({ title: '', severity: null, runbook: 3, tables: 'x', match_count: 'y' }, {}),
  text: notificationInput('Disk full\non web-1', 'ALARM'),
  json: notificationInput({ AlarmName: 'cpu', Trigger: { Dimensions: [{ name: 'a' }] } }),
  list: notificationInput([1, 'two']),
  empty: notificationInput(''),
  failing: noticeInput('webhook.failing', { id: 'wh_1', url: 'https://x.example', failures: 7 }),
  recovered: noticeInput('webhook.recovered', { id: 'wh_1' }),
  disabled: noticeInput('webhook.disabled', { id: 'wh_1', disabled_reason: 'gone' }),
  dead: noticeInput('delivery.dead', {
    webhook: { id: 'wh_1', name: 'soar' },
    deliveries: { count: 2, first: [{ delivery_id: 'dlv_1', last_failure: 'rejected: status 500' }] },
  }),
} satisfies Record<string, FormatInput>
