/**
 * Filter policies: JSON that says which bodies a webhook wants, in the language of Amazon SNS's payload-based filter
 * policies and EventBridge's event patterns. Pure.
 *
 * Promise: a policy is checked and compiled once, and what is wrong is refused with the place and the remedy; matching
 * then costs at most the length of the policy times the length of the body, whoever wrote either.
 *
 * ## The language
 *
 *     { "updated_alert": { "severity": ["high", "critical"], "match_count": [{ "numeric": [">=", 10] }] },
 *       "$or": [{ "relay": { "type": ["alert.created"] } }, { "context_diff": { "source": { "ip": [{ "exists": true }] } } }] }
 *
 * - An object holds fields, and every one must match (and). A list holds conditions on one field, and any of them
 *   suffices (or). `$or` holds two or more objects, and any suffices; it may stand in every object.
 * - Conditions: a string, number, boolean or null, which is equal; `prefix`, `suffix` (both also with
 *   `{"equals-ignore-case": ...}` inside), `equals-ignore-case`, `wildcard`, `anything-but` (strings or numbers, or an
 *   object with one of the string operators), `numeric`, `cidr`, `exists`.
 * - Types never mix: "5" is not 5, and null is a value, not the absence of one. Strings compare by their characters, case
 *   included. Numbers compare as decimals without rounding and without SNS's limits (10^9, five places).
 * - The values of a field are what stands in it, or in its lists however nested. A field matches when one of its values
 *   satisfies one condition, also a negative one: `{"anything-but": "a"}` matches ["a", "b"] and not ["a"].
 * - A field is missing when there is no value in it: absent, an empty list, or an object ("exists works on leaf nodes").
 *   `{"exists": false}` is the only condition that a missing field satisfies; anything-but needs a value. A null exists,
 *   as in event-ruler; SNS's page speaks of non-null values, which is about message attributes.
 * - A list of objects matches when a single one of them satisfies the whole object of the policy, rather than one this
 *   field and another that. What is only said to be missing is missing in all of them. An `$or` that stands outside and
 *   reaches into the same list chooses its element for itself: put it inside to mean the same one.
 * - A dot in a key is a dot. AWS joins keys by dots before it compares, which event-ruler's README says not to rely upon.
 *
 * Sources: Amazon SNS Developer Guide, "Subscription filter policies" with its pages on AND/OR logic, key matching, numeric
 * and string value matching; Amazon EventBridge User Guide, "Comparison operators"; and, for what they leave open, the
 * README ("JSON Array Matching") and JsonRuleCompiler of aws/event-ruler, which EventBridge runs and whose refusals SNS
 * gives word for word.
 */
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js'
import { FilterPolicyError } from './policy-error.js'
import { assertWithinLimits } from './limits.js'
import { equalityTest, isOperatorName, onlyMember, operatorTest, type Leaf, type Test } from './operators.js'
import { memberPath } from '../platform/json-pointer.js'

/** A compiled policy, and each object in it: all fields match, and one of the alternatives if there are any. */
export interface FilterPolicy {
  readonly fields: readonly (Field | Group)[]
  readonly alternatives: readonly FilterPolicy[]
}

/** A field with conditions. */
export interface Field {
  readonly key: string
  /** The conditions as they were written. */
  readonly conditions: Json[]
  /** What a value may satisfy; any of them. */
  readonly tests: readonly Test[]
  /** True when the field may be missing. */
  readonly mayBeMissing: boolean
}

/** A field that holds an object. */
export interface Group {
  readonly key: string
  readonly policy: FilterPolicy
}

/**
 * How a part of a policy fares. Ordered: what holds by a value also settles which element of a list is meant; what holds
 * because nothing is there does not.
 */
export const FAILS = 0
export const HOLDS_MISSING = 1
export const HOLDS = 2
export type Outcome = typeof FAILS | typeof HOLDS_MISSING | typeof HOLDS

/**
 * Checks and compiles a policy.
 * @param policy parsed JSON, its numbers plain or `LosslessNumber`s
 * @throws FilterPolicyError for anything that is wrong, and for what AWS refuses: empty objects and lists, values outside
 *   a list, an unknown operator or two in one object, an `$or` of fewer than two
 */
export function parseFilterPolicy(policy: unknown): FilterPolicy {
  assertWithinLimits(policy)
  if (isJsonObject(policy)) return parsePolicy(policy, '')
  throw new FilterPolicyError('', 'a filter is an object such as {"updated_alert": {"severity": ["high"]}}')
}

/** True when the webhook wants the body; a body that is no object is not wanted by any policy, as with SNS. */
export function matchesPolicy(policy: FilterPolicy, body: Json): boolean {
  return isJsonObject(body) && outcomeOf(policy, body) !== FAILS
}

/** How an object of the policy fares with what stands in its place. */
export function outcomeOf(policy: FilterPolicy, value: Json | undefined): Outcome {
  if (Array.isArray(value) && value.length > 0) return outcomeInList(policy, value)
  let outcome: Outcome = HOLDS_MISSING
  for (const part of policy.fields) {
    const member = memberOf(value, part.key)
    const one = 'policy' in part ? outcomeOf(part.policy, member) : outcomeOfField(part, member)
    if (one === FAILS) return FAILS
    if (one === HOLDS) outcome = HOLDS
  }
  if (policy.alternatives.length === 0) return outcome
  const best = outcomeOfAlternatives(policy, value)
  return best === HOLDS_MISSING ? outcome : best
}

export function outcomeOfAlternatives(policy: FilterPolicy, value: Json | undefined): Outcome {
  let best: Outcome = FAILS
  for (const alternative of policy.alternatives) {
    const one = outcomeOf(alternative, value)
    if (one === HOLDS) return HOLDS
    if (one > best) best = one
  }
  return best
}

export function outcomeOfField(field: Field, value: Json | undefined): Outcome {
  const outcome = value === undefined ? HOLDS_MISSING : outcomeOfValues(field.tests, value)
  return outcome === HOLDS_MISSING && !field.mayBeMissing ? FAILS : outcome
}

/** The value of an object's own key; keys such as `__proto__` are data. */
export function memberOf(value: Json | undefined, key: string): Json | undefined {
  return isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
}

function outcomeInList(policy: FilterPolicy, elements: Json[]): Outcome {
  let outcome: Outcome = HOLDS_MISSING
  for (const element of elements) {
    const one = outcomeOf(policy, element)
    if (one === HOLDS) return HOLDS
    if (one === FAILS) outcome = FAILS
  }
  return outcome
}

/** HOLDS_MISSING when there is no value. */
function outcomeOfValues(tests: readonly Test[], value: Json): Outcome {
  if (!Array.isArray(value)) {
    if (isJsonObject(value)) return HOLDS_MISSING
    return tests.some((test) => test(value)) ? HOLDS : FAILS
  }
  let outcome: Outcome = HOLDS_MISSING
  for (const element of value) {
    const one = outcomeOfValues(tests, element)
    if (one === HOLDS) return HOLDS
    if (one === FAILS) outcome = FAILS
  }
  return outcome
}

function parsePolicy(object: JsonObject, path: string): FilterPolicy {
  const fields: (Field | Group)[] = []
  const alternatives: FilterPolicy[] = []
  for (const [key, value] of Object.entries(object)) {
    const inner = memberPath(path, key)
    if (key === '$or' && isAlternatives(value)) alternatives.push(...parseAlternatives(value, inner))
    else if (Array.isArray(value)) fields.push(parseField(key, value, inner))
    else if (isJsonObject(value)) fields.push({ key, policy: parsePolicy(value, inner) })
    else throw new FilterPolicyError(inner, `must be an object or a list: ${hintFor(key)}`)
  }
  if (fields.length + alternatives.length === 0) {
    throw new FilterPolicyError(path, 'an empty object says nothing: name a field, or leave the filter out')
  }
  const policy = { fields, alternatives }
  assertSaidOnce(policy, path)
  return policy
}

function hintFor(key: string): string {
  return isOperatorName(key)
    ? 'an operator stands in a list, [{"prefix": "us-"}]'
    : 'put the values in a list, ["high"]'
}

/**
 * True when `$or` is the operator. As with SNS it is a field's name like any other when it holds no list of objects, or
 * when each of these is an operator itself, `[{"prefix": "a"}, {"suffix": "z"}]`.
 */
function isAlternatives(value: Json): value is Json[] {
  return (
    Array.isArray(value) && value.some((member) => isJsonObject(member) && !Object.keys(member).some(isOperatorName))
  )
}

function parseAlternatives(list: Json[], path: string): FilterPolicy[] {
  if (list.length < 2) throw new FilterPolicyError(path, '$or takes two objects or more; a single one needs no $or')
  return list.map((member, index) => {
    const inner = memberPath(path, index)
    if (!isJsonObject(member)) throw new FilterPolicyError(inner, '$or takes objects alone')
    const reserved = Object.keys(member).find(isOperatorName)
    if (reserved === undefined) return parsePolicy(member, inner)
    throw new FilterPolicyError(memberPath(inner, reserved), 'names an operator: no field inside $or may be called so')
  })
}

function parseField(key: string, conditions: Json[], path: string): Field {
  if (conditions.length === 0) throw new FilterPolicyError(path, 'an empty list matches nothing: name a value')
  const constants: Leaf[] = []
  const tests: Test[] = []
  let mayBeMissing = false
  for (const [index, condition] of conditions.entries()) {
    const at = memberPath(path, index)
    if (Array.isArray(condition)) throw new FilterPolicyError(at, 'a list of conditions holds no further list')
    if (!isJsonObject(condition)) {
      constants.push(condition)
      continue
    }
    const [name, operand] = onlyMember(condition, at)
    const inner = memberPath(at, name)
    if (name !== 'exists') tests.push(operatorTest(name, operand, inner))
    else if (operand === true) tests.push(() => true)
    else if (operand === false) mayBeMissing = true
    else throw new FilterPolicyError(inner, 'must be true or false')
  }
  if (constants.length > 0) tests.unshift(equalityTest(constants))
  return { key, conditions, tests, mayBeMissing }
}

/**
 * AWS lets one of two lists for the same field win when one stands beside an `$or` and the other in it, and newer versions
 * refuse it. So do we, since it does not say what it seems to.
 */
function assertSaidOnce(policy: FilterPolicy, path: string): void {
  if (policy.alternatives.length === 0) return
  const beside = new Set(fieldPaths({ fields: policy.fields, alternatives: [] }))
  for (const field of fieldPaths({ fields: [], alternatives: policy.alternatives })) {
    if (!beside.has(field)) continue
    throw new FilterPolicyError(memberPath(path, '$or'), `${field} is also beside this $or: name it in one place`)
  }
}

/** Pointers into the body, of every field with conditions. */
function* fieldPaths(policy: FilterPolicy, path = ''): Generator<string> {
  for (const part of policy.fields) {
    const inner = memberPath(path, part.key)
    if ('policy' in part) yield* fieldPaths(part.policy, inner)
    else yield inner
  }
  for (const alternative of policy.alternatives) yield* fieldPaths(alternative, path)
}
