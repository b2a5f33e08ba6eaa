/**
 * The printed differences between two values. Pure.
 *
 * Guarantee: what is printed holds no secret: neither a field that the relay masks nor the value of a variable.
 */
import { isJsonObject, type Json } from '../core/platform/json.js'
import { MASK } from '../core/webhook/credentials-mask.js'
import { hasReference } from './references.js'

/** A difference at one path, with both values as printed. */
export interface Difference {
  path: string
  /** Undefined for what will be created. */
  before: string | undefined
  after: string
}

/** Compares two values: objects member by member, anything else as a whole. */
export function differencesAt(
  path: string,
  before: Json | undefined,
  after: Json | undefined,
  source: Json | undefined,
): Difference[] {
  if (isJsonObject(before) && isJsonObject(after) && (source === undefined || isJsonObject(source))) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    return keys
      .filter((key) => !isEqual(member(before, key), member(after, key)))
      .flatMap((key) => {
        return differencesAt(`${path}.${key}`, member(before, key), member(after, key), member(source, key))
      })
  }
  // where the file has a variable, the value before is a secret too
  const isSecret = refersToSecrets(source) && before !== null && before !== undefined
  return [{ path, ...shortBoth(isSecret ? MASK : printed(before, undefined), printed(after, source)) }]
}

/** Formats a value as JSON, with references in place of their values; `none` when there is no value. */
export function printed(value: Json | undefined, source: Json | undefined): string {
  if (value === undefined && source === undefined) return 'none'
  const text = JSON.stringify(withReferences(value ?? null, source))
  return text === `"${MASK}"` ? MASK : text
}

function withReferences(value: Json, source: Json | undefined): Json {
  if (typeof source === 'string' && hasReference(source)) return source
  if (Array.isArray(value)) {
    return value.map((item, i) => withReferences(item, Array.isArray(source) ? source[i] : undefined))
  }
  if (!isJsonObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, withReferences(item, member(source, key))]),
  )
}

function refersToSecrets(source: Json | undefined): boolean {
  if (typeof source === 'string') return hasReference(source)
  if (typeof source !== 'object' || source === null) return false
  return Object.values(source).some(refersToSecrets)
}

/** Equality of JSON values: the order of keys does not matter, and -0 equals 0. */
export function isEqual(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => isEqual(item, b[i]))
  if (!isJsonObject(a) || !isJsonObject(b)) return false
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => isEqual(a[key], member(b, key)))
}

function member(value: Json | undefined, key: string): Json | undefined {
  return isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
}

/** Longer values are cut to this many characters, */
const MAX_PRINTED = 200
/** of which this many are before the first difference. */
const PRINTED_BEFORE = 40

export function short(text: string, from = 0): string {
  const end = from + MAX_PRINTED
  return `${from > 0 ? '…' : ''}${text.slice(from, end)}${text.length > end ? '…' : ''}`
}

/** Cuts two long values around their first difference. */
function shortBoth(before: string, after: string): { before: string; after: string } {
  let same = 0
  while (same < before.length && before[same] === after[same]) same++
  const isLong = Math.max(before.length, after.length) > MAX_PRINTED
  const from = isLong ? Math.max(0, same - PRINTED_BEFORE) : 0
  return { before: short(before, from), after: short(after, from) }
}
