/**
 * The format `discord`: a message for Discord's Execute Webhook. Pure.
 *
 * Promise: it mentions nobody (`allowed_mentions` is empty), and in what strangers wrote every ASCII punctuation mark is
 * escaped, so that it is neither Markdown nor a link nor a mention. An embed's limits are those of Discord's message
 * documentation; all texts together stay below 6,000.
 */
import type { JsonObject } from '../../platform/json.js'
import { headlineOf, highlightsOf, linesWithin, type Highlights } from '../highlights.js'
import type { FormatInput } from '../input.js'
import { COLOUR_OF } from '../severity.js'
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
  const { severity, runbook } = highlights
  const description = descriptionOf(highlights)
  const embed: JsonObject = {
    title: fit(headlineOf(highlights), TITLE, escapeMarkdown),
    ...(description === '' ? {} : { description }),
    ...(runbook?.href === undefined ? {} : { url: runbook.href }),
    timestamp: event.sentAt.toISOString(),
    ...(severity ? { color: COLOUR_OF[severity] } : {}),
    fields: fieldsOf(highlights),
  }
  return { embeds: [embed], allowed_mentions: { parse: [] } }
}

function fieldsOf({ facts, runbook }: Highlights): JsonObject[] {
  const shown = facts.slice(0, MAX_FIELDS)
  if (runbook) shown.push({ name: 'Runbook', value: runbook.text })
  return shown.map(({ name, value }) => ({
    name,
    value: fit(value, FIELD, escapeMarkdown),
    inline: name !== 'Runbook',
  }))
}

function descriptionOf({ heading, lines, text }: Highlights): string {
  const within = linesWithin(lines, LINES, escapeMarkdown)
  const shown = within.lines.map(({ name, value }) => `${name}: ${value}`)
  if (within.more > 0) shown.push(`and ${within.more} more`)
  const content = text === '' ? shown.join('\n') : fit(text, LINES.length, escapeMarkdown)
  return content === '' ? '' : `**${heading}**\n${content}`
}

/** Discord takes a backslash before any punctuation mark for an escape. */
function escapeMarkdown(char: string): string {
  return /[!-/:-@[-`{-~]/.test(char) ? `\\${char}` : char
}
