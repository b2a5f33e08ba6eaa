/**
 * Explains why a body does not match a filter policy, for the author of the policy. Pure.
 *
 * Guarantee: the explanation is empty exactly when the policy matches, and bounded in number and length for any body.
 */
import { isJsonObject, stringifyJson, type Json } from '../platform/json.js'
import { memberPath } from '../platform/json-pointer.js'
import { joinKeys, memberOf } from './dotted-keys.js'
import { FAILS, hasValue, outcomeOf, outcomeOfAlternatives, outcomeOfField } from './match.js'
import type { Leaf } from './operators.js'
import type { Field, FilterPolicy } from './policy.js'

/**
 * One field that did not match; `path` is a JSON pointer (RFC 6901) into the body, '' the body itself. The names of a dotted
 * key stand apart: `/source/ip` is also the key "source.ip".
 */
export interface Mismatch {
  path: string
  reason: string
}

const MAX_MISMATCHES = 20
const PATH_LENGTH = 300
const VALUE_LENGTH = 60
const CONDITIONS_LENGTH = 200
/** Members of a list that an explanation quotes. */
const MAX_QUOTED = 5

/**
 * The fields that did not match. When no alternative of an `$or` matches, there is one entry for the object that holds it,
 * then the fields of each alternative.
 */
export function explainMismatch(policy: FilterPolicy, body: Json): Mismatch[] {
  if (!isJsonObject(body)) return [{ path: '', reason: 'the body is no JSON object' }]
  const first: Mismatch[] = []
  for (const { path, reason } of mismatches(policy, joinKeys(body), '')) {
    if (first.push({ path: shorten(path, PATH_LENGTH), reason }) === MAX_MISMATCHES) break
  }
  return first
}

function* mismatches(policy: FilterPolicy, value: Json | undefined, path: string): Generator<Mismatch> {
  if (Array.isArray(value) && value.length > 0) {
    if (outcomeOf(policy, value) === FAILS) yield* mismatchesInList(policy, value, path)
    return
  }
  for (const field of policy.fields) {
    const member = memberOf(value, field.key)
    const inner = memberPath(path, field.key)
    if ('policy' in field) yield* mismatches(field.policy, member, inner)
    else if (outcomeOfField(field, member) === FAILS) yield { path: inner, reason: reasonFor(field, member) }
  }
  for (const alternatives of policy.choices) {
    if (outcomeOfAlternatives(alternatives, value) !== FAILS) continue
    yield { path, reason: `none of the ${alternatives.length} alternatives of $or matches` }
    for (const alternative of alternatives) yield* mismatches(alternative, value, path)
  }
}

function* mismatchesInList(policy: FilterPolicy, elements: Json[], path: string): Generator<Mismatch> {
  if (elements.length === 1) return yield* mismatches(policy, elements[0], memberPath(path, 0))
  yield { path, reason: `none of its ${elements.length} elements matches all conditions on one element` }
}

function reasonFor({ conditions }: Field, value: Json | undefined): string {
  const wanted = shorten(stringifyJson(conditions.slice(0, MAX_QUOTED)), CONDITIONS_LENGTH)
  const more = conditions.length > MAX_QUOTED ? ` and ${conditions.length - MAX_QUOTED} more conditions` : ''
  return `${found(value)}; wanted: ${wanted}${more}`
}

function found(value: Json | undefined): string {
  if (value === undefined) return 'missing'
  const leaves: Leaf[] = []
  collectLeaves(value, leaves)
  if (leaves.length > 0) return leaves.map((leaf, index) => (index < MAX_QUOTED ? quote(leaf) : 'others')).join(', ')
  const kind = isJsonObject(value) ? 'an object' : 'a list'
  return hasValue(value) ? `${kind} with fields in it` : `${kind} without values, which counts as missing`
}

/** Collects the first values, and one more if there is one. */
function collectLeaves(value: Json, into: Leaf[]): void {
  if (into.length > MAX_QUOTED) return
  if (Array.isArray(value)) for (const element of value) collectLeaves(element, into)
  else if (!isJsonObject(value)) into.push(value)
}

function quote(leaf: Leaf): string {
  if (typeof leaf !== 'string') return shorten(stringifyJson(leaf), VALUE_LENGTH)
  return stringifyJson(shorten(leaf, VALUE_LENGTH))
}

function shorten(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length).toWellFormed()}…` : text
}
