/**
 * The format `teams`: an Adaptive Card in the message envelope that a Workflows webhook takes. Pure.
 *
 * Guarantee: untrusted text is only in TextRuns, which have no markup (TextBlock and FactSet render Markdown), and the
 * message is below Teams' limit of 28 KB for any alert.
 */
import type { JsonObject } from '../../platform/json.js'
import { headlineOf, highlightsOf, linesWithin, type Highlights, type Line } from '../highlights.js'
import type { FormatInput } from '../input.js'
import type { Severity } from '../severity.js'
import { fit } from '../text.js'

/**
 * Without control characters a character has at most three bytes; a line has some 200 bytes of JSON. In all at most
 * 1 KB of title, 4 KB of facts, 20 KB of lines or text, 2 KB of runbook, and 1 KB of link.
 */
const TITLE = 200
const FACT = 200
const LINES = { count: 25, length: 5000 }
const TEXT = { count: 25, length: 5000 }
const RUNBOOK = 300
/** A URL is ASCII. Longer ones are text without a link. */
const MAX_URL = 1000

/** Adaptive Cards has six named colours. */
const COLOUR: Readonly<Record<Severity, string>> = {
  info: 'default',
  notice: 'accent',
  low: 'good',
  medium: 'warning',
  high: 'attention',
  critical: 'attention',
}

export function teamsBody(input: FormatInput): JsonObject {
  const highlights = highlightsOf(input)
  const { link, runbook } = highlights
  const actions = [...actionOf('Open the finding', link), ...actionOf('Open the runbook', runbook?.href)]
  const card: JsonObject = {
    $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
    type: 'AdaptiveCard',
    version: '1.4',
    msteams: { width: 'Full' },
    body: [
      titleOf(highlights),
      ...highlights.facts.map(({ name, value }) => lineOf({ name, value: fit(value, FACT) })),
      ...(runbook ? [lineOf({ name: 'Runbook', value: fit(runbook.text, RUNBOOK) })] : []),
      ...contentOf(highlights),
    ],
    ...(actions.length === 0 ? {} : { actions }),
  }
  return {
    type: 'message',
    attachments: [{ contentType: 'application/vnd.microsoft.card.adaptive', contentUrl: null, content: card }],
  }
}

function actionOf(title: string, url: string | undefined): JsonObject[] {
  return url === undefined || url.length > MAX_URL ? [] : [{ type: 'Action.OpenUrl', title, url }]
}

function titleOf(highlights: Highlights): JsonObject {
  const { severity, isResolved } = highlights
  return richText([
    {
      ...run(fit(headlineOf(highlights), TITLE)),
      size: 'large',
      weight: 'bolder',
      color: isResolved ? 'good' : severity ? COLOUR[severity] : 'default',
    },
  ])
}

function contentOf({ heading, lines, text }: Highlights): JsonObject[] {
  const within = linesWithin(lines, LINES)
  const blocks = text === '' ? within.lines.map(lineOf) : paragraphsOf(text)
  if (blocks.length === 0) return []
  if (within.more > 0) blocks.push(richText([run(`and ${within.more} more`)]))
  return [{ ...richText([{ ...run(heading), weight: 'bolder' }]), separator: true }, ...blocks]
}

function paragraphsOf(text: string): JsonObject[] {
  const paragraphs = fit(text, TEXT.length).split('\n')
  const limited = paragraphs.length > TEXT.count ? [...paragraphs.slice(0, TEXT.count), '…'] : paragraphs
  return limited.filter((paragraph) => paragraph.trim() !== '').map((paragraph) => richText([run(paragraph)]))
}

function lineOf({ name, value }: Line): JsonObject {
  return richText([{ ...run(`${name}: `), weight: 'bolder' }, run(value)])
}

function richText(inlines: JsonObject[]): JsonObject {
  return { type: 'RichTextBlock', spacing: 'small', inlines }
}

function run(text: string): JsonObject {
  return { type: 'TextRun', text }
}
