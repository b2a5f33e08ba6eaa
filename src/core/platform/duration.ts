/** Durations as people write them: a whole number and a unit, such as 90s, 15m, 12h or 30d. Pure. */

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** A duration's form, at most five digits, for request schemas. */
export const DURATION_PATTERN = '^[1-9]\\d{0,4}[smhd]$'
export const DURATION_WORDS = 'a duration such as 30m, 12h or 7d'

/** Milliseconds of a duration; undefined when the text is not one. */
export function durationMs(text: string): number | undefined {
  if (!new RegExp(DURATION_PATTERN).test(text)) return undefined
  return Number(text.slice(0, -1)) * UNIT_MS[text.slice(-1)]!
}
