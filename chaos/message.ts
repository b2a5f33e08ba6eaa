/** The messages of the flow: alert changes, each with a value that no other has, and plain notifications. */
import { SAMPLE_CHANGE } from '../src/core/event/sample.js'

/** An alert change in which `value` is new, and as many other values beside it. */
export function changeMessage(alertId: string, value: string, others = 0): string {
  const { updated_alert: alert, incoming_rule_matches_context: incoming } = SAMPLE_CHANGE
  const hosts = Array.from({ length: others }, (_, index) => `host-${index}.${value}`)
  const context = { ...incoming, related: { ...incoming.related, hash: [value], ...(others > 0 && { hosts }) } }
  return JSON.stringify({
    updated_alert: { ...alert, id: alertId, context },
    incoming_rule_matches_context: context,
    context_diff: { related: { hash: [value] } },
  })
}

export function plainMessage(number: number): string {
  return JSON.stringify({ AlarmName: `alarm ${number}`, NewStateValue: 'ALARM', Trigger: { Threshold: number / 7 } })
}

/** The values of the flow's messages in a `context_diff`. */
export function valuesIn(diff: unknown): string[] {
  const hash = (diff as { related?: { hash?: unknown } } | undefined)?.related?.hash
  return Array.isArray(hash) ? hash.filter((value) => typeof value === 'string') : []
}
