/**
 * The summary of a batch of rule matches: one context from the records that matched, by Matano's rules. Pure.
 *
 * Guarantee: the steps are upstream's (compact, drop, flatten, concatenate, unique, expand), with two corrections:
 * equality is by type and value, and no key is special.
 */
import { emptyObject, isJsonObject, MAX_DEPTH, type Json, type JsonObject } from '../platform/json.js'
import { buildContext, uniqueValues, type ContextValue } from './context.js'

/** The deepest value of a context: a change has four levels around its values. */
const MAX_VALUE_DEPTH = MAX_DEPTH - 4

/** Fields that are left out: they differ in every match, or describe the match itself. */
const DROPPED = new Set([
  'ts',
  'message',
  'event.id',
  'event.created',
  'event.kind',
  'event.duration',
  'event.original',
])
const DROPPED_BRANCH = 'matano.alert'

/** The context of a batch of records: every value of them once, in first-seen order. */
export function summarize(records: readonly JsonObject[]): JsonObject {
  return buildContext(uniqueValues(records.flatMap((record) => flatten(record, [], []))))
}

/**
 * The values of a record. Dotted keys are paths, as upstream: `{"a.b": 1}` is `{"a": {"b": 1}}`; but where that would
 * nest deeper than JSON that the relay takes, a key is the name that it is.
 * @param keys the keys of the record that lead to it
 * @param path the same as a path
 */
function flatten(record: JsonObject, keys: string[], path: string[]): ContextValue[] {
  return Object.entries(record).flatMap(([key, child]) => {
    const childKeys = [...keys, key]
    const childPath = [...path, ...dottedPath(key)]
    const name = childPath.join('.')
    if (DROPPED.has(name) || name === DROPPED_BRANCH) return []
    if (isJsonObject(child)) return flatten(child, childKeys, childPath)
    return leaves(child).map((value) => ({
      path: childPath.length + depthOf(value) <= MAX_VALUE_DEPTH ? childPath : childKeys,
      value,
    }))
  })
}

/** How many lists and objects are in each other. */
function depthOf(value: Json): number {
  if (!Array.isArray(value) && !isJsonObject(value)) return 0
  return 1 + Object.values(value).reduce<number>((deepest, child) => Math.max(deepest, depthOf(child)), 0)
}

/** A key with empty parts (".", "a.", "") or too many of them is not a dotted path and stays one key. */
function dottedPath(key: string): string[] {
  const parts = key.split('.')
  return parts.includes('') || parts.length > MAX_VALUE_DEPTH ? [key] : parts
}

/** The values of a leaf: nested lists are flattened, empty values are left out. */
function leaves(value: Json): Json[] {
  if (Array.isArray(value)) return value.flatMap(leaves)
  const compacted = compact(value)
  return compacted === undefined ? [] : [compacted]
}

/** The value without its empty parts (null, "", {} and []); undefined when nothing is left. */
function compact(value: Json): Json | undefined {
  if (value === null || value === '') return undefined
  if (Array.isArray(value)) {
    const list = value.map(compact).filter((entry) => entry !== undefined)
    return list.length === 0 ? undefined : list
  }
  if (!isJsonObject(value)) return value
  const object = emptyObject()
  for (const [key, child] of Object.entries(value)) {
    const compacted = compact(child)
    if (compacted !== undefined) object[key] = compacted
  }
  return Object.keys(object).length === 0 ? undefined : object
}
