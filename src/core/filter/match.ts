/**
 * Decides whether a filter policy matches a body; policy.ts has the rules. Pure.
 *
 * Guarantee: matching takes time at most proportional to the length of the policy times that of the body, for any input.
 */
import { isJsonObject, type Json } from '../platform/json.js'
import { joinKeys, memberOf } from './dotted-keys.js'
import { contentOf, MIN_KEPT_LENGTH, type ListContent } from './list-content.js'
import type { Leaf, Test } from './operators.js'
import type { Field, FilterPolicy } from './policy.js'

/**
 * The outcome of a part of a policy, in ascending order. HOLDS: a value satisfies it, which also selects the element of a
 * list. HOLDS_MISSING: it holds only because fields are missing, which selects no element.
 */
export const FAILS = 0
export const HOLDS_MISSING = 1
export const HOLDS = 2
export type Outcome = typeof FAILS | typeof HOLDS_MISSING | typeof HOLDS

/** True when the policy matches the body; a body that is not an object matches no policy, as with SNS. */
export function matchesPolicy(policy: FilterPolicy, body: Json): boolean {
  return isJsonObject(body) && outcomeOf(policy, joinKeys(body)) !== FAILS
}

/** The outcomes where there is nothing, which is the usual case for most of a policy. */
const ofNothing = new WeakMap<FilterPolicy, Outcome>()

/** The outcome of an object of the policy for the value at its path. */
export function outcomeOf(policy: FilterPolicy, value: Json | undefined): Outcome {
  if (value !== undefined) return outcomeOfMembers(policy, value)
  let outcome = ofNothing.get(policy)
  if (outcome === undefined) ofNothing.set(policy, (outcome = outcomeOfMembers(policy, value)))
  return outcome
}

function outcomeOfMembers(policy: FilterPolicy, value: Json | undefined): Outcome {
  if (Array.isArray(value) && value.length > 0) return outcomeInList(policy, value)
  let outcome: Outcome = HOLDS_MISSING
  for (const field of policy.fields) {
    const member = memberOf(value, field.key)
    const one = 'policy' in field ? outcomeOf(field.policy, member) : outcomeOfField(field, member)
    if (one === FAILS) return FAILS
    if (one === HOLDS) outcome = HOLDS
  }
  for (const alternatives of policy.choices) {
    const one = outcomeOfAlternatives(alternatives, value)
    if (one === FAILS) return FAILS
    if (one === HOLDS) outcome = HOLDS
  }
  return outcome
}

export function outcomeOfAlternatives(alternatives: readonly FilterPolicy[], value: Json | undefined): Outcome {
  let best: Outcome = FAILS
  for (const alternative of alternatives) {
    const one = outcomeOf(alternative, value)
    if (one === HOLDS) return HOLDS
    if (one > best) best = one
  }
  return best
}

export function outcomeOfField(field: Field, value: Json | undefined): Outcome {
  const outcome = value === undefined ? HOLDS_MISSING : outcomeOfValues(field, value)
  return outcome === HOLDS_MISSING && !field.mayBeMissing ? FAILS : outcome
}

/** True when there is a value at any depth: `{}`, `[]` and `{"a": [{}]}` have none. */
export function hasValue(value: Json): boolean {
  if (Array.isArray(value)) return value.some(hasValue)
  if (!isJsonObject(value)) return true
  for (const key in value) if (hasValue(value[key]!)) return true
  return false
}

function outcomeInList(policy: FilterPolicy, elements: readonly Json[]): Outcome {
  let outcome: Outcome = HOLDS_MISSING
  let objects = elements
  if (elements.length >= MIN_KEPT_LENGTH) {
    const content = contentOf(elements)
    objects = content.objects
    // what has no members is alike
    if (content.leaves.length > 0 || content.hasEmptyObject || content.hasEmptyList) {
      outcome = outcomeOf(policy, undefined)
    }
  }
  for (let i = 0; i < objects.length && outcome !== HOLDS; i++) {
    const one = outcomeOf(policy, objects[i]!)
    if (one !== HOLDS_MISSING) outcome = one
  }
  return outcome
}

/** HOLDS_MISSING when there is no value. */
function outcomeOfValues(field: Field, value: Json): Outcome {
  if (typeof value !== 'object' || value === null) return passes(field.tests, value) ? HOLDS : FAILS
  if (!Array.isArray(value)) {
    if (isJsonObject(value)) return outcomeOfObject(field, value)
    return passes(field.tests, value) ? HOLDS : FAILS
  }
  if (value.length >= MIN_KEPT_LENGTH) return outcomeOfContent(field, contentOf(value))
  let outcome: Outcome = HOLDS_MISSING
  for (const element of value) {
    const one = outcomeOfValues(field, element)
    if (one === HOLDS) return HOLDS
    if (one === FAILS) outcome = FAILS
  }
  return outcome
}

/** The same for a long list. */
function outcomeOfContent({ tests, mayBeObject, mayBeMissing }: Field, content: ListContent): Outcome {
  const { leaves, objects, hasEmptyObject } = content
  for (const leaf of leaves) if (passes(tests, leaf)) return HOLDS
  if (mayBeObject || mayBeMissing) {
    const hasFullObject = (content.hasFullObject ??= objects.some(hasValue))
    if (hasFullObject) return mayBeObject ? HOLDS : FAILS
    return leaves.length > 0 ? FAILS : HOLDS_MISSING
  }
  return leaves.length > 0 || objects.length > 0 || hasEmptyObject ? FAILS : HOLDS_MISSING
}

function passes(tests: readonly Test[], value: Leaf): boolean {
  for (const test of tests) if (test(value)) return true
  return false
}

function outcomeOfObject({ mayBeObject, mayBeMissing }: Field, object: Json): Outcome {
  if (!mayBeObject && !mayBeMissing) return FAILS
  if (!hasValue(object)) return HOLDS_MISSING
  return mayBeObject ? HOLDS : FAILS
}
