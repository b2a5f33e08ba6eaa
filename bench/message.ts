/** What is published: alert changes of the size and shape that the project was asked for. */
import { SAMPLE_CHANGE } from '../src/core/event/sample.js'

/**
 * The text of one change: of `alerts` alerts the one whose turn it is, with one value that no change before had and the
 * others known from its alert's first change on.
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

/** One alert for ten messages; those of one alert come far apart. */
export function alertsFor(messages: number): number {
  return Math.ceil(messages / 10)
}

function addressOf(index: number): string {
  return [10, (index >> 16) & 255, (index >> 8) & 255, index & 255].join('.')
}
