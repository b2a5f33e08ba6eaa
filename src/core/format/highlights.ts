/**
 * The summary of an event for people, common to the formats for chats and tickets. Pure.
 *
 * Guarantee: every text is clean (see text.ts) and not escaped: each format escapes for its own receiver. An event of any
 * type has a title and facts. Formats show the members in their order here, so that a cut message has lost the least.
 */
import { flattenContext } from '../alert/context.js'
import { integerOf, isJsonObject, type Json, type JsonObject } from '../platform/json.js'
import { timeOf } from '../source/time.js'
import type { FormatInput } from './input.js'
import { severityOf, type Shown } from './severity.js'
import { sourceTitleOf } from './source-title.js'
import { fit, linkOf, manyLines, oneLine, timeText } from './text.js'
import { display, linesOf, MAX_VALUE, newLinesOf, type Line } from './value-lines.js'

/** A line whose value is a time also has it as such, for receivers that show it in their reader's time zone. */
export interface Fact extends Line {
  time?: Date
}

/** A page; `text` is a button's, and has nothing of the message in it. */
export interface Link {
  text: string
  href: string
}

export interface Highlights extends Shown {
  /** The kind of event, such as "New alert". */
  label: string
  /** The alert's or message's own title; never empty. */
  title: string
  /** Severity, state, source, account and Region, as far as they are known. */
  about: Line[]
  /** The heading of `lines` and `text`; it may stand alone, and is empty where there is nothing to say. */
  heading: string
  /** The new values of an alert, or the values of a notification: one line a field, without a limit. */
  lines: Line[]
  /** A notification's text, of any length; empty where there are lines. */
  text: string
  /** The pages about a finding at its producer, and the runbook. */
  links: Link[]
  /** The page about a finding at its producer. */
  page: string | undefined
  /** `href` where its text is a link. */
  runbook: { text: string; href: string | undefined } | undefined
  /** What else is known, with fixed names. */
  facts: Fact[]
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

/** Characters of a fact, of a longer one, and of a title. */
const MAX_FACT = 250
const MAX_LONG_FACT = 1000
const MAX_TITLE = 2000

/** The type in the body, which may differ from the event's when changes are coalesced. */
export function typeOf({ event, body: { relay } }: Source): string {
  return isJsonObject(relay) && typeof relay.type === 'string' ? relay.type : event.type
}

/** True when the producer of the alert in a body says that it is over. */
export function isResolved({ relay }: JsonObject): boolean {
  return isJsonObject(relay) && relay.state === 'resolved'
}

/** The alert in a body; undefined for an event without one. */
export function alertOf(body: JsonObject): Alert | undefined {
  const { updated_alert: alert } = body
  return isJsonObject(alert) && typeof alert.id === 'string' ? (alert as Alert) : undefined
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

type Alert = JsonObject & { id: string }
type Unlabelled = Omit<Highlights, 'label'>
type Source = Pick<FormatInput, 'event' | 'body'>

function ofAlert(alert: Alert, { event, body }: Source): Unlabelled {
  const { context_diff: diff } = body
  const type = typeOf({ event, body })
  const relay = isJsonObject(body.relay) ? body.relay : {}
  const severity = textOf(alert.severity)
  const previous = textOf(relay.previous_severity)
  const title = fit(textOf(alert.title), MAX_TITLE) || 'without a title'
  const accounts = textsOf(alert.account, alert, 'account', 'id')
  const regions = textsOf(alert.region, alert, 'region')
  const source = event.source === null ? '' : sourceTitleOf(event.source)
  const known = [title, event.source ?? '', source, ...accounts, ...regions]
  const lines = isJsonObject(diff) ? newLinesOf(diff, known) : []
  const page = event.source === null || event.source === 'matano' ? undefined : linkOf(textOf(alert.url))
  const runbook = textOf(alert.runbook)
  const href = linkOf(runbook)
  return {
    title,
    severity: severityOf(severity),
    over: isResolved(body) ? 'resolved' : type === 'alert.quiet' ? 'quiet' : undefined,
    about: factsOf([
      ['Severity', previous === '' ? severity : `${severity} (was ${previous})`],
      ['State', stateText(type, textOf(relay.state), textOf(alert.state_reason))],
      ['Source', source],
      ['Account', accounts.join(', ')],
      ['Region', regions.join(', ')],
    ]),
    heading: lines.length > 0 ? 'New in this alert' : withoutNews(type, relay),
    lines,
    text: '',
    links: [
      ...(page === undefined ? [] : [{ text: `Open in ${source}`, href: page }]),
      ...(href === undefined ? [] : [{ text: 'Open the runbook', href }]),
    ],
    page,
    runbook: runbook === '' ? undefined : { text: fit(runbook, MAX_VALUE), href },
    facts: factsOf([
      ['Description', textOf(alert.description)],
      ['Runbook', href === undefined ? runbook : ''],
      ['Matches', countOf(alert.match_count)],
      ['Updates', countOf(alert.update_count)],
      ['Changes in this message', countOf(relay.changes)],
      ['First seen', timeOf(alert.creation_time) ?? textOf(alert.creation_time)],
      ['Updated', timeOf(alert.update_time) ?? event.sentAt],
      ['Tables', Array.isArray(alert.tables) ? alert.tables.map(display).join(', ') : ''],
      ['Alert', alert.id],
      ['Event', event.id],
    ]),
  }
}

/** Any other SNS message, or a notice about a webhook. */
function ofNotice({ event, body }: Source): Unlabelled {
  const { relay, message, subject, webhook, deliveries, ...others } = body
  const content = message ?? (isJsonObject(webhook) ? { ...deadOf(deliveries), ...webhook } : others)
  const text = isJsonObject(content) ? '' : manyLines(display(content))
  const lines = isJsonObject(content) ? linesOf(content) : []
  const name = isJsonObject(webhook) ? textOf(webhook.name) : ''
  const title = textOf(subject) || name || event.webhookId || titleIn(content) || oneLine(text.split('\n', 1)[0]!)
  return {
    title: fit(title, MAX_TITLE) || 'without a subject',
    severity: undefined,
    over: undefined,
    about: [],
    heading: lines.length > 0 || text !== '' ? 'Message' : '',
    lines,
    text,
    links: [],
    page: undefined,
    runbook: undefined,
    facts: factsOf([
      ['Unread', isJsonObject(relay) ? textOf(relay.unread) : ''],
      ['Topic', event.topicArn ?? ''],
      ['Sent', event.sentAt],
      ['Event', event.id],
    ]),
  }
}

/** A word for the state that says what this change did to it. */
function stateText(type: string, state: string, reason: string): string {
  if (type === 'alert.quiet') return 'quiet'
  const word = type === 'alert.reopened' ? 'reopened' : state
  return word === '' || reason === '' || reason === state ? word : `${word} (${reason})`
}

/** What stands for new values where there are none: how many a cut body leaves out, or that an update brought none. */
function withoutNews(type: string, { new_values: count }: JsonObject): string {
  const left = integerOf(count) ?? 0n
  if (left > 0n) return `${left} new in this alert, too many to show`
  return type === 'alert.updated' ? 'Nothing new in this alert' : ''
}

/** A finding's own text; Matano's alerts have these in their context, under `cloud`. */
function textsOf(own: Json | undefined, { context }: Alert, ...path: string[]): string[] {
  if (textOf(own) !== '') return [textOf(own)]
  const cloud = isJsonObject(context) ? context.cloud : undefined
  const values = isJsonObject(cloud) ? flattenContext(cloud) : []
  return values.filter((one) => one.path.join('.') === path.join('.')).map(({ value }) => textOf(value))
}

/** Members that producers of notifications title them by, the best first. */
const TITLE_KEYS = [
  ...['AlarmName', 'title', 'Title', 'summary', 'Summary', 'subject', 'Subject', 'detail-type', 'eventName'],
  ...['Event', 'event', 'name', 'Name', 'message', 'Message', 'description', 'Description', 'text'],
]

/** The best title in a notification without a subject, such as EventBridge's detail-type or the event of a record. */
function titleIn(content: Json): string {
  const object = Array.isArray(content) ? content[0] : content
  if (!isJsonObject(object)) return ''
  const own = TITLE_KEYS.map((key) => textOf(object[key])).find((text) => text !== '')
  const from = textOf(object.source) || textOf(object.eventSource)
  if (own !== undefined) return from === '' ? own : `${own} (${from})`
  return Array.isArray(object.Records) ? titleIn(object.Records.slice(0, 1)) : ''
}

/** Dead deliveries for people: how many, and of each that is named what its last attempt failed with. */
function deadOf(deliveries: Json | undefined): JsonObject {
  if (!isJsonObject(deliveries) || !Array.isArray(deliveries.first)) return {}
  const named = deliveries.first.filter(isJsonObject).map((one): [string, Json] => {
    return [textOf(one.delivery_id), textOf(one.last_failure) || textOf(one.reason)]
  })
  return { dead_deliveries: deliveries.count ?? null, ...Object.fromEntries(named) }
}

function factsOf(facts: [name: string, value: string | Date][]): Fact[] {
  return facts
    .map(([name, value]) => {
      if (value instanceof Date) return { name, value: timeText(value), time: value }
      return { name, value: fit(oneLine(value), LONG_FACTS.has(name) ? MAX_LONG_FACT : MAX_FACT) }
    })
    .filter(({ value }) => value !== '')
}

const LONG_FACTS: ReadonlySet<string> = new Set(['Description', 'Runbook'])

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? oneLine(value) : ''
}

function countOf(value: Json | undefined): string {
  return String(integerOf(value) ?? '')
}
