/**
 * What the format `jira` says of an event, in the Atlassian Document Format. Pure.
 *
 * Guarantee: untrusted text is in text nodes, which have no markup, and a document is below Jira's limit of 32,767
 * characters.
 */
import type { JsonObject } from '../../platform/json.js'
import type { Fact, Highlights } from '../highlights.js'
import type { Severity, Shown } from '../severity.js'
import { fit } from '../text.js'
import { linesWithin, type Line } from '../value-lines.js'

/** A node has some 120 characters besides its text. */
const LINES = { count: 60, length: 7000 }
const TEXT = 14_000

/** The colour of the panel that says severity and state: red, yellow, blue, green, and purple. */
const PANEL: Readonly<Record<Severity, string>> = {
  info: 'info',
  notice: 'info',
  low: 'info',
  medium: 'warning',
  high: 'error',
  critical: 'error',
}

export function documentOf(highlights: Highlights): JsonObject {
  return {
    type: 'doc',
    version: 1,
    content: [
      ...aboutOf(highlights),
      ...contentOf(highlights),
      ...linksOf(highlights),
      bulletList(highlights.facts.map((fact) => lineOf({ name: fact.name, value: valueOf(fact) }))),
    ],
  }
}

/** A document that begins with the headline, for a comment. */
export function commentOf(headline: string, highlights: Highlights): JsonObject {
  const document = documentOf(highlights)
  return { ...document, content: [paragraph([strong(headline)]), ...(document.content as JsonObject[])] }
}

function aboutOf({ about, ...shown }: Highlights): JsonObject[] {
  if (about.length === 0) return []
  const lines = about.map((line) => paragraph(lineOf(line)))
  return [{ type: 'panel', attrs: { panelType: panelOf(shown) }, content: lines }]
}

function panelOf({ severity, over }: Shown): string {
  if (over !== undefined) return over === 'resolved' ? 'success' : 'note'
  return severity ? PANEL[severity] : 'info'
}

function contentOf({ heading, lines, text }: Highlights): JsonObject[] {
  if (heading === '') return []
  const within = linesWithin(lines, LINES)
  const items = within.lines.map(lineOf)
  if (within.more > 0) items.push([textNode(`and ${within.more} more`)])
  const title = paragraph([strong(heading)])
  if (text !== '') return [title, { type: 'codeBlock', content: [textNode(fit(text, TEXT))] }]
  return items.length === 0 ? [title] : [title, bulletList(items)]
}

function linksOf({ links }: Highlights): JsonObject[] {
  return links.map(({ text, href }) => paragraph([textNode(text, [{ type: 'link', attrs: { href } }])]))
}

function valueOf({ value, time }: Fact): string {
  return time?.toISOString() ?? value
}

function lineOf({ name, value }: Line): JsonObject[] {
  return [strong(`${name}: `), textNode(value)]
}

function bulletList(items: JsonObject[][]): JsonObject {
  return { type: 'bulletList', content: items.map((item) => ({ type: 'listItem', content: [paragraph(item)] })) }
}

function paragraph(content: JsonObject[]): JsonObject {
  return { type: 'paragraph', content }
}

function textNode(text: string, marks: JsonObject[] = []): JsonObject {
  return { type: 'text', text, ...(marks.length > 0 ? { marks } : {}) }
}

function strong(text: string): JsonObject {
  return textNode(text, [{ type: 'strong' }])
}
