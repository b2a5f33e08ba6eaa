/**
 * The format `slack`: a message for an incoming webhook, in Block Kit. Pure.
 *
 * Guarantee: untrusted text is in plain_text objects with `&`, `<` and `>` escaped, so it has no mentions, links or
 * formatting; mrkdwn has only headings and times of the relay's own. Lengths are within the limits of Slack's block reference.
 */
import type { JsonObject } from '../../platform/json.js'
import { headlineOf, highlightsOf, type Fact, type Highlights } from '../highlights.js'
import type { FormatInput } from '../input.js'
import { markOf } from '../severity.js'
import { fit } from '../text.js'
import { linesWithin } from '../value-lines.js'

const HEADER = 150
const SECTION = 3000
const FIELD = 2000
/** Slack collapses longer messages. */
const LINES = { count: 20, length: 2800 }
/** Of a context block, whose text is small: longer facts are in a section. */
const CONTEXT_ELEMENTS = 10
const CONTEXT_TEXT = 250
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
      ...(headline.length > HEADER ? [section(plainText(highlights.title, SECTION))] : []),
      ...fieldsOf(highlights),
      ...contentOf(highlights),
      ...buttonsOf(highlights),
      ...factsOf(highlights),
    ],
  }
}

function fieldsOf({ about }: Highlights): JsonObject[] {
  const fields = about.map(({ name, value }) => plainText(`${name}: ${value}`, FIELD))
  return fields.length === 0 ? [] : [{ type: 'section', fields }]
}

function contentOf({ heading, lines, text }: Highlights): JsonObject[] {
  if (heading === '') return []
  const within = linesWithin(lines, LINES, escapeSlack)
  const rows = within.lines.map(({ name, value }) => `${name}: ${value}`)
  if (within.more > 0) rows.push(`and ${within.more} more`)
  const content = text === '' ? rows.join('\n') : fit(text, SECTION, escapeSlack)
  const title = section({ type: 'mrkdwn', text: `*${heading}*`, verbatim: true })
  return content === '' ? [title] : [title, section({ type: 'plain_text', text: content, emoji: false })]
}

function buttonsOf({ links }: Highlights): JsonObject[] {
  const elements = links.map(({ text, href }) => ({ type: 'button', text: plainText(text, 75), url: href }))
  return elements.length === 0 ? [] : [{ type: 'actions', elements }]
}

function factsOf({ facts }: Highlights): JsonObject[] {
  const isLong = ({ value }: Fact) => value.length > CONTEXT_TEXT
  const long = facts.filter(isLong).map(({ name, value }) => section(plainText(`${name}: ${value}`, SECTION)))
  const short = facts.filter((fact) => !isLong(fact)).slice(0, CONTEXT_ELEMENTS)
  return [...long, ...(short.length === 0 ? [] : [{ type: 'context', elements: short.map(elementOf) }])]
}

/** A time is shown in the reader's time zone: https://docs.slack.dev/messaging/formatting-message-text, "Date formatting". */
function elementOf({ name, value, time }: Fact): JsonObject {
  if (time === undefined) return plainText(`${name}: ${value}`, FIELD)
  const seconds = Math.floor(time.getTime() / 1000)
  return {
    type: 'mrkdwn',
    text: `${name}: <!date^${seconds}^{date_short_pretty} {time_secs}|${value}>`,
    verbatim: true,
  }
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
