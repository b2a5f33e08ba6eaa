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

const OPEN_BRACE = 0x7b
const OPEN_BRACKET = 0x5b
const CLOSE_BRACE = 0x7d
const CLOSE_BRACKET = 0x5d
const QUOTE = 0x22
const BACKSLASH = 0x5c

/**
 * Parses a JSON text (RFC 8259). A number that a double cannot hold exactly becomes a `LosslessNumber`; of a repeated
 * key the last value counts, as in `JSON.parse`.
 * @throws SyntaxError when the text is not JSON or nests deeper than `MAX_DEPTH`
 */
export function parseJson(text: string): Json {
  // A lone string holds no number and nests nothing: most values of a context are one.
  if (text.charCodeAt(0) === QUOTE) return JSON.parse(text) as string
  if (nestsDeeperThan(text, MAX_DEPTH)) throw new SyntaxError(`JSON nested deeper than ${MAX_DEPTH} levels`)
  return parse(text, undefined, { parseNumber, onDuplicateKey: ({ newValue }) => newValue }) as Json
}

/** The JSON text of a value, without white space; `LosslessNumber`s as they were written. */
export function stringifyJson(value: Json): string {
  return stringify(value) ?? 'null'
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

function nestsDeeperThan(text: string, limit: number): boolean {
  let depth = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (inString) {
      if (char === BACKSLASH) i++
      else if (char === QUOTE) inString = false
    } else if (char === QUOTE) inString = true
    else if (char === OPEN_BRACE || char === OPEN_BRACKET) {
      if (++depth > limit) return true
    } else if (char === CLOSE_BRACE || char === CLOSE_BRACKET) depth--
  }
  return false
}
