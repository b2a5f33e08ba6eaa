/** Severities as Matano documents them, in any case. A message may have any other text. */

export const SEVERITIES = ['info', 'notice', 'low', 'medium', 'high', 'critical'] as const
export type Severity = (typeof SEVERITIES)[number]

/** The severity that a text names; undefined for any other text. */
export function severityOf(text: string | undefined): Severity | undefined {
  const name = text?.trim().toLowerCase()
  return SEVERITIES.find((severity) => severity === name)
}

/** What of an alert is shown in colour. */
export interface Shown {
  severity: Severity | undefined
  /** How it ended: its producer says that it is over, or it went quiet; undefined: it has not. */
  over: 'resolved' | 'quiet' | undefined
}

/** RGB colours, and coloured discs (Unicode's geometric shapes) for receivers whose messages have no colour. Green is over. */
const COLOURS = {
  info: { rgb: 0x6b7280, mark: '\u26aa' },
  notice: { rgb: 0x6b7280, mark: '\u26aa' },
  low: { rgb: 0x3b82f6, mark: '\u{1f535}' },
  medium: { rgb: 0xeab308, mark: '\u{1f7e1}' },
  high: { rgb: 0xf97316, mark: '\u{1f7e0}' },
  critical: { rgb: 0xdc2626, mark: '\u{1f534}' },
  resolved: { rgb: 0x15803d, mark: '\u{1f7e2}' },
  quiet: { rgb: 0x9ca3af, mark: '\u26ab' },
} satisfies Record<Severity | 'resolved' | 'quiet', { rgb: number; mark: string }>

/** The RGB colour of an alert: that of how it ended, else of its severity. */
export function colourOf(shown: Shown): number | undefined {
  return coloursOf(shown)?.rgb
}

/** The coloured disc of an alert. */
export function markOf(shown: Shown): string | undefined {
  return coloursOf(shown)?.mark
}

function coloursOf({ severity, over }: Shown): { rgb: number; mark: string } | undefined {
  const name = over ?? severity
  return name && COLOURS[name]
}
