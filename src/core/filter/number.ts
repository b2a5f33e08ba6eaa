/**
 * Compares numbers as the decimals they were written as. Pure.
 *
 * Guarantee: no rounding. Two plain numbers compare as doubles, which is exact, since parseJson uses a double only where
 * it keeps every digit. Longer numbers, and those too large for a double, compare digit by digit.
 */
import { isLosslessNumber, type LosslessNumber } from 'lossless-json'
import type { Json, JsonNumber } from '../platform/json.js'

/** The value `sign` x 0.`digits` x 10^`point`, without zeros at either end of the digits. */
interface Decimal {
  sign: -1 | 0 | 1
  digits: string
  point: number
}

const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/

/** Each number is parsed once: it may have a million digits and be compared for a thousand webhooks. */
const decimals = new WeakMap<LosslessNumber, Decimal>()

export function isJsonNumber(value: Json): value is JsonNumber {
  return typeof value === 'number' || isLosslessNumber(value)
}

/** Negative when a < b, 0 when they are equal, positive when a > b; exact for exponents up to 2^53. */
export function compareNumbers(a: JsonNumber, b: JsonNumber): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const [left, right] = [decimalOf(a), decimalOf(b)]
  if (left.sign !== right.sign) return left.sign - right.sign
  if (left.point !== right.point) return left.point > right.point ? left.sign : -left.sign
  if (left.digits === right.digits) return 0
  return left.digits > right.digits ? left.sign : -left.sign
}

/** One text for equal numbers. */
export function decimalKey(number: JsonNumber): string {
  const { sign, digits, point } = decimalOf(number)
  return `${sign} ${digits} ${point}`
}

function decimalOf(number: JsonNumber): Decimal {
  if (typeof number === 'number') return parseDecimal(String(number))
  let decimal = decimals.get(number)
  if (!decimal) decimals.set(number, (decimal = parseDecimal(number.value)))
  return decimal
}

function parseDecimal(text: string): Decimal {
  const [, minus, whole = '', fraction = '', exponent = '0'] = NUMBER.exec(text) ?? []
  const all = whole + fraction
  let start = 0
  let end = all.length
  while (all[start] === '0') start++
  while (end > start && all[end - 1] === '0') end--
  if (start === end) return { sign: 0, digits: '', point: 0 }
  return { sign: minus ? -1 : 1, digits: all.slice(start, end), point: whole.length - start + Number(exponent) }
}
