/**
 * The format `discord`: a message for Discord's Execute Webhook. Pure.
 *
 * Guarantee: there are no mentions (`allowed_mentions` is empty), and every ASCII punctuation mark of untrusted text is
 * escaped, so that it is neither Markdown nor a link. Lengths are within the limits of Discord's message documentation;
 * all texts together have fewer than 6,000 characters.
 */
import type { JsonObject } from '../../platform/json.js'
import { headlineOf, highlightsOf, linesWithin, type Highlights } from '../highlights.js'
import type { FormatInput } from '../input.js'
import { colourOf } from '../severity.js'
import { fit } from '../text.js'

/** 256 + 2,900 + 7 fields of 300 + a name each: below 6,000. */
const TITLE = 256
const DESCRIPTION = 2900
const FIELD = 300
const MAX_FIELDS = 6
const HEADING = 20
const LINES = { count: 30, length: DESCRIPTION - HEADING - 30 }

export function discordBody(input: FormatInput): JsonObject {
  const { event } = input
  const highlights = highlightsOf(input)
  const { link, runbook } = highlights
  const page = link ?? runbook?.href
  const colour = colourOf(highlights)
  const description = descriptionOf(highlights)
  const embed: JsonObject = {
    title: fit(headlineOf(highlights), TITLE, escapeMarkdown),
    ...(description === '' ? {} : { description }),
    ...(page === undefined ? {} : { url: page }),
    timestamp: event.sentAt.toISOString(),
    ...(colour === undefined ? {} : { color: colour }),
    fields: fieldsOf(highlights),
  }
  return { embeds: [embed], allowed_mentions: { parse: [] } }
}

function fieldsOf({ facts, runbook }: Highlights): JsonObject[] {
  const fields = facts.slice(0, MAX_FIELDS)
  if (runbook) fields.push({ name: 'Runbook', value: runbook.text })
  return fields.map(({ name, value }) => ({
    name,
    value: fit(value, FIELD, escapeMarkdown),
    inline: name !== 'Runbook',
  }))
}

function descriptionOf({ heading, lines, text }: Highlights): string {
  const within = linesWithin(lines, LINES, escapeMarkdown)
  const rows = within.lines.map(({ name, value }) => `${name}: ${value}`)
  if (within.more > 0) rows.push(`and ${within.more} more`)
  const content = text === '' ? rows.join('\n') : fit(text, LINES.length, escapeMarkdown)
  return content === '' ? '' : `**${heading}**\n${content}`
}

/** In Discord a backslash escapes any punctuation mark. */
function escapeMarkdown(char: string): string {
  return /[!-/:-@[-`{-~]/.test(char) ? `\\${char}` : char
}
