/** The messages that are published: alert changes of the size and shape of the sample change. */
import { SAMPLE_CHANGE } from '../src/core/event/sample.js'

/**
 * The text of one change. Changes are spread over `alerts` alerts in turn; each has one new value, and others that its
 * alert has since its first change.
 */
export function changeText(index: number, alerts: number): string {
  const context = { ...SAMPLE_CHANGE.updated_alert.context, source: { ip: [addressOf(index)] } }
  return JSON.stringify({
    ...SAMPLE_CHANGE,
    updated_alert: { ...SAMPLE_CHANGE.updated_alert, id: `alert-${index % alerts}`, context },
    incoming_rule_matches_context: { ...SAMPLE_CHANGE.incoming_rule_matches_context, source: context.source },
    context_diff: { source: context.source },
  })
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
