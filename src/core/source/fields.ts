/** Reads single values of JSON that a stranger wrote: what is missing or of another type is undefined. Pure. */
import { isLosslessNumber } from 'lossless-json'
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js'

/** The value at a path of keys. */
export function valueAt(value: Json | undefined, ...keys: string[]): Json | undefined {
  let at = value
  for (const key of keys) {
    if (!isJsonObject(at)) return undefined
    at = at[key]
  }
  return at
}

export function objectAt(value: Json | undefined, ...keys: string[]): JsonObject | undefined {
  const at = valueAt(value, ...keys)
  return isJsonObject(at) ? at : undefined
}

/** The objects of a list; a single object counts as a list of one. */
export function objectsAt(value: Json | undefined, ...keys: string[]): JsonObject[] {
  const at = valueAt(value, ...keys)
  if (Array.isArray(at)) return at.filter(isJsonObject)
  return isJsonObject(at) ? [at] : []
}

/** A text without white space around it; undefined when nothing is left. */
export function textAt(value: Json | undefined, ...keys: string[]): string | undefined {
  const at = valueAt(value, ...keys)
  return typeof at === 'string' ? at.trim() || undefined : undefined
}

/** The texts of a list. */
export function textsAt(value: Json | undefined, ...keys: string[]): string[] {
  const at = valueAt(value, ...keys)
  return Array.isArray(at) ? at.filter((entry) => typeof entry === 'string') : []
}

/** The first of these that is a text. */
export function firstText(...values: (Json | undefined)[]): string | undefined {
  for (const value of values) {
    const text = textAt(value)
    if (text !== undefined) return text
  }
  return undefined
}

/** A number, also one that is written as a text. */
export function numberAt(value: Json | undefined, ...keys: string[]): number | undefined {
  const at = valueAt(value, ...keys)
  if (typeof at === 'number') return at
  if (isLosslessNumber(at)) return Number(String(at))
  return typeof at === 'string' && /^\s*-?\d{1,20}(\.\d{1,20})?\s*$/.test(at) ? Number(at) : undefined
}

/** A count that is written as a number or as digits. */
export function countAt(value: Json | undefined, ...keys: string[]): bigint | undefined {
  const at = valueAt(value, ...keys)
  const text = typeof at === 'number' || typeof at === 'string' || isLosslessNumber(at) ? String(at) : ''
  return /^\d{1,18}$/.test(text) ? BigInt(text) : undefined
}

/** True for `true` and "true". */
export function flagAt(value: Json | undefined, ...keys: string[]): boolean {
  const at = valueAt(value, ...keys)
  return at === true || (typeof at === 'string' && at.toLowerCase() === 'true')
}
