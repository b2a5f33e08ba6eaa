/**
 * The summary of an event for people, common to the formats for chats and tickets. Pure.
 *
 * Guarantee: every text is clean (see text.ts) and not escaped: each format escapes for its own receiver. An event of any
 * type has a title and facts.
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
  /** The kind of event, such as "New alert". */
  label: string
  /** The alert's or message's own title; never empty. */
  title: string
  severity: Severity | undefined
  /** True when the alert's producer says that it is over. */
  isResolved: boolean
  /** A page about a finding at its producer. */
  link: string | undefined
  /** A few facts, with fixed names. */
  facts: Line[]
  /** The heading of `lines` and `text`. */
  heading: string
  /** The new values of an alert, or the values of a notification: one line a path, without a limit. */
  lines: Line[]
  /** A notification's text, of any length; empty where there are lines. */
  text: string
  /** The runbook; `href` where its text is a link. */
  runbook: { text: string; href: string | undefined } | undefined
}

const LABELS: ReadonlyMap<string, string> = new Map([
  ['alert.created', 'New alert'],
  ['alert.updated', 'Alert updated'],
  ['alert.resolved', 'Alert resolved'],
  ['alert.reopened', 'Alert reopened'],
  ['alert.quiet', 'Alert quiet'],
  ['sns.notification', 'Notification'],
  ['webhook.failing', 'Webhook failing'],
  ['webhook.recovered', 'Webhook recovered'],
  ['webhook.disabled', 'Webhook disabled'],
  ['delivery.dead', 'Dead deliveries'],
  ['webhook.test', 'Test'],
])

/** Characters of a fact, of a title, and of all values of one path. */
const MAX_FACT = 250
const MAX_TITLE = 2000
const MAX_VALUE = 2000

/** The type in the body, which may differ from the event's when changes are coalesced. */
export function typeOf({ event, body: { relay } }: Source): string {
  return isJsonObject(relay) && typeof relay.type === 'string' ? relay.type : event.type
}

/** True when the producer of the alert in a body says that it is over. */
export function isResolved({ relay }: JsonObject): boolean {
  return isJsonObject(relay) && relay.state === 'resolved'
}

/** The alert in a body; undefined for an event without one. */
export function alertOf(body: JsonObject): (JsonObject & { id: string }) | undefined {
  const { updated_alert: alert } = body
  return isJsonObject(alert) && typeof alert.id === 'string' ? (alert as JsonObject & { id: string }) : undefined
}

export function highlightsOf(input: FormatInput): Highlights {
  const type = typeOf(input)
  const alert = alertOf(input.body)
  const label = type === 'alert.updated' && isResolved(input.body) ? 'Resolved alert updated' : LABELS.get(type)
  return { label: label ?? type, ...(alert ? ofAlert(alert, input) : ofNotice(input)) }
}

/** The label and the title, as one text. */
export function headlineOf({ label, title }: Highlights): string {
  return `${label}: ${title}`
}

/**
 * The lines that fit into the limits, with long ones cut, and the number of lines left out.
 * @param limits.count lines
 * @param limits.length characters in all, of the escaped texts and the ": " and line break of each line
 */
export function linesWithin(
  lines: readonly Line[],
  limits: { count: number; length: number; nameLength?: number; valueLength?: number },
  escape?: Escape,
): { lines: Line[]; more: number } {
  const { count, length, nameLength = 100, valueLength = 300 } = limits
  const fitting: Line[] = []
  let remaining = length
  for (const line of lines) {
    const name = fit(line.name, nameLength, escape)
    const value = fit(line.value, valueLength, escape)
    remaining -= name.length + value.length + 3
    if (fitting.length === count || remaining < 0) break
    fitting.push({ name, value })
  }
  return { lines: fitting, more: lines.length - fitting.length }
}

type Unlabelled = Omit<Highlights, 'label'>
type Source = Pick<FormatInput, 'event' | 'body'>

function ofAlert(alert: JsonObject & { id: string }, { event, body }: Source): Unlabelled {
  const severity = textOf(alert.severity)
  const runbook = textOf(alert.runbook)
  const { context_diff: diff, relay } = body
  const previous = isJsonObject(relay) ? textOf(relay.previous_severity) : ''
  const state = isJsonObject(relay) ? textOf(relay.state) : ''
  const reason = textOf(alert.state_reason)
  const isFinding = event.source !== null && event.source !== 'matano'
  const place = isFinding ? [textOf(alert.account), textOf(alert.region)].filter((text) => text !== '') : []
  return {
    title: fit(textOf(alert.title), MAX_TITLE) || 'without a title',
    severity: severityOf(severity),
    isResolved: isResolved(body),
    link: isFinding ? linkOf(textOf(alert.url)) : undefined,
    facts: factsOf([
      ['Severity', previous === '' ? severity : `${severity} (was ${previous})`],
      ['State', state === '' || reason === '' || reason === state ? state : `${state} (${reason})`],
      ['Matches', countOf(alert.match_count)],
      ['Updates', countOf(alert.update_count)],
      ['Tables', Array.isArray(alert.tables) ? alert.tables.map(display).join(', ') : ''],
      ['Source', isFinding ? event.source! : ''],
      ['Account', place.join(', ')],
      ['Alert', alert.id],
      ['Event', event.id],
    ]),
    heading: 'New in this alert',
    lines: isJsonObject(diff) ? linesOf(diff) : [],
    text: '',
    runbook: runbook === '' ? undefined : { text: fit(runbook, MAX_VALUE), href: linkOf(runbook) },
  }
}

/** Any other SNS message, or a notice about a webhook. */
function ofNotice({ event, body }: Source): Unlabelled {
  const { relay, message, subject, webhook, deliveries, ...others } = body
  const content = message ?? (isJsonObject(webhook) ? { ...deadOf(deliveries), ...webhook } : others)
  const text = isJsonObject(content) ? '' : manyLines(display(content))
  const name = isJsonObject(webhook) ? textOf(webhook.name) : ''
  const title = textOf(subject) || name || event.webhookId || oneLine(text.split('\n', 1)[0]!)
  return {
    title: fit(title, MAX_TITLE) || 'without a subject',
    severity: undefined,
    isResolved: false,
    link: undefined,
    facts: factsOf([
      ['Unread', isJsonObject(relay) ? textOf(relay.unread) : ''],
      ['Topic', event.topicArn ?? ''],
      ['Event', event.id],
    ]),
    heading: 'Message',
    lines: isJsonObject(content) ? linesOf(content) : [],
    text,
    runbook: undefined,
  }
}

/** Dead deliveries for people: how many, and of each that is named what its last attempt failed with. */
function deadOf(deliveries: Json | undefined): JsonObject {
  if (!isJsonObject(deliveries) || !Array.isArray(deliveries.first)) return {}
  const named = deliveries.first.filter(isJsonObject).map((one): [string, Json] => {
    return [textOf(one.delivery_id), textOf(one.last_failure) || textOf(one.reason)]
  })
  return { dead_deliveries: deliveries.count ?? null, ...Object.fromEntries(named) }
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
    const name = textLine(path.join('.'))
    const before = byPath.get(name)
    if (before === undefined) byPath.set(name, textLine(display(value)))
    else if (before.length <= MAX_VALUE) byPath.set(name, `${before}, ${textLine(display(value))}`)
  }
  return [...byPath].map(([name, value]) => ({ name, value: fit(value, MAX_VALUE) }))
}

/** A text on one line, never empty: receivers refuse empty texts. */
function textLine(text: string): string {
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
