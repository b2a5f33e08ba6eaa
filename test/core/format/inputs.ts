/** Events and bodies for the tests of the formats. */
import { flattenContext } from '../../../src/core/alert/context.js'
import { SAMPLE_CHANGE } from '../../../src/core/event/sample.js'
import { NO_FINDING, type StoredEvent } from '../../../src/core/event/event.js'
import { readParts } from '../../../src/core/event/message-parts.js'
import { stringifyJson, type JsonObject } from '../../../src/core/platform/json.js'
import { formatEvent } from '../../../src/core/format/body.js'
import type { FormatInput } from '../../../src/core/format/input.js'
import type { FormatOptions } from '../../../src/core/format/options.js'
import { fixture, NO_OPTIONS } from '../source/shown.js'

export const TOPIC = 'arn:aws:sns:us-east-1:123456789012:alerts'
export const ROUTING_KEY = 'R0123456789abcdefR0123456789abcd'
export const ALERT_ID = SAMPLE_CHANGE.updated_alert.id
export const EVENT_ID = 'evt_0192f3c8a7e07c1f8f0a5d2b9c3e4f10'
export const OPTIONS: FormatOptions = { routing_key: ROUTING_KEY, project_key: 'SEC' }

export function storedEvent(values: Partial<Omit<StoredEvent, 'type'>> & { type?: string } = {}): StoredEvent {
  return {
    id: EVENT_ID,
    type: 'alert.created',
    messageId: 'm-1',
    topicArn: TOPIC,
    alertId: ALERT_ID,
    sequence: 1n,
    severity: 'medium',
    previousSeverity: null,
    title: null,
    subject: null,
    webhookId: null,
    traceparent: null,
    matchCount: 2n,
    updateCount: 1n,
    heldBytes: 0,
    ...NO_FINDING,
    payload: JSON.stringify(SAMPLE_CHANGE),
    sentAt: new Date('2026-01-02T03:04:05.678Z'),
    receivedAt: new Date('2026-01-02T03:04:06.000Z'),
    dispatchedAt: null,
    ...values,
  } as StoredEvent
}

/** The input for the first change of an alert. */
export function alertInput(
  alert: Record<string, unknown> = {},
  context: JsonObject = SAMPLE_CHANGE.incoming_rule_matches_context,
  fields: Parameters<typeof storedEvent>[0] = {},
): FormatInput {
  const change = { updated_alert: { ...SAMPLE_CHANGE.updated_alert, ...alert }, incoming_rule_matches_context: context }
  const event = storedEvent({ payload: JSON.stringify(change), ...fields })
  const values = flattenContext(context)
  const diff = event.type === 'alert.quiet' ? [] : values
  return inputOf(event, formatEvent(event, { accumulated: values, diff }).body)
}

/** The input for a source's finding. */
export function findingInput(
  fields: { type: string; state: 'active' | 'resolved' },
  alert: Record<string, unknown> = {},
  context: JsonObject = { source: { ip: ['198.51.100.7'] } },
  others: Parameters<typeof storedEvent>[0] = {},
): FormatInput {
  const own = { id: 'arn:aws:f', title: 'A finding', severity: 'high', url: 'https://console.example/f', ...alert }
  const change = JSON.stringify({ updated_alert: own, incoming_rule_matches_context: context })
  const shown = { severity: own.severity, title: own.title, alertId: own.id }
  const event = storedEvent({
    ...shown,
    source: 'guardduty',
    payload: '{"detail":{}}',
    change,
    matchCount: null,
    ...fields,
    ...others,
  })
  const values = flattenContext(context)
  return inputOf(event, formatEvent(event, { accumulated: values, diff: values }).body)
}

/** The input for a finding whose every text is this one, with a hundred new values of it. */
export function largestInput(text: string): FormatInput {
  const long = text.repeat(10_000).slice(0, 10_000)
  const texts = [
    'title',
    'severity',
    'state_reason',
    'account',
    'region',
    'description',
    'runbook',
    'creation_time',
    'update_time',
  ]
  const alert = Object.fromEntries(texts.map((name) => [name, long]))
  const counts = { match_count: 1e15, update_count: 1e15, tables: [long], id: long.slice(0, 200) }
  const values = Array.from({ length: 100 }, (_, i) => [`${long.slice(0, 200)}${i}`, [long]])
  return findingInput({ type: 'alert.updated', state: 'active' }, { ...alert, ...counts }, Object.fromEntries(values))
}

/** The input for the first change that a fixture of test/core/source is. */
export async function fixtureInput(name: string): Promise<FormatInput> {
  const message = stringifyJson(await fixture(name))
  const sentAt = new Date('2026-01-15T12:00:00Z')
  const incoming = { messageId: 'm-1', topicArn: TOPIC, subject: undefined, message, sentAt }
  const [{ payload, change, source = 'matano' }] = readParts(incoming, NO_OPTIONS, sentAt).parts
  if (!change?.finding) throw new Error(`${name} is no finding`)
  const { alertId, title, severity, matchCount, finding } = change
  const shown = { alertId, title, severity, state: finding.state ?? ('active' as const), sentAt }
  const event = storedEvent({ ...shown, source, payload, change: finding.document, matchCount: matchCount ?? null })
  const values = [...change.values.values()]
  return inputOf(event, formatEvent(event, { accumulated: values, diff: values }).body)
}

/** The input for any other SNS message. */
export function notificationInput(
  message: unknown,
  subject: string | null = null,
  others: Parameters<typeof storedEvent>[0] = {},
): FormatInput {
  const payload = JSON.stringify(message)
  const event = storedEvent({
    type: 'sns.notification',
    payload,
    subject,
    alertId: null,
    sequence: null,
    severity: null,
    ...others,
  })
  return inputOf(event, formatEvent(event, undefined).body)
}

/** The input for a notice about another webhook. */
export function noticeInput(type: string, webhook: Record<string, unknown>): FormatInput {
  const payload = JSON.stringify(webhook)
  const event = storedEvent({ type, payload, webhookId: 'wh_1', topicArn: null, messageId: null, alertId: null })
  return inputOf(event, formatEvent(event, undefined).body)
}

function inputOf(event: StoredEvent, body: JsonObject): FormatInput {
  return { event, body, options: OPTIONS }
}
