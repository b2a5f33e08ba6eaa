/**
 * The summary of a batch of rule matches: one context from the records that matched, by Matano's rules. Pure.
 *
 * Guarantee: the steps are upstream's (compact, drop, flatten, concatenate, unique, expand), with two corrections:
 * equality is by type and value, and no key is special.
 */
import { emptyObject, isJsonObject, type Json, type JsonObject } from '../platform/json.js'
import { buildContext, uniqueValues, type ContextValue } from './context.js'

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
  return buildContext(uniqueValues(records.flatMap((record) => flatten(record, []))))
}

/** The values of a record. Dotted keys are paths, as upstream: `{"a.b": 1}` is `{"a": {"b": 1}}`. */
function flatten(record: JsonObject, path: string[]): ContextValue[] {
  return Object.entries(record).flatMap(([key, child]) => {
    const childPath = [...path, ...dottedPath(key)]
    const name = childPath.join('.')
    if (DROPPED.has(name) || name === DROPPED_BRANCH) return []
    if (isJsonObject(child)) return flatten(child, childPath)
    return leaves(child).map((value) => ({ path: childPath, value }))
  })
}

/** A key with empty parts (".", "a.", "") is not a dotted path and stays one key. */
function dottedPath(key: string): string[] {
  const parts = key.split('.')
  return parts.includes('') ? [key] : parts
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
