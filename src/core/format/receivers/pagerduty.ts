/**
 * The format `pagerduty`: Events API v2. Pure.
 *
 * Guarantee: all events of one alert have the same dedup_key, so they are one alert in PagerDuty, which alert.quiet and
 * alert.resolved resolve. Lengths are within the limits of "Send an Alert Event" in PagerDuty's documentation; an event has fewer than
 * 512 KB.
 */
import { createHash } from 'node:crypto'
import { DEAD_NOTICE_TYPE, TEST_EVENT_TYPE } from '../../event/event.js'
import { emptyObject, type JsonObject } from '../../platform/json.js'
import { alertOf, headlineOf, highlightsOf, isResolved, typeOf, type Highlights } from '../highlights.js'
import type { FormatInput } from '../input.js'
import type { Severity } from '../severity.js'
import { sourceTitleOf } from '../source-title.js'
import { fit } from '../text.js'
import { linesWithin } from '../value-lines.js'

const SUMMARY = 1024
const SOURCE = 255
const CLIENT = 'alert-relay'
const DEDUP_KEY = 255
/** With three bytes a character and forty bytes of JSON a line at most 410 KB, which leaves room for the rest. */
const LINES = { count: 1000, length: 120_000, valueLength: 2000 }
const TEXT = 120_000

const SEVERITY: Readonly<Record<Severity, string>> = {
  info: 'info',
  notice: 'info',
  low: 'warning',
  medium: 'warning',
  high: 'error',
  critical: 'critical',
}
/** For an event without a known severity: visible, but not urgent. */
const UNKNOWN_SEVERITY = 'warning'

/** A resolve for an alert that is over or went quiet, or a webhook that recovered; a trigger for any other event. */
export function pagerdutyBody(input: FormatInput): JsonObject {
  const type = typeOf(input)
  const key = { routing_key: input.options.routing_key ?? '', dedup_key: dedupKeyOf(input) }
  const resolves = isResolved(input.body) || type === 'alert.quiet' || type === 'webhook.recovered'
  return resolves ? { ...key, event_action: 'resolve' } : { ...key, event_action: 'trigger', ...triggerOf(input) }
}

function triggerOf(input: FormatInput): JsonObject {
  const { event } = input
  const highlights = highlightsOf(input)
  const { severity, links } = highlights
  return {
    ...clientOf(input, highlights),
    payload: {
      summary: fit(headlineOf(highlights), SUMMARY),
      source: fit(placeOf(highlights), SOURCE) || event.topicArn || CLIENT,
      severity: severity ? SEVERITY[severity] : UNKNOWN_SEVERITY,
      timestamp: event.sentAt.toISOString(),
      class: typeOf(input),
      custom_details: detailsOf(highlights),
    },
    ...(links.length === 0 ? {} : { links: links.map(({ text, href }) => ({ href, text })) }),
  }
}

/** Where it happened: the source, the account and the Region, as far as they are known. */
function placeOf({ about }: Highlights): string {
  const place = about.filter(({ name }) => name === 'Account' || name === 'Region')
  const source = about.filter(({ name }) => name === 'Source')
  return place.length === 0 ? '' : [...source, ...place].map(({ value }) => value).join(', ')
}

/** PagerDuty shows the client as a link, "View in GuardDuty", to its page about the finding. */
function clientOf({ event }: FormatInput, { page }: Highlights): JsonObject {
  return page === undefined || event.source === null
    ? { client: CLIENT }
    : { client: sourceTitleOf(event.source), client_url: page }
}

/** In the order of the highlights: PagerDuty shows both the facts and the lines as tables. */
function detailsOf({ about, heading, lines, text, facts }: Highlights): JsonObject {
  const details: JsonObject = Object.fromEntries(about.map(({ name, value }) => [name, value]))
  const within = linesWithin(lines, LINES)
  const table = emptyObject()
  for (const { name, value } of within.lines) table[name] = value
  if (within.lines.length > 0) details[heading] = table
  else if (heading !== '') details[text === '' ? 'News' : heading] = text === '' ? heading : fit(text, TEXT)
  if (within.more > 0) details['Left out'] = within.more
  for (const { name, value, time } of facts) details[name] = time?.toISOString() ?? value
  return details
}

/**
 * The alert's id; for a notice the webhook's, for a test or a notification the event's. A long id is hashed. Dead deliveries have
 * a key of their own, since they are not mended when the webhook recovers, which resolves the other.
 */
function dedupKeyOf({ event, body }: FormatInput): string {
  const alertId = event.type === TEST_EVENT_TYPE ? undefined : alertOf(body)?.id
  const webhookId = event.type === DEAD_NOTICE_TYPE ? `${event.webhookId}:dead` : event.webhookId
  const id = alertId ?? webhookId ?? event.id
  return id.length <= DEDUP_KEY ? id.toWellFormed() : createHash('sha256').update(id).digest('hex')
}
