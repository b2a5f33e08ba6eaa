/** A rule match as the validator returns it, with defaults. */
import type { RuleMatch } from '../../src/core/alert/rule-match.js'
import type { JsonObject } from '../../src/core/platform/json.js'

export function ruleMatch(context: JsonObject, fields: Partial<RuleMatch> = {}): RuleMatch {
  return {
    rule: 'r',
    severity: 'info',
    threshold: 1,
    deduplication_window_minutes: 60,
    runbook: '',
    destinations: [],
    context,
    ...fields,
  }
}
