/** Severities as Matano documents them, in any case. A message may have any other text. */

export const SEVERITIES = ['info', 'notice', 'low', 'medium', 'high', 'critical'] as const
export type Severity = (typeof SEVERITIES)[number]

/** The severity that a text names; undefined for any other text. */
export function severityOf(text: string | undefined): Severity | undefined {
  const name = text?.trim().toLowerCase()
  return SEVERITIES.find((severity) => severity === name)
}

/** RGB colours for receivers that show one. */
export const COLOUR_OF: Readonly<Record<Severity, number>> = {
  info: 0x6b7280,
  notice: 0x3b82f6,
  low: 0x22c55e,
  medium: 0xf59e0b,
  high: 0xef4444,
  critical: 0x991b1b,
}
