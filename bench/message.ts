/** The messages that are published: alert changes of the size and shape of the sample change. */
import { SAMPLE_CHANGE } from '../src/core/event/sample.js'

/**
 * The text of one change. Changes are spread over `alerts` alerts in turn; each has one new value, and others that its
 * alert has since its first change.
 */
export function changeText(index: number, alerts: number): string {
  return JSON.stringify(changeOf(index, alerts))
}

function changeOf(index: number, alerts: number) {
  const context = { ...SAMPLE_CHANGE.updated_alert.context, source: { ip: [addressOf(index)] } }
  return {
    ...SAMPLE_CHANGE,
    updated_alert: { ...SAMPLE_CHANGE.updated_alert, id: `alert-${index % alerts}`, context },
    incoming_rule_matches_context: { ...SAMPLE_CHANGE.incoming_rule_matches_context, source: context.source },
    context_diff: { source: context.source },
  }
}

/** The size of a message that carries a mark, in bytes: that of an alert change with its SNS envelope. */
const MARKED_BYTES = 2500
/** The alerts that marked messages are spread over. */
const MARKED_ALERTS = 1000

/**
 * The text of a change that is recognised wherever it goes: its title is `mark`, the number and a semicolon. It is padded with
 * a text that changes no alert.
 */
export function markedText(mark: string, number: number): string {
  const change = changeOf(number, MARKED_ALERTS)
  const alert = { ...change.updated_alert, title: `${mark}${number};`, runbook: '' }
  const text = JSON.stringify({ ...change, updated_alert: alert })
  return text.replace('"runbook":""', `"runbook":"${'.'.repeat(MARKED_BYTES - text.length)}"`)
}

/** The number of the message in a body that a target delivers; undefined when it has not this mark. */
export function markedNumber(mark: string, body: string): number | undefined {
  const at = body.indexOf(mark)
  return at < 0 ? undefined : Number.parseInt(body.slice(at + mark.length), 10)
}

/** A request of one rule match, whose record is the context of that change. */
export function ruleMatchesText(index: number, alerts: number): string {
  const { title, context: sample } = SAMPLE_CHANGE.updated_alert
  const context = { ...sample, source: { ip: [addressOf(index)] } }
  return JSON.stringify({
    rule_matches: [
      { rule: title, dedupe: `alert-${index % alerts}`, severity: 'medium', table: 'aws_cloudtrail', context },
    ],
  })
}

/** The text of a change of an alert that brings one value. */
export function smallChangeText(alertId: string, value: string): string {
  const context = { related: { ip: [value] } }
  return JSON.stringify({
    updated_alert: { id: alertId, title: 'A small alert', severity: 'high', context },
    incoming_rule_matches_context: context,
    context_diff: context,
  })
}

/** One alert for ten messages; those of one alert come far apart. */
export function alertsFor(messages: number): number {
  return Math.ceil(messages / 10)
}

function addressOf(index: number): string {
  return [10, (index >> 16) & 255, (index >> 8) & 255, index & 255].join('.')
}
