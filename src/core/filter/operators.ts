/**
 * The operators of a filter policy: the conditions of one list are compiled to few tests of one value. Pure.
 *
 * Guarantee: what a test costs does not grow with the number of constants, texts and networks; it grows with that of
 * wildcards, ranges of numbers and anything-but, which `cost` counts.
 */
import { LosslessNumber } from 'lossless-json'
import { isJsonObject, type Json, type JsonNumber } from '../platform/json.js'
import { memberPath } from '../platform/json-pointer.js'
import { networkTest, parseNetwork, type Network } from './network.js'
import { compareNumbers, decimalKey, isJsonNumber } from './number.js'
import { FilterPolicyError } from './policy-error.js'
import { onlyMember, textOf, textTest, TEXT_OPERATORS, type TextCondition } from './text-tests.js'
import { wildcardCost } from './wildcard.js'

/** A value that is neither object nor list: what conditions apply to. */
export type Leaf = null | boolean | JsonNumber | string
/** True when the value satisfies the condition. */
export type Test = (value: Leaf) => boolean

const OPERATOR_NAMES = ['exists', ...TEXT_OPERATORS.keys(), 'anything-but', 'numeric', 'cidr']

const COMPARISONS: ReadonlyMap<Json | undefined, (order: number) => boolean> = new Map([
  ['=', (order) => order === 0],
  ['<', (order) => order < 0],
  ['<=', (order) => order <= 0],
  ['>', (order) => order > 0],
  ['>=', (order) => order >= 0],
])

/** True for the name of an operator, `exists` included. */
export function isOperatorName(name: string): boolean {
  return OPERATOR_NAMES.includes(name)
}

/** Collects the conditions of one list, but for `exists`, which applies to the field and not to a value. */
export interface Conditions {
  addConstant(constant: Leaf): void
  /**
   * Adds `{ [name]: operand }`.
   * @param path the JSON pointer of the operand
   * @throws FilterPolicyError
   */
  addOperator(name: string, operand: Json, path: string): void
  /** The tests, of which a value must pass one. */
  tests(): Test[]
  /** What it takes to compare a value with all of them, in comparisons with one text. */
  cost(): number
}

/** All texts without case, or all networks, of one list: a value is folded, or parsed, once. */
const CASELESS_COST = 3
const NETWORKS_COST = 6

export function createConditions(): Conditions {
  const constants: Leaf[] = []
  const texts: TextCondition[] = []
  const networks: Network[] = []
  const others: { test: Test; cost: number }[] = []
  return {
    addConstant: (constant) => void constants.push(constant),
    addOperator(name, operand, path) {
      const parseText = TEXT_OPERATORS.get(name)
      if (parseText) texts.push(parseText(operand, path))
      else if (name === 'cidr') networks.push(networkOf(operand, path))
      else if (name === 'numeric') others.push({ test: numericTest(operand, path), cost: 1 })
      else if (name === 'anything-but') others.push(anythingBut(operand, path))
      else {
        const names = OPERATOR_NAMES.join(', ')
        throw new FilterPolicyError(path, `there is no operator of this name; there are ${names}`)
      }
    },
    tests: () => [
      ...(constants.length > 0 ? [equalityTest(constants)] : []),
      ...(texts.length > 0 ? [onTexts(textTest(texts))] : []),
      ...(networks.length > 0 ? [onTexts(networkTest(networks))] : []),
      ...others.map(({ test }) => test),
    ],
    cost: () =>
      textCost(texts) + (networks.length > 0 ? NETWORKS_COST : 0) + others.reduce((sum, { cost }) => sum + cost, 0),
  }
}

function textCost(texts: readonly TextCondition[]): number {
  const wildcards = texts.reduce(
    (sum, condition) => sum + (condition.kind === 'wildcard' ? wildcardCost(condition.literals) : 0),
    0,
  )
  const isCaseless = texts.some((condition) => condition.kind !== 'wildcard' && condition.isCaseless)
  return wildcards + (isCaseless ? CASELESS_COST : 0)
}

function onTexts(test: (text: string) => boolean): Test {
  return (value) => typeof value === 'string' && test(value)
}

/** True when the value is one of the constants; numbers compare by value, so that 300 equals 3.0e2. */
function equalityTest(constants: readonly Leaf[]): Test {
  const plain = new Set<Leaf>()
  const long = new Set<string>()
  for (const constant of constants) {
    if (isJsonNumber(constant)) long.add(decimalKey(constant))
    plain.add(isJsonNumber(constant) ? plainOf(constant) : constant)
  }
  return (value) => (typeof value === 'object' && value !== null ? long.has(decimalKey(value)) : plain.has(value))
}

/** The double of this very number; the number itself where there is none. */
function plainOf(number: JsonNumber): JsonNumber {
  const double = Number(String(number))
  return Number.isFinite(double) && decimalKey(double) === decimalKey(number) ? double : number
}

function networkOf(operand: Json, path: string): Network {
  const network = parseNetwork(textOf(operand, path))
  if (network) return network
  throw new FilterPolicyError(path, 'must be an IPv4 or IPv6 range such as "10.0.0.0/8" or "2001:db8::/32"')
}

/** True for every value that the operand does not match: any string for `{"anything-but": 1}`, null for every operand. */
function anythingBut(operand: Json, path: string): { test: Test; cost: number } {
  if (!isJsonObject(operand)) {
    const test = equalityTest(constantsOf(operand, path))
    return { test: (value) => !test(value), cost: 1 }
  }
  const texts = anyOf(operand, path)
  const test = onTexts(textTest(texts))
  return { test: (value) => !test(value), cost: 1 + textCost(texts) }
}

/** `{ "prefix" | "suffix" | "equals-ignore-case" | "wildcard": string or list of strings }` */
function anyOf(operand: Json, path: string): TextCondition[] {
  const [name, given] = onlyMember(operand, path)
  const inner = memberPath(path, name)
  const parse = TEXT_OPERATORS.get(name)
  if (!parse) {
    throw new FilterPolicyError(inner, `inside anything-but only ${[...TEXT_OPERATORS.keys()].join(', ')} may stand`)
  }
  const isAffix = name === 'prefix' || name === 'suffix'
  return listOf(given, inner).map(([member, at]) => {
    const text = textOf(member, at)
    if (isAffix && text === '') throw new FilterPolicyError(at, `an empty ${name} matches every string`)
    return parse(text, at)
  })
}

function constantsOf(operand: Json, path: string): Leaf[] {
  const constants = listOf(operand, path).map(([constant, at]) => {
    if (typeof constant === 'string' || isJsonNumber(constant)) return constant
    throw new FilterPolicyError(at, 'anything-but takes strings or numbers; for null and booleans list what is wanted')
  })
  if (new Set(constants.map((constant) => typeof constant === 'string')).size === 1) return constants
  throw new FilterPolicyError(path, 'anything-but takes strings or numbers, not both in one list')
}

/** One comparison, or a lower bound followed by an upper bound. */
function numericTest(operand: Json, path: string): Test {
  const [low, from, high, to, ...more] = Array.isArray(operand) ? operand : []
  const isRange = high !== undefined
  if (from === undefined || (isRange && to === undefined) || more.length > 0) {
    throw new FilterPolicyError(path, 'numeric takes a list such as [">=", 5] or [">", 0, "<=", 100]')
  }
  const lower = boundOf(low, from, path, 0)
  if (!isRange) return (value) => isJsonNumber(value) && lower.holds(value)
  const upper = boundOf(high, to!, path, 2)
  if ((low !== '>' && low !== '>=') || (high !== '<' && high !== '<=')) {
    throw new FilterPolicyError(path, 'a range has its lower bound first (> or >=), then its upper bound (< or <=)')
  }
  if (!lower.holds(upper.limit) || !upper.holds(lower.limit)) {
    throw new FilterPolicyError(path, 'no number is in this range')
  }
  return (value) => isJsonNumber(value) && lower.holds(value) && upper.holds(value)
}

function boundOf(comparison: Json | undefined, limit: Json, path: string, index: number) {
  const accepts = COMPARISONS.get(comparison)
  if (!accepts) {
    throw new FilterPolicyError(memberPath(path, index), `a comparison is one of ${[...COMPARISONS.keys()].join(', ')}`)
  }
  if (!isJsonNumber(limit)) throw new FilterPolicyError(memberPath(path, index + 1), 'must be a number, without quotes')
  // as a number that is parsed once, for the values that are no doubles
  const decimal = typeof limit === 'number' ? new LosslessNumber(String(limit)) : limit
  const holds = (value: JsonNumber) => accepts(compareNumbers(value, typeof value === 'number' ? limit : decimal))
  return { limit, holds }
}

/** The members of a list with their paths; any other value counts as a list of one. */
function listOf(operand: Json, path: string): [Json, string][] {
  if (!Array.isArray(operand)) return [[operand, path]]
  if (operand.length === 0) throw new FilterPolicyError(path, 'an empty list excludes nothing: name a value')
  return operand.map((member, index) => [member, memberPath(path, index)])
}
