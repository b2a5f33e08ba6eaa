/** Severities as Matano documents them, in any case. A message may have any other text. */

export const SEVERITIES = ['info', 'notice', 'low', 'medium', 'high', 'critical'] as const
export type Severity = (typeof SEVERITIES)[number]

/** The severity that a text names; undefined for any other text. */
export function severityOf(text: string | undefined): Severity | undefined {
  const name = text?.trim().toLowerCase()
  return SEVERITIES.find((severity) => severity === name)
}

/** The RGB colour of what is over, whatever its severity. */
const RESOLVED_COLOUR = 0x15803d

/** The RGB colour of an alert: that of its severity, or of what is over. */
export function colourOf({ severity, isResolved }: Shown): number | undefined {
  return isResolved ? RESOLVED_COLOUR : severity && COLOUR_OF[severity]
}

const MARK_OF: Readonly<Record<Severity, string>> = {
  info: '\u26aa',
  notice: '\u26aa',
  low: '\u{1f535}',
  medium: '\u{1f7e1}',
  high: '\u{1f7e0}',
  critical: '\u{1f534}',
}
const RESOLVED_MARK = '\u{1f7e2}'

/** A coloured disc (Unicode's geometric shapes) for receivers whose messages have no colour. */
export function markOf({ severity, isResolved }: Shown): string | undefined {
  return isResolved ? RESOLVED_MARK : severity && MARK_OF[severity]
}

interface Shown {
  severity: Severity | undefined
  isResolved: boolean
}

/** RGB colours for receivers that show one. */
const COLOUR_OF: Readonly<Record<Severity, number>> = {
  info: 0x6b7280,
  notice: 0x3b82f6,
  low: 0x22c55e,
  medium: 0xf59e0b,
  high: 0xef4444,
  critical: 0x991b1b,
}
