/**
 * The operators of a filter policy, each made into a test of one value. Pure.
 *
 * Promise: a test costs at most the product of the value's and the operand's lengths, whatever stands in either.
 */
import ipaddr from 'ipaddr.js'
import { isJsonObject, type Json, type JsonNumber } from '../platform/json.js'
import { FilterPolicyError } from './policy-error.js'
import { compareNumbers, isJsonNumber } from './number.js'
import { memberPath } from '../platform/json-pointer.js'

/** A value that is neither object nor list: what conditions look at. */
export type Leaf = null | boolean | JsonNumber | string
/** True when the value satisfies the condition. */
export type Test = (value: Leaf) => boolean

type Operand = (operand: Json, path: string) => Test

/** The operators that take a string and look at strings alone. */
const STRING_OPERATORS: ReadonlyMap<string, Operand> = new Map([
  ['prefix', prefixTest],
  ['suffix', suffixTest],
  ['equals-ignore-case', equalsIgnoreCaseTest],
  ['wildcard', wildcardTest],
])

const OPERATORS: ReadonlyMap<string, Operand> = new Map([
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
 * Makes the test of `{ [name]: operand }`, `exists` excepted: that one looks at the field, not at a value.
 * @param path of the operand
 * @throws FilterPolicyError
 */
export function operatorTest(name: string, operand: Json, path: string): Test {
  const make = OPERATORS.get(name)
  if (make) return make(operand, path)
  throw new FilterPolicyError(path, `there is no operator of this name; there are exists, ${namesOf(OPERATORS)}`)
}

/** True when the value is one of the constants; numbers are equal as numbers, 300 and 3.0e2 for one. */
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
  const { text, fold } = affixOf('prefix', operand, path)
  return (value) => typeof value === 'string' && fold(value).startsWith(text)
}

function suffixTest(operand: Json, path: string): Test {
  const { text, fold } = affixOf('suffix', operand, path)
  return (value) => typeof value === 'string' && fold(value).endsWith(text)
}

/** The operand of prefix and suffix: a string, or `{ "equals-ignore-case": string }`. */
function affixOf(name: string, operand: Json, path: string) {
  if (!isJsonObject(operand)) return { text: stringOf(operand, path), fold: (value: string) => value }
  const [key, text] = onlyMember(operand, path)
  if (key === 'equals-ignore-case') return { text: foldCase(stringOf(text, memberPath(path, key))), fold: foldCase }
  throw new FilterPolicyError(path, `inside ${name} only {"equals-ignore-case": "text"} may stand`)
}

function equalsIgnoreCaseTest(operand: Json, path: string): Test {
  const text = foldCase(stringOf(operand, path))
  return (value) => typeof value === 'string' && foldCase(value) === text
}

/** Upper case: unlike lower case it does not depend on what stands beside a letter, so it works on a part of a text. */
function foldCase(text: string): string {
  return text.toUpperCase()
}

/**
 * `*` stands for any characters, none included; `\*` and `\\` are the characters themselves. As in AWS's event-ruler
 * two stars in a row and a backslash before anything else are refused. Each literal part is looked for once, behind the
 * one before it: there is nothing to return to.
 */
function wildcardTest(operand: Json, path: string): Test {
  const [first, ...parts] = literalParts(stringOf(operand, path), path)
  const last = parts.pop()
  if (last === undefined) return (value) => value === first
  return (value) => {
    if (typeof value !== 'string' || !value.startsWith(first)) return false
    let at = first.length
    for (const part of parts) {
      const found = value.indexOf(part, at)
      if (found < 0) return false
      at = found + part.length
    }
    return value.length - last.length >= at && value.endsWith(last)
  }
}

/** What stands before, between and behind the stars. */
function literalParts(pattern: string, path: string): [string, ...string[]] {
  const parts: [string, ...string[]] = ['']
  let part = ''
  for (let at = 0; at < pattern.length; at++) {
    let char = pattern[at]!
    if (char === '*') {
      if (parts.length > 1 && part === '') throw new FilterPolicyError(path, 'two * in a row say no more than one')
      parts[parts.length - 1] = part
      parts.push((part = ''))
      continue
    }
    if (char === '\\') {
      char = pattern[++at] ?? ''
      if (char !== '*' && char !== '\\') throw new FilterPolicyError(path, 'a \\ is followed by * or by another \\')
    }
    part += char
  }
  parts[parts.length - 1] = part
  return parts
}

/** Satisfied by every value that the operand's test is not: a string by `{"anything-but": 1}`, null by any of them. */
function anythingButTest(operand: Json, path: string): Test {
  const test = isJsonObject(operand) ? anyStringTest(operand, path) : equalityTest(constantsOf(operand, path))
  return (value) => !test(value)
}

/** `{ "prefix" | "suffix" | "equals-ignore-case" | "wildcard": string or list of strings }`: any of them. */
function anyStringTest(operand: Json, path: string): Test {
  const [name, given] = onlyMember(operand, path)
  const inner = memberPath(path, name)
  const make = STRING_OPERATORS.get(name)
  if (!make) throw new FilterPolicyError(inner, `inside anything-but only ${namesOf(STRING_OPERATORS)} may stand`)
  const isAffix = name === 'prefix' || name === 'suffix'
  const tests = listOf(given, inner).map(([text, at]) => {
    if (isAffix && stringOf(text, at) === '') throw new FilterPolicyError(at, `every string has an empty ${name}`)
    return make(text, at)
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

/** One comparison, or a lower and then an upper bound. */
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
 * An address in the range; any other text, or an address of the other kind, is not in it. An IPv4-mapped IPv6 address
 * (`::ffff:10.0.0.1`) is also the IPv4 address in it.
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

/** The address in its usual spelling; `10.1` and `0x0a.0.0.1`, which ipaddr.js would take too, are not addresses here. */
function addressOf(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  if (text.length > ADDRESS_LENGTH) return undefined
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text)
  return ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text) : undefined
}

function stringOf(operand: Json, path: string): string {
  if (typeof operand === 'string') return operand
  throw new FilterPolicyError(path, 'must be a string')
}

/** The members of a list with their paths; a value that is no list stands for a list of one. */
function listOf(operand: Json, path: string): [Json, string][] {
  if (!Array.isArray(operand)) return [[operand, path]]
  if (operand.length === 0) throw new FilterPolicyError(path, 'an empty list excludes nothing: name a value')
  return operand.map((member, index) => [member, memberPath(path, index)])
}

/** The one key and value of an operator's object. */
export function onlyMember(operand: Json, path: string): [string, Json] {
  const members = isJsonObject(operand) ? Object.entries(operand) : []
  if (members.length === 1) return members[0]!
  throw new FilterPolicyError(path, 'an operator is an object with one key, such as {"prefix": "us-"}')
}

function namesOf(map: ReadonlyMap<Json | undefined, unknown>): string {
  return [...map.keys()].join(', ')
}
