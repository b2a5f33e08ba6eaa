/**
 * Decides whether a filter policy matches a body; policy.ts has the rules. Pure.
 *
 * Guarantee: matching takes time at most proportional to the length of the policy times that of the body, for any input.
 */
import { isJsonObject, type Json } from '../platform/json.js'
import { lookupFor, type MemberOf } from './dotted-keys.js'
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
  return isJsonObject(body) && outcomeOf(policy, body, lookupFor(body)) !== FAILS
}

/** The outcome of an object of the policy for the value at its path. */
export function outcomeOf(policy: FilterPolicy, value: Json | undefined, memberOf: MemberOf): Outcome {
  if (Array.isArray(value) && value.length > 0) return outcomeInList(policy, value, memberOf)
  let outcome: Outcome = HOLDS_MISSING
  for (const field of policy.fields) {
    const member = memberOf(value, field.key)
    const one = 'policy' in field ? outcomeOf(field.policy, member, memberOf) : outcomeOfField(field, member)
    if (one === FAILS) return FAILS
    if (one === HOLDS) outcome = HOLDS
  }
  for (const alternatives of policy.choices) {
    const one = outcomeOfAlternatives(alternatives, value, memberOf)
    if (one === FAILS) return FAILS
    if (one === HOLDS) outcome = HOLDS
  }
  return outcome
}

export function outcomeOfAlternatives(
  alternatives: readonly FilterPolicy[],
  value: Json | undefined,
  memberOf: MemberOf,
): Outcome {
  let best: Outcome = FAILS
  for (const alternative of alternatives) {
    const one = outcomeOf(alternative, value, memberOf)
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

function outcomeInList(policy: FilterPolicy, elements: Json[], memberOf: MemberOf): Outcome {
  let outcome: Outcome = HOLDS_MISSING
  for (const element of elements) {
    const one = outcomeOf(policy, element, memberOf)
    if (one === HOLDS) return HOLDS
    if (one === FAILS) outcome = FAILS
  }
  return outcome
}

/** HOLDS_MISSING when there is no value. */
function outcomeOfValues(field: Field, value: Json): Outcome {
  if (!Array.isArray(value)) {
    if (isJsonObject(value)) return outcomeOfObject(field, value)
    return field.tests.some((test) => test(value)) ? HOLDS : FAILS
  }
  let outcome: Outcome = HOLDS_MISSING
  for (const element of value) {
    const one = outcomeOfValues(field, element)
    if (one === HOLDS) return HOLDS
    if (one === FAILS) outcome = FAILS
  }
  return outcome
}

function outcomeOfObject({ mayBeObject, mayBeMissing }: Field, object: Json): Outcome {
  if (!mayBeObject && !mayBeMissing) return FAILS
  if (!hasValue(object)) return HOLDS_MISSING
  return mayBeObject ? HOLDS : FAILS
}
