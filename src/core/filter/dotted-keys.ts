/**
 * Fields by their names joined with dots, as SNS and EventBridge compare them: `{"a.b": 1}`, `{"a": {"b": 1}}` and a
 * policy's `"a.b"` are all the field `a` then `b`. Pure.
 *
 * Guarantee: a body is joined once, in time and memory proportional to its size.
 */
import { emptyObject, isJsonObject, type Json, type JsonObject } from '../platform/json.js'

/** A key of more names is one name, in policies and bodies, so that neither makes matching deep. */
const MAX_NAMES = 32

/** Bodies as policies look at them: they are looked at once for each webhook. */
const joinedBodies = new WeakMap<JsonObject, JsonObject>()

/** The names in a key of a policy, one or more; empty ones count. */
export function namesOf(key: string): string[] {
  const names = key.split('.', MAX_NAMES + 1)
  return names.length > MAX_NAMES ? [key] : names
}

/**
 * The body with an object for each name of its dotted keys; most bodies have none, and are returned as they are.
 * @param body is not changed, now or afterwards
 */
export function joinKeys(body: JsonObject): JsonObject {
  let joined = joinedBodies.get(body)
  if (!joined) joinedBodies.set(body, (joined = hasDottedKey(body) ? joinObject(body) : body))
  return joined
}

/** The value of an object's own key; undefined for inherited ones, so that keys such as `__proto__` are data. */
export function memberOf(value: Json | undefined, name: string): Json | undefined {
  return isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined
}

function hasDottedKey(value: Json): boolean {
  if (Array.isArray(value)) return value.some(hasDottedKey)
  if (!isJsonObject(value)) return false
  for (const key in value) if (key.includes('.') || hasDottedKey(value[key]!)) return true
  return false
}

/** The value itself where nothing in it is joined: most of a body is not copied. */
function join(value: Json): Json {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    let copy: Json[] | undefined
    for (const [index, element] of value.entries()) {
      const joined = join(element)
      if (joined !== element) (copy ??= [...value])[index] = joined
    }
    return copy ?? value
  }
  return isJsonObject(value) ? joinObject(value) : value
}

function joinObject(object: JsonObject): JsonObject {
  const keys = Object.keys(object)
  if (keys.some((key) => key.includes('.'))) {
    return joinMembers(keys.map((key) => ({ key, dot: firstDotOf(key), value: object[key]! })))
  }
  let copy: JsonObject | undefined
  for (const key of keys) {
    const joined = join(object[key]!)
    if (joined !== object[key]) (copy ??= Object.assign(emptyObject(), object))[key] = joined
  }
  return copy ?? object
}

interface Member {
  key: string
  /** Where its first name ends; -1 for a key that is one name. */
  dot: number
  value: Json
}

function joinMembers(members: readonly Member[]): JsonObject {
  if (members.length === 1) {
    const { key, dot, value } = members[0]!
    return nested(dot < 0 ? [key] : key.split('.'), join(value))
  }
  const joined = emptyObject()
  const rests = new Map<string, Member[]>()
  for (const { key, dot, value } of members) {
    if (dot < 0) {
      joined[key] = join(value)
      continue
    }
    const name = key.slice(0, dot)
    const rest = key.slice(dot + 1)
    const member = { key: rest, dot: rest.indexOf('.'), value }
    const others = rests.get(name)
    if (others) others.push(member)
    else rests.set(name, [member])
  }
  for (const [name, rest] of rests) joined[name] = merge(joined[name], joinMembers(rest))
  return joined
}

function nested(names: readonly string[], value: Json): JsonObject {
  return names.reduceRight<Json>((inner, name) => ({ [name]: inner }), value) as JsonObject
}

/** -1 for a key that is one name. */
function firstDotOf(key: string): number {
  const first = key.indexOf('.')
  let names = 1
  for (let dot = first; dot >= 0; dot = key.indexOf('.', dot + 1)) if (++names > MAX_NAMES) return -1
  return first
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
