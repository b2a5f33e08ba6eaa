/**
 * Fields by their names joined with dots, as SNS and EventBridge compare them: `{"a.b": 1}`, `{"a": {"b": 1}}` and a
 * policy's `"a.b"` are all the field `a` then `b`. Pure.
 *
 * Guarantee: time and memory are at most proportional to the size of the body for each level that policies look into.
 */
import { emptyObject, isJsonObject, type Json, type JsonObject } from '../platform/json.js'

/** The value of a field by the next of its names; undefined when there is none. */
export type MemberOf = (value: Json | undefined, name: string) => Json | undefined

/** A key of more names is one name, in policies and bodies, so that neither makes matching deep. */
const MAX_NAMES = 32

/** Whether a body has a dotted key at any depth: it is asked once for each webhook. */
const dotted = new WeakMap<JsonObject, boolean>()

/** The dotted keys of an object by their first name, and the members that were looked up. */
interface Index {
  keys: Map<string, string[]>
  members: Map<string, Json>
}

/** Null for an object without dotted keys. */
const indexes = new WeakMap<JsonObject, Index | null>()

/** The names in a key of a policy, one or more; empty ones count. */
export function namesOf(key: string): string[] {
  const names = key.split('.', MAX_NAMES + 1)
  return names.length > MAX_NAMES ? [key] : names
}

/**
 * How to look into a body: most bodies have no dotted key, and need no index.
 * @param body is not changed afterwards: what was found in it is kept for the next policy
 */
export function lookupFor(body: JsonObject): MemberOf {
  let isDotted = dotted.get(body)
  if (isDotted === undefined) dotted.set(body, (isDotted = hasDottedKey(body)))
  return isDotted ? joinedMemberOf : memberOf
}

/** The value of an object's own key; undefined for inherited ones, so that keys such as `__proto__` are data. */
function memberOf(value: Json | undefined, name: string): Json | undefined {
  return isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined
}

function joinedMemberOf(value: Json | undefined, name: string): Json | undefined {
  if (!isJsonObject(value)) return undefined
  let index = indexes.get(value)
  if (index === undefined) indexes.set(value, (index = indexOf(value)))
  const keys = index?.keys.get(name)
  if (!index || !keys) return memberOf(value, name)
  let member = index.members.get(name)
  if (member === undefined) {
    const rest = emptyObject()
    for (const key of keys) rest[key.slice(name.length + 1)] = value[key]!
    index.members.set(name, (member = merge(memberOf(value, name), rest)))
  }
  return member
}

function hasDottedKey(value: Json): boolean {
  if (Array.isArray(value)) return value.some(hasDottedKey)
  if (!isJsonObject(value)) return false
  for (const key in value) if (key.includes('.') || hasDottedKey(value[key]!)) return true
  return false
}

/** By one name alone: the rest of each key stays joined until a policy looks there. */
function indexOf(object: JsonObject): Index | null {
  const keys = new Map<string, string[]>()
  for (const key in object) {
    const name = firstNameOf(key)
    if (name === undefined) continue
    const others = keys.get(name)
    if (others) others.push(key)
    else keys.set(name, [key])
  }
  return keys.size === 0 ? null : { keys, members: new Map() }
}

/** Undefined for a key that is one name. */
function firstNameOf(key: string): string | undefined {
  const first = key.indexOf('.')
  let names = 1
  for (let dot = first; dot >= 0; dot = key.indexOf('.', dot + 1)) if (++names > MAX_NAMES) return undefined
  return first < 0 ? undefined : key.slice(0, first)
}

/**
 * The values of one field that is written in two ways: objects have the members of both; otherwise the values stand in
 * one list, in which each is an element.
 */
function merge(one: Json | undefined, other: Json): Json {
  if (one === undefined) return other
  if (!isJsonObject(one) || !isJsonObject(other)) return [one, other].flat() as Json[]
  const merged: JsonObject = Object.assign(emptyObject(), one)
  for (const [key, value] of Object.entries(other)) merged[key] = merge(memberOf(one, key), value)
  return merged
}
