/**
 * The format `teams`: an Adaptive Card in the message envelope that a Workflows webhook takes. Pure.
 *
 * Guarantee: untrusted text is only in TextRuns, which have no markup (TextBlock and FactSet render Markdown), and the
 * message is below Teams' limit of 28 KB for any alert.
 */
import type { JsonObject } from '../../platform/json.js'
import { headlineOf, highlightsOf, type Highlights } from '../highlights.js'
import type { FormatInput } from '../input.js'
import type { Severity, Shown } from '../severity.js'
import { fit } from '../text.js'
import { linesWithin, type Line } from '../value-lines.js'

/**
 * Without control characters a character has at most three bytes; a line has some 200 bytes of JSON. In all at most
 * 1 KB of title, 11 KB of facts, 12 KB of lines or text, and 2 KB of links.
 */
const TITLE = 200
const ABOUT = 100
const FACT = 160
const LONG_FACT = 300
const LINES = { count: 20, length: 2700 }
const TEXT = { count: 20, length: 2700 }
/** A URL is ASCII. */
const MAX_URL = 1000

/** Adaptive Cards has six named colours; green (good) is what is over. */
const COLOUR: Readonly<Record<Severity, string>> = {
  info: 'default',
  notice: 'default',
  low: 'accent',
  medium: 'warning',
  high: 'attention',
  critical: 'attention',
}

export function teamsBody(input: FormatInput): JsonObject {
  const highlights = highlightsOf(input)
  const card: JsonObject = {
    $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
    type: 'AdaptiveCard',
    version: '1.4',
    msteams: { width: 'Full' },
    body: [
      richText([
        { ...run(fit(headlineOf(highlights), TITLE)), size: 'large', weight: 'bolder', ...inColour(highlights) },
      ]),
      ...highlights.about.map((line) => lineOf(line, ABOUT, isColoured(line) ? inColour(highlights) : {})),
      ...contentOf(highlights),
      ...buttonsOf(highlights),
      ...factsOf(highlights),
    ],
  }
  return {
    type: 'message',
    attachments: [{ contentType: 'application/vnd.microsoft.card.adaptive', contentUrl: null, content: card }],
  }
}

function isColoured({ name }: Line): boolean {
  return name === 'Severity' || name === 'State'
}

function inColour({ severity, over }: Shown): JsonObject {
  if (over !== undefined) return { color: over === 'resolved' ? 'good' : 'default' }
  return { color: severity ? COLOUR[severity] : 'default' }
}

function contentOf({ heading, lines, text }: Highlights): JsonObject[] {
  if (heading === '') return []
  const within = linesWithin(lines, LINES)
  const blocks = text === '' ? within.lines.map((line) => lineOf(line, Infinity)) : paragraphsOf(text)
  if (within.more > 0) blocks.push(richText([run(`and ${within.more} more`)]))
  return [{ ...richText([{ ...run(heading), weight: 'bolder' }]), separator: true, spacing: 'medium' }, ...blocks]
}

function paragraphsOf(text: string): JsonObject[] {
  const paragraphs = fit(text, TEXT.length).split('\n')
  const limited = paragraphs.length > TEXT.count ? [...paragraphs.slice(0, TEXT.count), '…'] : paragraphs
  return limited.filter((paragraph) => paragraph.trim() !== '').map((paragraph) => richText([run(paragraph)]))
}

function buttonsOf({ links }: Highlights): JsonObject[] {
  const actions = links
    .filter(({ href }) => href.length <= MAX_URL)
    .map(({ text, href }) => ({ type: 'Action.OpenUrl', title: text, url: href }))
  return actions.length === 0 ? [] : [{ type: 'ActionSet', actions }]
}

function factsOf({ facts }: Highlights): JsonObject[] {
  return facts.map(({ name, value }, index) => {
    const line = lineOf({ name, value }, name === 'Description' || name === 'Runbook' ? LONG_FACT : FACT, {
      isSubtle: true,
    })
    return index === 0 ? { ...line, separator: true, spacing: 'medium' } : line
  })
}

function lineOf({ name, value }: Line, length: number, style: JsonObject = {}): JsonObject {
  return richText([
    { ...run(`${name}: `), weight: 'bolder' },
    { ...run(fit(value, length)), ...style },
  ])
}

function richText(inlines: JsonObject[]): JsonObject {
  return { type: 'RichTextBlock', spacing: 'small', inlines }
}

function run(text: string): JsonObject {
  return { type: 'TextRun', text }
}
