/**
 * The operators of a filter policy, each compiled to a test of one value. Pure.
 *
 * Guarantee: a test takes time at most proportional to the length of the value times that of the operand, for any input.
 */
import ipaddr from 'ipaddr.js'
import { isJsonObject, type Json, type JsonNumber, type JsonObject } from '../platform/json.js'
import { caselessTest } from './caseless.js'
import { FilterPolicyError } from './policy-error.js'
import { compareNumbers, isJsonNumber } from './number.js'
import { memberPath } from '../platform/json-pointer.js'

/** A value that is neither object nor list: what conditions apply to. */
export type Leaf = null | boolean | JsonNumber | string
/** True when the value satisfies the condition. */
export type Test = (value: Leaf) => boolean

type Compile = (operand: Json, path: string) => Test

/** The operators that take a string and match only strings. */
const STRING_OPERATORS: ReadonlyMap<string, Compile> = new Map([
  ['prefix', prefixTest],
  ['suffix', suffixTest],
  ['equals-ignore-case', equalsIgnoreCaseTest],
  ['wildcard', wildcardTest],
])

const OPERATORS: ReadonlyMap<string, Compile> = new Map([
  ...STRING_OPERATORS,
  ['anything-but', anythingButTest],
  ['numeric', numericTest],
  ['cidr', cidrTest],
])

const COMPARISONS: ReadonlyMap<Json | undefined, (order: number) => boolean> = new Map([
  ['=', (order) => order === 0],
  ['<', (order) => order < 0],
  ['<=', (order) => order <= 0],
  ['>', (order) => order > 0],
  ['>=', (order) => order >= 0],
])

/** The longest text of an IP address is 45 characters; a zone may follow. */
const ADDRESS_LENGTH = 100

/** True for the name of an operator, `exists` included. */
export function isOperatorName(name: string): boolean {
  return name === 'exists' || OPERATORS.has(name)
}

/**
 * Compiles `{ [name]: operand }`, except `exists`, which applies to the field and not to a value.
 * @param path the JSON pointer of the operand
 * @throws FilterPolicyError
 */
export function operatorTest(name: string, operand: Json, path: string): Test {
  const compile = OPERATORS.get(name)
  if (compile) return compile(operand, path)
  throw new FilterPolicyError(path, `there is no operator of this name; there are exists, ${namesOf(OPERATORS)}`)
}

/** True when the value is one of the constants; numbers compare by value, so that 300 equals 3.0e2. */
export function equalityTest(constants: readonly Leaf[]): Test {
  const plain = new Set<Leaf>(constants)
  const numbers = constants.filter(isJsonNumber)
  const long = numbers.filter((number) => typeof number === 'object')
  return (value) => {
    if (value === null || typeof value !== 'object') {
      if (plain.has(value)) return true
      return typeof value === 'number' && long.some((number) => compareNumbers(number, value) === 0)
    }
    return numbers.some((number) => compareNumbers(number, value) === 0)
  }
}

function prefixTest(operand: Json, path: string): Test {
  if (isJsonObject(operand)) {
    const text = caselessOf('prefix', operand, path)
    const isText = caselessTest(text)
    return (value) => typeof value === 'string' && isText(value.slice(0, text.length))
  }
  const text = stringOf(operand, path)
  return (value) => typeof value === 'string' && value.startsWith(text)
}

function suffixTest(operand: Json, path: string): Test {
  if (isJsonObject(operand)) {
    const text = caselessOf('suffix', operand, path)
    const isText = caselessTest(text)
    return (value) => typeof value === 'string' && isText(value.slice(Math.max(0, value.length - text.length)))
  }
  const text = stringOf(operand, path)
  return (value) => typeof value === 'string' && value.endsWith(text)
}

/** The text of `{ "equals-ignore-case": text }` inside prefix or suffix. */
function caselessOf(name: string, operand: JsonObject, path: string): string {
  const [key, text] = onlyMember(operand, path)
  if (key === 'equals-ignore-case') return stringOf(text, memberPath(path, key))
  throw new FilterPolicyError(path, `inside ${name} only {"equals-ignore-case": "text"} may stand`)
}

function equalsIgnoreCaseTest(operand: Json, path: string): Test {
  const isText = caselessTest(stringOf(operand, path))
  return (value) => typeof value === 'string' && isText(value)
}

/**
 * `*` matches any characters, or none; `\*` and `\\` are the characters themselves. As in AWS's event-ruler two stars in
 * a row, and a backslash before anything else, are refused. Each literal is searched once, after the previous one: there
 * is no backtracking.
 */
function wildcardTest(operand: Json, path: string): Test {
  const [first, ...literals] = literalsOf(stringOf(operand, path), path)
  const last = literals.pop()
  if (last === undefined) return (value) => value === first
  return (value) => {
    if (typeof value !== 'string' || !value.startsWith(first)) return false
    let at = first.length
    for (const literal of literals) {
      const found = value.indexOf(literal, at)
      if (found < 0) return false
      at = found + literal.length
    }
    return value.length - last.length >= at && value.endsWith(last)
  }
}

/** The literal texts before, between and after the stars. */
function literalsOf(pattern: string, path: string): [string, ...string[]] {
  const literals: [string, ...string[]] = ['']
  let literal = ''
  for (let at = 0; at < pattern.length; at++) {
    let char = pattern[at]!
    if (char === '*') {
      if (literals.length > 1 && literal === '') {
        throw new FilterPolicyError(path, 'two * in a row match no more than one')
      }
      literals[literals.length - 1] = literal
      literals.push((literal = ''))
      continue
    }
    if (char === '\\') {
      char = pattern[++at] ?? ''
      if (char !== '*' && char !== '\\') throw new FilterPolicyError(path, 'a \\ is followed by * or by another \\')
    }
    literal += char
  }
  literals[literals.length - 1] = literal
  return literals
}

/** True for every value that the operand does not match: any string for `{"anything-but": 1}`, null for every operand. */
function anythingButTest(operand: Json, path: string): Test {
  const test = isJsonObject(operand) ? anyStringTest(operand, path) : equalityTest(constantsOf(operand, path))
  return (value) => !test(value)
}

/** `{ "prefix" | "suffix" | "equals-ignore-case" | "wildcard": string or list of strings }`: true when one of them matches. */
function anyStringTest(operand: Json, path: string): Test {
  const [name, given] = onlyMember(operand, path)
  const inner = memberPath(path, name)
  const compile = STRING_OPERATORS.get(name)
  if (!compile) throw new FilterPolicyError(inner, `inside anything-but only ${namesOf(STRING_OPERATORS)} may stand`)
  const isAffix = name === 'prefix' || name === 'suffix'
  const tests = listOf(given, inner).map(([text, at]) => {
    if (isAffix && stringOf(text, at) === '') throw new FilterPolicyError(at, `an empty ${name} matches every string`)
    return compile(text, at)
  })
  return (value) => tests.some((test) => test(value))
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
  if (!accepts) throw new FilterPolicyError(memberPath(path, index), `a comparison is one of ${namesOf(COMPARISONS)}`)
  if (!isJsonNumber(limit)) throw new FilterPolicyError(memberPath(path, index + 1), 'must be a number, without quotes')
  return { limit, holds: (value: JsonNumber) => accepts(compareNumbers(value, limit)) }
}

/**
 * True for an address in the range; false for an address of the other family and for any other text. An IPv4-mapped IPv6
 * address (`::ffff:10.0.0.1`) also matches as its IPv4 address.
 */
function cidrTest(operand: Json, path: string): Test {
  const [address = '', bits = '', ...more] = stringOf(operand, path).split('/')
  const base = addressOf(address)
  if (!base || more.length > 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > base.toByteArray().length * 8) {
    throw new FilterPolicyError(path, 'must be an IPv4 or IPv6 range such as "10.0.0.0/8" or "2001:db8::/32"')
  }
  return (value) => {
    let ip = typeof value === 'string' ? addressOf(value) : undefined
    if (base.kind() === 'ipv4' && ip instanceof ipaddr.IPv6 && ip.isIPv4MappedAddress()) ip = ip.toIPv4Address()
    return ip?.kind() === base.kind() && ip.match(base, Number(bits))
  }
}

/** Parses an address in its usual notation; `10.1` and `0x0a.0.0.1`, which ipaddr.js accepts, are refused. */
function addressOf(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  if (text.length > ADDRESS_LENGTH) return undefined
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text)
  return ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text) : undefined
}

function stringOf(operand: Json, path: string): string {
  if (typeof operand === 'string') return operand
  throw new FilterPolicyError(path, 'must be a string')
}

/** The members of a list with their paths; any other value counts as a list of one. */
function listOf(operand: Json, path: string): [Json, string][] {
  if (!Array.isArray(operand)) return [[operand, path]]
  if (operand.length === 0) throw new FilterPolicyError(path, 'an empty list excludes nothing: name a value')
  return operand.map((member, index) => [member, memberPath(path, index)])
}

/** The only key and value of an operator's object. @throws FilterPolicyError for any other number of keys */
export function onlyMember(operand: Json, path: string): [string, Json] {
  const members = isJsonObject(operand) ? Object.entries(operand) : []
  if (members.length === 1) return members[0]!
  throw new FilterPolicyError(path, 'an operator is an object with one key, such as {"prefix": "us-"}')
}

function namesOf(map: ReadonlyMap<Json | undefined, unknown>): string {
  return [...map.keys()].join(', ')
}
