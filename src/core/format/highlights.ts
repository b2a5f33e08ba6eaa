/**
 * What a person is shown of an event, in any chat or ticket. Pure.
 *
 * Promise: every text in it is clean (see text.ts) and none is escaped: each format escapes for its own receiver. An
 * event of any type has a title and facts.
 */
import { flattenContext } from '../alert/context.js'
import { integerOf, isJsonObject, stringifyJson, type Json, type JsonObject } from '../platform/json.js'
import type { FormatInput } from './input.js'
import { severityOf, type Severity } from './severity.js'
import { fit, linkOf, manyLines, oneLine, type Escape } from './text.js'

/** A name and a value, each on one line. */
export interface Line {
  name: string
  value: string
}

export interface Highlights {
  /** What happened, in our words: "New alert". */
  label: string
  /** What it happened to, in theirs; never empty. */
  title: string
  severity: Severity | undefined
  /** A handful; the names are ours. */
  facts: Line[]
  /** What `lines` and `text` are, in our words. */
  heading: string
  /** What is new in an alert, or what a notification holds: a path and its values. As many as there are. */
  lines: Line[]
  /** A notification's text, of any length; empty for what is made of lines. */
  text: string
  /** What to do about it; the link only where it is one. */
  runbook: { text: string; href: string | undefined } | undefined
}

const LABELS: ReadonlyMap<string, string> = new Map([
  ['alert.created', 'New alert'],
  ['alert.updated', 'Alert updated'],
  ['alert.quiet', 'Alert quiet'],
  ['sns.notification', 'Notification'],
  ['webhook.failing', 'Webhook failing'],
  ['webhook.recovered', 'Webhook recovered'],
  ['webhook.disabled', 'Webhook disabled'],
  ['webhook.test', 'Test'],
])

/** Characters kept of one value, of one title and of all values of one path. */
const MAX_FACT = 250
const MAX_TITLE = 2000
const MAX_VALUE = 2000

/** What happened: the event's type, or that of the changes folded into this delivery. */
export function typeOf({ event, body: { relay } }: Source): string {
  return isJsonObject(relay) && typeof relay.type === 'string' ? relay.type : event.type
}

/** The alert that an event is about; undefined for what is about none. */
export function alertOf(body: JsonObject): (JsonObject & { id: string }) | undefined {
  const { updated_alert: alert } = body
  return isJsonObject(alert) && typeof alert.id === 'string' ? (alert as JsonObject & { id: string }) : undefined
}

export function highlightsOf(input: FormatInput): Highlights {
  const type = typeOf(input)
  const alert = alertOf(input.body)
  return { label: LABELS.get(type) ?? type, ...(alert ? ofAlert(alert, input) : ofNotice(input)) }
}

/** The label and the title. */
export function headlineOf({ label, title }: Highlights): string {
  return `${label}: ${title}`
}

/**
 * As many lines as fit, each cut where it is long, and how many were left out.
 * @param room.count lines at most
 * @param room.length characters in all, of the escaped texts and the ": " and line break of each
 */
export function linesWithin(
  lines: readonly Line[],
  room: { count: number; length: number; nameLength?: number; valueLength?: number },
  escape?: Escape,
): { lines: Line[]; more: number } {
  const { count, length, nameLength = 100, valueLength = 300 } = room
  const kept: Line[] = []
  let left = length
  for (const line of lines) {
    const name = fit(line.name, nameLength, escape)
    const value = fit(line.value, valueLength, escape)
    left -= name.length + value.length + 3
    if (kept.length === count || left < 0) break
    kept.push({ name, value })
  }
  return { lines: kept, more: lines.length - kept.length }
}

type Unlabelled = Omit<Highlights, 'label'>
type Source = Pick<FormatInput, 'event' | 'body'>

function ofAlert(alert: JsonObject & { id: string }, { event, body }: Source): Unlabelled {
  const severity = textOf(alert.severity)
  const runbook = textOf(alert.runbook)
  const { context_diff: diff, relay } = body
  const previous = isJsonObject(relay) ? textOf(relay.previous_severity) : ''
  return {
    title: fit(textOf(alert.title), MAX_TITLE) || 'without a title',
    severity: severityOf(severity),
    facts: factsOf([
      ['Severity', previous === '' ? severity : `${severity} (was ${previous})`],
      ['Matches', countOf(alert.match_count)],
      ['Updates', countOf(alert.update_count)],
      ['Tables', Array.isArray(alert.tables) ? alert.tables.map(display).join(', ') : ''],
      ['Alert', alert.id],
      ['Event', event.id],
    ]),
    heading: 'New in this alert',
    lines: isJsonObject(diff) ? linesOf(diff) : [],
    text: '',
    runbook: runbook === '' ? undefined : { text: fit(runbook, MAX_VALUE), href: linkOf(runbook) },
  }
}

/** Any other SNS message, or a notice of the relay itself about a webhook. */
function ofNotice({ event, body }: Source): Unlabelled {
  const { relay: _relay, message, subject, webhook, ...others } = body
  const content = message ?? webhook ?? others
  const text = isJsonObject(content) ? '' : manyLines(display(content))
  const title = textOf(subject) || event.webhookId || oneLine(text.split('\n', 1)[0]!)
  return {
    title: fit(title, MAX_TITLE) || 'without a subject',
    severity: undefined,
    facts: factsOf([
      ['Topic', event.topicArn ?? ''],
      ['Event', event.id],
    ]),
    heading: 'Message',
    lines: isJsonObject(content) ? linesOf(content) : [],
    text,
    runbook: undefined,
  }
}

function factsOf(facts: [name: string, value: string][]): Line[] {
  return facts
    .map(([name, value]) => ({ name, value: fit(oneLine(value), MAX_FACT) }))
    .filter(({ value }) => value !== '')
}

/** One line a path, its values joined. */
function linesOf(context: JsonObject): Line[] {
  const byPath = new Map<string, string>()
  for (const { path, value } of flattenContext(context)) {
    const name = shown(path.join('.'))
    const before = byPath.get(name)
    if (before === undefined) byPath.set(name, shown(display(value)))
    else if (before.length <= MAX_VALUE) byPath.set(name, `${before}, ${shown(display(value))}`)
  }
  return [...byPath].map(([name, value]) => ({ name, value: fit(value, MAX_VALUE) }))
}

/** On one line, and never nothing: receivers refuse an empty text. */
function shown(text: string): string {
  return oneLine(text) || '""'
}

function display(value: Json): string {
  return typeof value === 'string' ? value : stringifyJson(value)
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? oneLine(value) : ''
}

function countOf(value: Json | undefined): string {
  return String(integerOf(value) ?? '')
}
