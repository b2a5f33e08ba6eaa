/**
 * Contexts: nested objects whose leaves are lists of unique values. They are split into (path, value) pairs and built
 * from them.
 *
 * Guarantee: two values are equal exactly when path, type and value are equal: 1 and 1.0 are one value, 1 and "1" are
 * two, objects compare by structure. No key is special: `__proto__`, "a.b" and "" are data.
 */
import { hash } from 'node:crypto'
import { canonicalJson, emptyObject, isJsonObject, type Json, type JsonObject } from '../platform/json.js'

/** One value at one path of a context. */
export interface ContextValue {
  path: string[]
  value: Json
}

/** Values by identity, without repeats, in first-seen order. */
export type ContextValues = ReadonlyMap<string, ContextValue>

/**
 * Splits a context into its values, in the order of the document. A leaf that is not a list counts as a list of one.
 * The elements of a list are values, also if they are objects or lists.
 */
export function flattenContext(context: JsonObject): ContextValue[] {
  const values: ContextValue[] = []
  collect(context, [], values)
  return values
}

function collect(node: JsonObject, path: string[], values: ContextValue[]): void {
  for (const key of Object.keys(node)) {
    const child = node[key]!
    const childPath = [...path, key]
    if (isJsonObject(child)) collect(child, childPath, values)
    else if (Array.isArray(child)) for (const value of child) values.push({ path: childPath, value })
    else values.push({ path: childPath, value: child })
  }
}

interface Branch {
  values: Json[]
  children: Map<string, Branch>
}

/**
 * Builds a context: keys in alphabetical order, as upstream sends them, values in the order of the input. Where a path
 * has values and deeper paths, the deeper paths follow as one object in its list, so that no value is lost.
 */
export function buildContext(values: readonly ContextValue[]): JsonObject {
  const root: Branch = { values: [], children: new Map() }
  let [path, branch]: [readonly string[], Branch] = [[], root]
  for (const entry of values) {
    // the values of a list share their path
    if (entry.path !== path) [path, branch] = [entry.path, branchAt(root, entry.path)]
    branch.values.push(entry.value)
  }
  return objectOf(root)
}

function branchAt(root: Branch, path: readonly string[]): Branch {
  let branch = root
  for (const key of path) {
    let child = branch.children.get(key)
    if (!child) branch.children.set(key, (child = { values: [], children: new Map() }))
    branch = child
  }
  return branch
}

function objectOf(branch: Branch): JsonObject {
  const object = emptyObject()
  for (const key of [...branch.children.keys()].sort()) {
    const child = branch.children.get(key)!
    if (child.values.length === 0) object[key] = objectOf(child)
    else object[key] = child.children.size === 0 ? child.values : [...child.values, objectOf(child)]
  }
  return object
}

/** The values by identity, without repeats, in first-seen order. */
export function byIdentity(values: readonly ContextValue[]): ContextValues {
  const unique = new Map<string, ContextValue>()
  let [path, pathText]: [readonly string[] | undefined, string] = [undefined, '']
  for (const entry of values) {
    // the values of a list share their path
    if (entry.path !== path) [path, pathText] = [entry.path, JSON.stringify(entry.path)]
    const identity = `${pathText}\n${canonicalJson(entry.value)}`
    if (!unique.has(identity)) unique.set(identity, entry)
  }
  return unique
}

/** The values without repeats, in first-seen order. */
export function uniqueValues(values: readonly ContextValue[]): ContextValue[] {
  return [...byIdentity(values).values()]
}

/** A 16-byte digest of path and value, equal for equal context values. */
export function contextKey(entry: ContextValue): Buffer {
  return keyOfIdentity(identityOf(entry))
}

/** The `contextKey` of the value with this identity. */
export function keyOfIdentity(identity: string): Buffer {
  return hash('sha256', identity, 'buffer').subarray(0, 16)
}

/** A text that is equal for two context values exactly when they are equal. */
function identityOf({ path, value }: ContextValue): string {
  return `${JSON.stringify(path)}\n${canonicalJson(value)}`
}
