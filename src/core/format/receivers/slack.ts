/**
 * The format `slack`: a message for an incoming webhook, in Block Kit. Pure.
 *
 * Guarantee: untrusted text is in plain_text objects with `&`, `<` and `>` escaped, so it has no mentions, links or
 * formatting. Lengths are within the limits of Slack's block reference.
 */
import type { JsonObject } from '../../platform/json.js'
import { headlineOf, highlightsOf, linesWithin, type Highlights } from '../highlights.js'
import type { FormatInput } from '../input.js'
import { markOf } from '../severity.js'
import { fit } from '../text.js'

const HEADER = 150
const SECTION = 3000
const FIELD = 2000
const MAX_FIELDS = 10
/** Slack collapses longer messages. */
const LINES = { count: 40, length: 2800 }
/** The text of push notifications, also shown where blocks are not supported. */
const FALLBACK = 300

export function slackBody(input: FormatInput): JsonObject {
  const highlights = highlightsOf(input)
  const mark = markOf(highlights)
  const headline = `${mark === undefined ? '' : `${mark} `}${headlineOf(highlights)}`
  return {
    text: fit(headline, FALLBACK, escapeSlack),
    mrkdwn: false,
    unfurl_links: false,
    unfurl_media: false,
    blocks: [
      { type: 'header', text: plainText(headline, HEADER) },
      { type: 'section', fields: fieldsOf(highlights) },
      ...contentOf(highlights),
      ...linkedOf('Finding', highlights.link),
      ...runbookOf(highlights),
    ],
  }
}

function fieldsOf({ facts }: Highlights): JsonObject[] {
  return facts.slice(0, MAX_FIELDS).map(({ name, value }) => plainText(`${name}: ${value}`, FIELD))
}

function contentOf({ heading, lines, text }: Highlights): JsonObject[] {
  const within = linesWithin(lines, LINES, escapeSlack)
  const rows = within.lines.map(({ name, value }) => `${name}: ${value}`)
  if (within.more > 0) rows.push(`and ${within.more} more`)
  const content = text === '' ? rows.join('\n') : fit(text, SECTION - heading.length - 2, escapeSlack)
  return content === '' ? [] : [section({ type: 'plain_text', text: `${heading}:\n${content}`, emoji: false })]
}

/** The link has no text of its own, which could name another URL. */
function runbookOf({ runbook }: Highlights): JsonObject[] {
  if (!runbook) return []
  const { text, href } = runbook
  if (href === undefined) return [section(plainText(`Runbook: ${text}`, SECTION))]
  return linkedOf('Runbook', href)
}

function linkedOf(name: string, href: string | undefined): JsonObject[] {
  if (href === undefined) return []
  return [section({ type: 'mrkdwn', text: `${name}: <${escapeAll(href)}>`, verbatim: true })]
}

function section(text: JsonObject): JsonObject {
  return { type: 'section', text }
}

function plainText(text: string, length: number): JsonObject {
  return { type: 'plain_text', text: fit(text, length, escapeSlack), emoji: false }
}

/** The three characters that Slack escapes: https://docs.slack.dev/messaging/formatting-message-text, "Escaping text". */
function escapeSlack(char: string): string {
  if (char === '&') return '&amp;'
  if (char === '<') return '&lt;'
  return char === '>' ? '&gt;' : char
}

function escapeAll(text: string): string {
  return [...text].map(escapeSlack).join('')
}
