/**
 * Renders an event in any format but `template`, which runs code of an operator in a process of its own (template.ts). Pure.
 *
 * Guarantee: the same event and options make the same bytes; numbers keep every digit.
 */
import { stringifyJson, type JsonObject } from '../platform/json.js'
import { cloudEvent } from './receivers/cloudevents.js'
import { discordBody } from './receivers/discord.js'
import type { FormatName } from './format-names.js'
import type { FormatInput, Rendered } from './input.js'
import { keepsIssues } from './options.js'
import { jiraBody } from './receivers/jira.js'
import { jiraConversation } from './receivers/jira-issue.js'
import { ocsfBody } from './receivers/ocsf.js'
import { pagerdutyBody } from './receivers/pagerduty.js'
import { rawMessage } from './receivers/raw.js'
import { slackBody } from './receivers/slack.js'
import { teamsBody } from './receivers/teams.js'

const JSON_TYPE = 'application/json'

/** The formats that are JSON objects. */
const BODY_OF = {
  change: ({ body }: FormatInput) => body,
  cloudevents: cloudEvent,
  ocsf: ocsfBody,
  slack: slackBody,
  teams: teamsBody,
  pagerduty: pagerdutyBody,
  discord: discordBody,
  jira: jiraBody,
} satisfies { [F in Exclude<FormatName, 'raw' | 'template'>]: (input: FormatInput) => JsonObject }

/** Renders an event whose options passed `checkFormat`. */
export function renderFormat(format: Exclude<FormatName, 'template'>, input: FormatInput): Rendered {
  if (format === 'raw') return rawMessage(input)
  const contentType = format === 'cloudevents' ? 'application/cloudevents+json; charset=utf-8' : JSON_TYPE
  const rendered = { contentType, text: stringifyJson(BODY_OF[format](input)) }
  return format === 'jira' && keepsIssues(input.options)
    ? { ...rendered, conversation: jiraConversation(input) }
    : rendered
}
