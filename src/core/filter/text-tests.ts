/**
 * The operators on texts, all of one list compiled to one test. Pure.
 *
 * Guarantee: a test takes time proportional to the length of the text for all prefixes, suffixes and equal texts together, and
 * once more for each wildcard.
 */
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js'
import { memberPath } from '../platform/json-pointer.js'
import { affixTest } from './affixes.js'
import { foldCase } from './caseless.js'
import { FilterPolicyError } from './policy-error.js'
import { literalsOf, wildcardTest, type Literals } from './wildcard.js'

/** A condition that texts alone satisfy. */
export type TextCondition =
  { kind: 'equal' | 'prefix' | 'suffix'; text: string; isCaseless: boolean } | { kind: 'wildcard'; literals: Literals }

type Parse = (operand: Json, path: string) => TextCondition

/** The operators that take a text and match only texts. */
export const TEXT_OPERATORS: ReadonlyMap<string, Parse> = new Map<string, Parse>([
  ['prefix', (operand, path) => affix('prefix', operand, path)],
  ['suffix', (operand, path) => affix('suffix', operand, path)],
  ['equals-ignore-case', (operand, path) => ({ kind: 'equal', text: textOf(operand, path), isCaseless: true })],
  ['wildcard', (operand, path) => wildcard(textOf(operand, path), path)],
])

/** True when one of the conditions holds. */
export function textTest(conditions: readonly TextCondition[]): (text: string) => boolean {
  const tests = [plainTest(conditions, false), plainTest(conditions, true)]
  for (const condition of conditions) if (condition.kind === 'wildcard') tests.push(wildcardTest(condition.literals))
  const [first, ...others] = tests.filter((test) => test !== undefined)
  if (!first) return () => false
  return others.length === 0 ? first : (text) => first(text) || others.some((test) => test(text))
}

/** The test of all conditions but wildcards; undefined when there is none. */
function plainTest(conditions: readonly TextCondition[], isCaseless: boolean): ((text: string) => boolean) | undefined {
  const textsOf = (kind: TextCondition['kind']) =>
    conditions.flatMap((condition) => {
      if (condition.kind === 'wildcard' || condition.kind !== kind || condition.isCaseless !== isCaseless) return []
      return isCaseless ? foldCase(condition.text) : condition.text
    })
  const [equal, prefixes, suffixes] = [new Set(textsOf('equal')), textsOf('prefix'), textsOf('suffix')]
  const tests: ((text: string) => boolean)[] = []
  if (equal.size > 0) tests.push((text) => equal.has(text))
  if (prefixes.length > 0) tests.push(affixTest(prefixes, 'start'))
  if (suffixes.length > 0) tests.push(affixTest(suffixes, 'end'))
  const [first, ...others] = tests
  if (!first) return undefined
  const test = others.length === 0 ? first : (text: string) => first(text) || others.some((other) => other(text))
  return isCaseless ? (text) => test(foldCase(text)) : test
}

function affix(kind: 'prefix' | 'suffix', operand: Json, path: string): TextCondition {
  if (!isJsonObject(operand)) return { kind, text: textOf(operand, path), isCaseless: false }
  return { kind, text: caselessOf(kind, operand, path), isCaseless: true }
}

/** The text of `{ "equals-ignore-case": text }` inside prefix or suffix. */
function caselessOf(name: string, operand: JsonObject, path: string): string {
  const [key, text] = onlyMember(operand, path)
  if (key === 'equals-ignore-case') return textOf(text, memberPath(path, key))
  throw new FilterPolicyError(path, `inside ${name} only {"equals-ignore-case": "text"} may stand`)
}

/** A pattern without a star is a text, and one with a star at one end alone is a prefix or a suffix. */
function wildcard(pattern: string, path: string): TextCondition {
  const literals = literalsOf(pattern, path)
  const [first, last] = literals
  if (last === undefined) return { kind: 'equal', text: first, isCaseless: false }
  if (literals.length > 2 || (first !== '' && last !== '')) return { kind: 'wildcard', literals }
  return last === ''
    ? { kind: 'prefix', text: first, isCaseless: false }
    : { kind: 'suffix', text: last, isCaseless: false }
}

/** @throws FilterPolicyError for a value that is no string */
export function textOf(operand: Json, path: string): string {
  if (typeof operand === 'string') return operand
  throw new FilterPolicyError(path, 'must be a string')
}

/** The only key and value of an operator's object. @throws FilterPolicyError for any other number of keys */
export function onlyMember(operand: Json, path: string): [string, Json] {
  const members = isJsonObject(operand) ? Object.entries(operand) : []
  if (members.length === 1) return members[0]!
  throw new FilterPolicyError(path, 'an operator is an object with one key, such as {"prefix": "us-"}')
}
