/**
 * The format `jira`: "Create issue" of Jira Cloud's REST API, version 3. Pure.
 *
 * Guarantee: the summary is one line of at most 255 characters; all issues of one alert have the same label, which
 * nothing else has.
 *
 * Every event makes an issue, so a webhook should select only `alert.created`, unless `on_update` says what later changes
 * do to the issue that exists (jira-issue.ts).
 */
import { hash } from 'node:crypto'
import { TEST_EVENT_TYPE } from '../../event/event.js'
import type { JsonObject } from '../../platform/json.js'
import { alertOf, headlineOf, highlightsOf, typeOf } from '../highlights.js'
import type { FormatInput } from '../input.js'
import { fit, oneLine } from '../text.js'
import { documentOf } from './jira-document.js'

const SUMMARY = 255
const LABEL = 100
const DEFAULT_ISSUE_TYPE = 'Task'

export function jiraBody(input: FormatInput): JsonObject {
  const { options } = input
  const highlights = highlightsOf(input)
  const { severity } = highlights
  return {
    fields: {
      project: { key: options.project_key ?? '' },
      issuetype: { name: oneLine(options.issue_type ?? DEFAULT_ISSUE_TYPE) },
      summary: fit(headlineOf(highlights), SUMMARY),
      description: documentOf(highlights),
      labels: [
        'alert-relay',
        labelOf(typeOf(input)),
        ...(severity ? [labelOf(`severity-${severity}`)] : []),
        identityLabelOf(input),
      ],
    },
  }
}

/** The label by which the issue of an alert is found: a digest of its id, since ids have spaces; of other events the event's id. */
export function identityLabelOf({ event, body }: Pick<FormatInput, 'event' | 'body'>): string {
  const alert = event.type === TEST_EVENT_TYPE ? undefined : alertOf(body)
  return alert ? `alert-${hash('sha256', alert.id.toWellFormed()).slice(0, 32)}` : labelOf(event.id)
}

/** Jira refuses labels with white space. */
function labelOf(text: string): string {
  return fit(text, LABEL).replace(/[^\w.-]+/g, '-')
}
