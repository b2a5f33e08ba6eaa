/**
 * Why a body does not match a filter policy, for the person who wrote it. Pure.
 *
 * Promise: empty exactly when the policy matches; bounded in number and length, whatever stands in the body.
 */
import { isJsonObject, stringifyJson, type Json } from '../platform/json.js'
import type { Leaf } from './operators.js'
import {
  FAILS,
  memberOf,
  outcomeOf,
  outcomeOfAlternatives,
  outcomeOfField,
  type Field,
  type FilterPolicy,
} from './policy.js'
import { memberPath } from '../platform/json-pointer.js'

/** One field that did not match; `path` is a JSON pointer (RFC 6901) into the body, '' the body itself. */
export interface Mismatch {
  path: string
  reason: string
}

const MAX_MISMATCHES = 20
const PATH_LENGTH = 300
const VALUE_LENGTH = 60
const CONDITIONS_LENGTH = 200
/** Members of a list that are shown. */
const SHOWN = 5

/**
 * The fields that did not match. When no alternative of an `$or` does, that is said of the object, and then what each
 * of them lacked.
 */
export function explainMismatch(policy: FilterPolicy, body: Json): Mismatch[] {
  if (!isJsonObject(body)) return [{ path: '', reason: 'the body is no JSON object' }]
  const first: Mismatch[] = []
  for (const { path, reason } of mismatches(policy, body, '')) {
    if (first.push({ path: shorten(path, PATH_LENGTH), reason }) === MAX_MISMATCHES) break
  }
  return first
}

function* mismatches(policy: FilterPolicy, value: Json | undefined, path: string): Generator<Mismatch> {
  if (Array.isArray(value) && value.length > 0) {
    if (outcomeOf(policy, value) === FAILS) yield* mismatchesInList(policy, value, path)
    return
  }
  for (const part of policy.fields) {
    const member = memberOf(value, part.key)
    const inner = memberPath(path, part.key)
    if ('policy' in part) yield* mismatches(part.policy, member, inner)
    else if (outcomeOfField(part, member) === FAILS) yield { path: inner, reason: reasonFor(part, member) }
  }
  if (policy.alternatives.length === 0 || outcomeOfAlternatives(policy, value) !== FAILS) return
  yield { path, reason: `none of the ${policy.alternatives.length} alternatives of $or matches` }
  for (const alternative of policy.alternatives) yield* mismatches(alternative, value, path)
}

function* mismatchesInList(policy: FilterPolicy, elements: Json[], path: string): Generator<Mismatch> {
  if (elements.length === 1) return yield* mismatches(policy, elements[0], memberPath(path, 0))
  yield { path, reason: `no single one of its ${elements.length} elements matches all that is said of them` }
}

function reasonFor({ conditions }: Field, value: Json | undefined): string {
  const wanted = shorten(stringifyJson(conditions.slice(0, SHOWN)), CONDITIONS_LENGTH)
  const more = conditions.length > SHOWN ? ` and ${conditions.length - SHOWN} more conditions` : ''
  return `${found(value)}; wanted: ${wanted}${more}`
}

function found(value: Json | undefined): string {
  if (value === undefined) return 'missing'
  const leaves: Leaf[] = []
  collectLeaves(value, leaves)
  if (leaves.length > 0) return leaves.map((leaf, index) => (index < SHOWN ? show(leaf) : 'others')).join(', ')
  return `${isJsonObject(value) ? 'an object' : 'a list without values'}, which counts as missing`
}

/** The first values, and one more if there is one. */
function collectLeaves(value: Json, into: Leaf[]): void {
  if (into.length > SHOWN) return
  if (Array.isArray(value)) for (const element of value) collectLeaves(element, into)
  else if (!isJsonObject(value)) into.push(value)
}

function show(leaf: Leaf): string {
  if (typeof leaf !== 'string') return shorten(stringifyJson(leaf), VALUE_LENGTH)
  return stringifyJson(shorten(leaf, VALUE_LENGTH))
}

function shorten(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length).toWellFormed()}…` : text
}
