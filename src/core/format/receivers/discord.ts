/**
 * The format `discord`: a message for Discord's Execute Webhook. Pure.
 *
 * Guarantee: there are no mentions (`allowed_mentions` is empty), and every ASCII punctuation mark of untrusted text is
 * escaped, so that it is neither Markdown nor a link. Lengths are within the limits of Discord's message documentation;
 * all texts together have fewer than 6,000 characters.
 */
import type { JsonObject } from '../../platform/json.js'
import { headlineOf, highlightsOf, type Fact, type Highlights } from '../highlights.js'
import type { FormatInput } from '../input.js'
import { colourOf } from '../severity.js'
import { fit } from '../text.js'
import { linesWithin } from '../value-lines.js'

/** 256 + 5 of 200 + 2,300 + 100 of headings + 10 facts of 200, and a name each: below 6,000. */
const TITLE = 256
const ABOUT = 200
const LINES = { count: 20, length: 2300 }
const FACT = 200
/** Longer values have a line of their own. */
const INLINE = 24
/** Of the URL of a button and of a link in the text. */
const MAX_URL = 512

export function discordBody(input: FormatInput): JsonObject {
  const { event } = input
  const highlights = highlightsOf(input)
  const { links, facts } = highlights
  const colour = colourOf(highlights)
  const description = [aboutOf(highlights), contentOf(highlights)].filter((text) => text !== '').join('\n\n')
  // the embed shows this time itself
  const fields = facts.filter(({ time }) => time?.getTime() !== event.sentAt.getTime())
  const embed: JsonObject = {
    title: fit(headlineOf(highlights), TITLE, escapeMarkdown),
    ...(description === '' ? {} : { description }),
    ...(links[0] === undefined ? {} : { url: links[0].href }),
    timestamp: event.sentAt.toISOString(),
    ...(colour === undefined ? {} : { color: colour }),
    fields: fields.map(fieldOf),
  }
  return { embeds: [embed], allowed_mentions: { parse: [] }, ...buttonsOf(highlights) }
}

/**
 * Link buttons. Discord ignores them unless the webhook is an application's or its URL says `?with_components=true`; so the
 * title is a link as well. https://docs.discord.com/developers/resources/webhook, "Execute Webhook".
 */
function buttonsOf({ links }: Highlights): JsonObject {
  const buttons = links
    .filter(({ href }) => href.length <= MAX_URL)
    .map(({ text, href }) => ({ type: 2, style: 5, label: fit(text, 80), url: href }))
  return buttons.length === 0 ? {} : { components: [{ type: 1, components: buttons }] }
}

function fieldOf({ name, value, time }: Fact): JsonObject {
  const shown = time ? `<t:${Math.floor(time.getTime() / 1000)}:f>` : fit(value, FACT, escapeMarkdown)
  return { name, value: shown, inline: value.length <= INLINE }
}

function aboutOf({ about }: Highlights): string {
  return about.map(({ name, value }) => `**${name}:** ${fit(value, ABOUT, escapeMarkdown)}`).join('\n')
}

function contentOf({ heading, lines, text }: Highlights): string {
  if (heading === '') return ''
  const within = linesWithin(lines, LINES, escapeMarkdown)
  const rows = within.lines.map(({ name, value }) => `${name}: ${value}`)
  if (within.more > 0) rows.push(`and ${within.more} more`)
  const content = text === '' ? rows.join('\n') : fit(text, LINES.length, escapeMarkdown)
  return content === '' ? `**${heading}**` : `**${heading}**\n${content}`
}

/** In Discord a backslash escapes any punctuation mark. */
function escapeMarkdown(char: string): string {
  return /[!-/:-@[-`{-~]/.test(char) ? `\\${char}` : char
}
