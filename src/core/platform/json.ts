/**
 * Lossless JSON: integers beyond 2^53 and decimals with more digits than a double keep every digit, and keys such as
 * `__proto__` are data.
 *
 * Guarantee: `stringifyJson(parseJson(text))` has the same meaning as `text`; too deep nesting is a SyntaxError, never
 * a stack overflow.
 */
import { isLosslessNumber, isSafeNumber, LosslessNumber, parse, stringify } from 'lossless-json'

export type JsonNumber = number | LosslessNumber
export type Json = null | boolean | JsonNumber | string | Json[] | JsonObject
export interface JsonObject {
  [key: string]: Json
}

/** The deepest nesting that is accepted from outside; a Matano context has fewer than ten levels. */
export const MAX_DEPTH = 128

/** A double represents every number of up to fifteen digits exactly (IEEE 754). */
const MAX_DOUBLE_DIGITS = 15

const OPEN_BRACE = 0x7b
const OPEN_BRACKET = 0x5b
const CLOSE_BRACE = 0x7d
const CLOSE_BRACKET = 0x5d
const QUOTE = 0x22
const BACKSLASH = 0x5c
const ZERO = 0x30
const NINE = 0x39
const POINT = 0x2e
const E = 0x45
/** The bit in which a lower-case ASCII letter differs from its capital. */
const LOWER_CASE_BIT = 0x20

/** A text that nests deeper than is accepted. */
export class TooDeepError extends SyntaxError {}

/**
 * Parses a JSON text (RFC 8259). A number that a double cannot represent exactly becomes a `LosslessNumber`. The last
 * value of a repeated key counts, as in `JSON.parse`.
 * @throws SyntaxError when the text is not JSON; TooDeepError when it nests deeper than `maxDepth`
 */
export function parseJson(text: string, maxDepth = MAX_DEPTH): Json {
  // Most values of a context are strings, which need no scan.
  if (text.charCodeAt(0) === QUOTE) return JSON.parse(text) as string
  const { depth, hasLongNumber } = scan(text)
  if (depth > maxDepth) throw new TooDeepError(`JSON nested deeper than ${maxDepth} levels`)
  // JSON.parse is many times faster than lossless-json, and exact where every number is short.
  if (!hasLongNumber) return JSON.parse(text) as Json
  return parse(text, undefined, { parseNumber, onDuplicateKey: ({ newValue }) => newValue }) as Json
}

/**
 * Parses JSON that the relay itself stored. It may nest deeper than what it was made from: in a context that is built from
 * several, a path may lead through a list at each of its keys.
 */
export function parseStoredJson(text: string): Json {
  return parseJson(text, 3 * MAX_DEPTH)
}

/** What JSON.stringify writes for a `LosslessNumber`. */
const LOSSLESS_MARK = '"isLosslessNumber":true'

/** The JSON text of a value, without white space; a `LosslessNumber` is written as it was read. */
export function stringifyJson(value: Json): string {
  // JSON.stringify is many times faster but does not know LosslessNumber: a text with one is written again by
  // lossless-json.
  const text = JSON.stringify(value)
  return text.includes(LOSSLESS_MARK) ? (stringify(value) ?? 'null') : text
}

/**
 * One text for equal values: the members of objects are sorted by name, and numbers are written alike (1, 1.0 and 10e-1 are
 * one number). It is for comparison and digests; for numbers it is no JSON.
 */
export function canonicalJson(value: Json): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number' || isLosslessNumber(value)) return canonicalNumber(String(value))
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join()}]`
  if (!isJsonObject(value)) return JSON.stringify(value)
  const members = Object.keys(value).sort()
  return `{${members.map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key]!)}`).join()}}`
}

/** A JSON number as digits without leading or trailing zeros and a power of ten, which is exact at any size. */
function canonicalNumber(text: string): string {
  const [, sign, whole = '', fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text)!
  const digits = (whole + fraction).replace(/^0+/, '')
  const significant = digits.replace(/0+$/, '')
  if (significant === '') return '0'
  const power = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - significant.length)
  return `${sign}${significant}e${power}`
}

/** About how many characters the JSON text of a value has. */
export function approximateSize(value: Json): number {
  if (typeof value === 'string') return value.length
  if (Array.isArray(value)) return value.reduce<number>((sum, element) => sum + approximateSize(element), 2)
  if (!isJsonObject(value)) return 8
  let size = 2
  for (const key in value) size += key.length + approximateSize(value[key]!)
  return size
}

/** True for a JSON object: not null, an array or a `LosslessNumber`. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isLosslessNumber(value)
}

/** An object without a prototype, so that every key is data, `__proto__` too. */
export function emptyObject(): JsonObject {
  return Object.create(null) as JsonObject
}

/** A database's bigint as a JSON number with every digit. */
export function numberOf(integer: bigint): JsonNumber {
  return parseNumber(String(integer))
}

/** The integer a JSON value holds, if it is one that fits PostgreSQL's bigint; otherwise undefined. */
export function integerOf(value: Json | undefined): bigint | undefined {
  const text = typeof value === 'number' || isLosslessNumber(value) ? String(value) : ''
  if (!/^-?\d{1,19}$/.test(text)) return undefined
  const integer = BigInt(text)
  return BigInt.asIntN(64, integer) === integer ? integer : undefined
}

function parseNumber(text: string): JsonNumber {
  return isSafeNumber(text) ? Number(text) : new LosslessNumber(text)
}

/**
 * Scans a JSON text for its depth of nesting and for numbers that a double may not represent exactly: longer than
 * fifteen digits, or with an exponent. The contents of strings are skipped.
 */
function scan(text: string): { depth: number; hasLongNumber: boolean } {
  let [depth, deepest, digits] = [0, 0, 0]
  let hasLongNumber = false
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (char === QUOTE) {
      i = endOfString(text, i)
      digits = 0
    } else if ((char >= ZERO && char <= NINE) || char === POINT) {
      if (++digits > MAX_DOUBLE_DIGITS) hasLongNumber = true
    } else {
      if (digits > 0 && (char & ~LOWER_CASE_BIT) === E) hasLongNumber = true
      digits = 0
      if (char === OPEN_BRACE || char === OPEN_BRACKET) deepest = Math.max(deepest, ++depth)
      else if (char === CLOSE_BRACE || char === CLOSE_BRACKET) depth--
    }
  }
  return { depth: deepest, hasLongNumber }
}

/**
 * @returns the index of the closing quote of the string that begins at `start`; the text's length when there is none
 */
export function endOfString(text: string, start: number): number {
  for (let end = start; ;) {
    end = text.indexOf('"', end + 1)
    if (end === -1) return text.length
    let before = end - 1
    while (text.charCodeAt(before) === BACKSLASH) before--
    if ((end - before) % 2 === 1) return end
  }
}
