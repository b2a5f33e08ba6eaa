/**
 * The summary of a batch of rule matches: what Matano makes of the records that matched. Pure.
 *
 * Promise: the rules are upstream's (compact, drop, flatten, concatenate, unique, expand) without its faults: equality is
 * by type and value, and no key is special.
 */
import { emptyObject, isJsonObject, type Json, type JsonObject } from '../platform/json.js'
import { buildContext, uniqueValues, type ContextValue } from './context.js'

/** What says nothing of the alert: it differs in every match, or is about the match itself. */
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

/** The context that a batch of records has in common: every value once, in first-seen order. */
export function summarize(records: readonly JsonObject[]): JsonObject {
  return buildContext(uniqueValues(records.flatMap((record) => flatten(record, []))))
}

/** A record's values; dotted keys count as paths, as they do upstream: `{"a.b": 1}` is `{"a": {"b": 1}}`. */
function flatten(record: JsonObject, path: string[]): ContextValue[] {
  return Object.entries(record).flatMap(([key, child]) => {
    const childPath = [...path, ...dottedPath(key)]
    const name = childPath.join('.')
    if (DROPPED.has(name) || name === DROPPED_BRANCH) return []
    if (isJsonObject(child)) return flatten(child, childPath)
    return leaves(child).map((value) => ({ path: childPath, value }))
  })
}

/** A key with empty parts (".", "a.", "") is no dotted path: it stays one key. */
function dottedPath(key: string): string[] {
  const parts = key.split('.')
  return parts.includes('') ? [key] : parts
}

/** The values of a leaf: lists in lists are taken apart, what is empty is left out. */
function leaves(value: Json): Json[] {
  if (Array.isArray(value)) return value.flatMap(leaves)
  const compacted = compact(value)
  return compacted === undefined ? [] : [compacted]
}

/** The value without what is empty in it: null, "", {} and []; undefined when nothing is left. */
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
