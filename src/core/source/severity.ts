/** The one table from what producers call a severity to the relay's. Pure. */
import type { Severity } from '../alert/rule-match.js'
import type { Json } from '../platform/json.js'
import { numberAt, textAt } from './fields.js'

const WORDS: Readonly<Record<Severity, readonly string[]>> = {
  critical: ['critical', 'fatal', 'emergency', 'alert'],
  high: ['high', 'error', 'severe', 'important'],
  medium: ['medium', 'moderate', 'warning', 'warn'],
  low: ['low', 'minor'],
  notice: ['notice', 'unknown', 'untriaged', 'other'],
  info: ['info', 'informational', 'debug', 'none', 'passed'],
}
const SEVERITY_OF = new Map(
  Object.entries(WORDS).flatMap(([severity, words]) => words.map((word) => [word, severity as Severity] as const)),
)

/** The severity that a word names, in any case. */
export function severityOfWord(value: Json | undefined): Severity | undefined {
  const word = textAt(value)
  return word === undefined ? undefined : SEVERITY_OF.get(word.toLowerCase())
}

/** Security Hub's `Severity.Normalized`, 0 to 100 (ASFF, "Severity"). */
export function severityOfNormalized(value: Json | undefined): Severity | undefined {
  return banded(numberAt(value), [90, 70, 40, 1])
}

/** GuardDuty's severity, 1.0 to 10.0 (GuardDuty user guide, "Severity levels of GuardDuty findings"). */
export function severityOfGuardDuty(value: Json | undefined): Severity | undefined {
  return banded(numberAt(value), [9, 7, 4, 1])
}

const OCSF_IDS: Readonly<Record<number, Severity>> = {
  1: 'info',
  2: 'low',
  3: 'medium',
  4: 'high',
  5: 'critical',
  6: 'critical',
}

/** OCSF's `severity_id`; undefined for 0 (unknown) and 99 (other), which leave it to the word. */
export function severityOfOcsf(value: Json | undefined): Severity | undefined {
  const id = numberAt(value)
  return id === undefined ? undefined : OCSF_IDS[id]
}

/** @param from where critical, high, medium and low begin */
function banded(score: number | undefined, from: [number, number, number, number]): Severity | undefined {
  if (score === undefined || score < 0) return undefined
  const [critical, high, medium, low] = from
  if (score >= critical) return 'critical'
  if (score >= high) return 'high'
  if (score >= medium) return 'medium'
  return score >= low ? 'low' : 'info'
}
