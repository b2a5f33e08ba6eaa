/**
 * JSON that comes out as it came in: integers beyond 2^53 and decimals with more digits than a double keep every digit,
 * and keys such as `__proto__` are data.
 *
 * Promise: `stringifyJson(parseJson(text))` says what `text` said; hostile nesting is refused, never a stack overflow.
 */
import { isLosslessNumber, isSafeNumber, LosslessNumber, parse, stringify } from 'lossless-json'

export type JsonNumber = number | LosslessNumber
export type Json = null | boolean | JsonNumber | string | Json[] | JsonObject
export interface JsonObject {
  [key: string]: Json
}

/** Levels of nesting taken from outside; a Matano context has fewer than ten. */
export const MAX_DEPTH = 128

/** A double holds every number of fifteen digits, to the last one (IEEE 754). */
const MOST_PLAIN_DIGITS = 15

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
/** The bit by which a small letter differs from its capital. */
const SMALL = 0x20

/**
 * Parses a JSON text (RFC 8259). A number that a double cannot hold exactly becomes a `LosslessNumber`; of a repeated
 * key the last value counts, as in `JSON.parse`.
 * @throws SyntaxError when the text is not JSON or nests deeper than `MAX_DEPTH`
 */
export function parseJson(text: string): Json {
  // A lone string holds no number and nests nothing: most values of a context are one.
  if (text.charCodeAt(0) === QUOTE) return JSON.parse(text) as string
  const { depth, hasLongNumber } = survey(text)
  if (depth > MAX_DEPTH) throw new SyntaxError(`JSON nested deeper than ${MAX_DEPTH} levels`)
  // The engine's own parser is many times faster, and a double holds every number that is short and plain.
  if (!hasLongNumber) return JSON.parse(text) as Json
  return parse(text, undefined, { parseNumber, onDuplicateKey: ({ newValue }) => newValue }) as Json
}

/** What the engine's own writer makes of a `LosslessNumber`. */
const LOSSLESS_MARK = '"isLosslessNumber":true'

/** The JSON text of a value, without white space; `LosslessNumber`s as they were written. */
export function stringifyJson(value: Json): string {
  // The engine's own writer is many times faster. It does not know those numbers: what holds one is written again.
  const text = JSON.stringify(value)
  return text.includes(LOSSLESS_MARK) ? (stringify(value) ?? 'null') : text
}

/** True for a JSON object: not null, not an array, not a number that is kept as text. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isLosslessNumber(value)
}

/** An object without a prototype: every key is data, `__proto__` too. */
export function emptyObject(): JsonObject {
  return Object.create(null) as JsonObject
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
 * Looks a JSON text over: how deep it nests, and whether a number in it is one that a double may not hold: longer than
 * fifteen digits, or with an exponent. What stands in strings is neither.
 */
function survey(text: string): { depth: number; hasLongNumber: boolean } {
  let [depth, deepest, digits] = [0, 0, 0]
  let hasLongNumber = false
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (char === QUOTE) {
      i = endOfString(text, i)
      digits = 0
    } else if ((char >= ZERO && char <= NINE) || char === POINT) {
      if (++digits > MOST_PLAIN_DIGITS) hasLongNumber = true
    } else {
      if (digits > 0 && (char & ~SMALL) === E) hasLongNumber = true
      digits = 0
      if (char === OPEN_BRACE || char === OPEN_BRACKET) deepest = Math.max(deepest, ++depth)
      else if (char === CLOSE_BRACE || char === CLOSE_BRACKET) depth--
    }
  }
  return { depth: deepest, hasLongNumber }
}

/** @returns where the string that begins at `start` ends; the end of the text when it does not */
function endOfString(text: string, start: number): number {
  for (let end = start; ;) {
    end = text.indexOf('"', end + 1)
    if (end === -1) return text.length
    let before = end - 1
    while (text.charCodeAt(before) === BACKSLASH) before--
    if ((end - before) % 2 === 1) return end
  }
}
