/** A rule match: one detection hit, as POST /v1/rule-matches accepts it. */
import { Type, type Static } from 'typebox'
import type { JsonObject } from '../platform/json.js'
import { oneOf, WITHOUT_NUL } from '../platform/schema.js'

/** Matano's severities (its documentation), the lowest first. */
export const SEVERITIES = ['info', 'notice', 'low', 'medium', 'high', 'critical'] as const
export type Severity = (typeof SEVERITIES)[number]

/** What the validator fills in. */
export const RULE_MATCH_DEFAULTS = {
  threshold: 1,
  deduplication_window_minutes: 60,
  runbook: '',
  destinations: [] as string[],
} as const

const text = (maxLength: number, description: string) =>
  Type.String({ minLength: 1, maxLength, ...WITHOUT_NUL, description })

export const RuleMatch = Type.Object(
  {
    rule: text(200, "The rule's name."),
    title: Type.Optional(text(1000, "The alert's title; without one, the rule's name.")),
    severity: Type.Optional(
      oneOf(SEVERITIES, { description: 'A later, higher one raises the alert.', default: 'info' }),
    ),
    dedupe: Type.Optional(text(1000, 'Matches of a rule with the same text are one alert; without it, the title.')),
    threshold: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 10_000,
        default: RULE_MATCH_DEFAULTS.threshold,
        description: 'Matches in the window that make an alert; until it is made, that of the newest match holds.',
      }),
    ),
    deduplication_window_minutes: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1440,
        default: RULE_MATCH_DEFAULTS.deduplication_window_minutes,
        description:
          'How long matches are one alert, from the first of them; then a new alert begins. Until the threshold is reached, ' +
          'that of the newest match holds.',
      }),
    ),
    runbook: Type.Optional(Type.String({ maxLength: 20_000, default: RULE_MATCH_DEFAULTS.runbook })),
    destinations: Type.Optional(
      Type.Array(text(200, 'A name.'), { maxItems: 100, default: RULE_MATCH_DEFAULTS.destinations }),
    ),
    table: Type.Optional(text(200, 'Where the record is from.')),
    context: Type.Unsafe<JsonObject>({ type: 'object', description: 'The record that matched: any ECS document.' }),
  },
  {
    $id: 'RuleMatch',
    additionalProperties: false,
  },
)
/** A rule match as the validator leaves it: defaults filled in. */
export type RuleMatch = Static<typeof RuleMatch> &
  Required<
    Pick<
      Static<typeof RuleMatch>,
      'severity' | 'threshold' | 'deduplication_window_minutes' | 'runbook' | 'destinations'
    >
  >

/** Matches with the same parts are one alert: the rule, and the dedupe text or else the title. */
export function dedupeParts(match: RuleMatch): [rule: string, dedupe: string] {
  return [match.rule, match.dedupe ?? titleOf(match)]
}

export function titleOf(match: RuleMatch): string {
  return match.title ?? match.rule
}

/** The place of a severity in `SEVERITIES`; undefined for another word. */
export function rankOf(severity: string): number | undefined {
  const rank = SEVERITIES.findIndex((one) => one === severity)
  return rank < 0 ? undefined : rank
}

/** The higher of two severities. */
export function higherSeverity(a: Severity, b: Severity): Severity {
  return SEVERITIES.indexOf(b) > SEVERITIES.indexOf(a) ? b : a
}
