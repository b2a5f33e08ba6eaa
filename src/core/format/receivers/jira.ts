/**
 * The format `jira`: "Create issue" of Jira Cloud's REST API, version 3. Pure.
 *
 * Guarantee: untrusted text is in text nodes of the Atlassian Document Format, which have no markup; the summary is one
 * line of at most 255 characters, and the description is below Jira's limit of 32,767.
 *
 * Every event makes an issue, so a webhook with this format should select only `alert.created`.
 */
import type { JsonObject } from '../../platform/json.js'
import { headlineOf, highlightsOf, linesWithin, typeOf, type Highlights } from '../highlights.js'
import type { FormatInput } from '../input.js'
import { fit, oneLine } from '../text.js'

const SUMMARY = 255
const LABEL = 100
const DEFAULT_ISSUE_TYPE = 'Task'
/** A node has some 120 characters besides its text. */
const LINES = { count: 60, length: 8000 }
const TEXT = 16_000
const RUNBOOK = 2000

export function jiraBody(input: FormatInput): JsonObject {
  const { options } = input
  const highlights = highlightsOf(input)
  const { severity } = highlights
  return {
    fields: {
      project: { key: options.project_key ?? '' },
      issuetype: { name: oneLine(options.issue_type ?? DEFAULT_ISSUE_TYPE) },
      summary: fit(headlineOf(highlights), SUMMARY),
      description: { type: 'doc', version: 1, content: descriptionOf(highlights) },
      labels: ['alert-relay', labelOf(typeOf(input)), ...(severity ? [labelOf(`severity-${severity}`)] : [])],
    },
  }
}

function descriptionOf({ facts, runbook, heading, lines, text }: Highlights): JsonObject[] {
  const content: JsonObject[] = [bulletList(facts.map(({ name, value }) => [strong(`${name}: `), textNode(value)]))]
  if (runbook) {
    content.push(paragraph([strong('Runbook: '), textNode(fit(runbook.text, RUNBOOK), linkTo(runbook.href))]))
  }
  const within = linesWithin(lines, LINES)
  const items = within.lines.map(({ name, value }) => [strong(`${name}: `), textNode(value)])
  if (within.more > 0) items.push([textNode(`and ${within.more} more`)])
  if (items.length > 0) content.push(paragraph([strong(heading)]), bulletList(items))
  if (text !== '') content.push(paragraph([strong(heading)]), codeBlock(fit(text, TEXT)))
  return content
}

function bulletList(items: JsonObject[][]): JsonObject {
  return { type: 'bulletList', content: items.map((item) => ({ type: 'listItem', content: [paragraph(item)] })) }
}

function paragraph(content: JsonObject[]): JsonObject {
  return { type: 'paragraph', content }
}

function codeBlock(text: string): JsonObject {
  return { type: 'codeBlock', content: [textNode(text)] }
}

function textNode(text: string, marks: JsonObject[] = []): JsonObject {
  return { type: 'text', text, ...(marks.length > 0 ? { marks } : {}) }
}

function strong(text: string): JsonObject {
  return textNode(text, [{ type: 'strong' }])
}

function linkTo(href: string | undefined): JsonObject[] {
  return href === undefined ? [] : [{ type: 'link', attrs: { href } }]
}

/** Jira refuses labels with white space. */
function labelOf(text: string): string {
  return fit(text, LABEL).replace(/[^\w.-]+/g, '-')
}
