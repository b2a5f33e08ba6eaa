/**
 * Filter policies: JSON that says which bodies a webhook wants, in the language of Amazon SNS's payload-based filter
 * policies and EventBridge's event patterns. Pure.
 *
 * Guarantee: a policy is checked and compiled once; an error names its place and how to correct it. Matching then takes
 * time at most proportional to the length of the policy times that of the body, for any input.
 *
 * ## The language
 *
 *     { "updated_alert": { "severity": ["high", "critical"], "match_count": [{ "numeric": [">=", 10] }] },
 *       "$or": [{ "relay": { "type": ["alert.created"] } }, { "context_diff": { "source": { "ip": [{ "exists": true }] } } }] }
 *
 * - An object holds fields, which must all match (and). A list holds conditions on one field, of which one must match
 *   (or). `$or` holds two or more objects, of which one must match; every object may have one.
 * - Conditions: a string, number, boolean or null, compared for equality; `prefix`, `suffix` (both also with
 *   `{"equals-ignore-case": ...}` inside), `equals-ignore-case`, `wildcard`, `anything-but` (strings or numbers, or an
 *   object with one of the string operators), `numeric`, `cidr`, `exists`.
 * - Types are never converted: "5" is not 5, and null is a value, not a missing one. Strings compare by their characters, case
 *   included. Numbers compare as decimals without rounding and without SNS's limits (10^9, five places).
 * - The values of a field are its value, or those in its lists, at any depth. A field matches when one of its values
 *   satisfies one condition, also a negative one: `{"anything-but": "a"}` matches ["a", "b"] and not ["a"].
 * - A field is missing when it has no value: absent, an empty list, or an object ("exists works on leaf nodes").
 *   `{"exists": false}` is the only condition that a missing field satisfies; anything-but needs a value. A null exists,
 *   as in event-ruler; SNS's page mentions non-null values, which is about message attributes.
 * - A list of objects matches when one element satisfies the whole object of the policy; different elements do not add
 *   up. When all conditions are `{"exists": false}`, every element must satisfy them. An `$or` outside the object selects
 *   its element independently: put it inside to mean the same element.
 * - A dot in a key is an ordinary character. AWS joins keys with dots before it compares; event-ruler's README advises
 *   against relying on that.
 *
 * Sources: Amazon SNS Developer Guide, "Subscription filter policies" with its pages on AND/OR logic, key matching, numeric
 * and string value matching; Amazon EventBridge User Guide, "Comparison operators"; and, where these are silent, the README
 * ("JSON Array Matching") and JsonRuleCompiler of aws/event-ruler, which EventBridge runs and whose errors SNS returns.
 */
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js'
import { FilterPolicyError } from './policy-error.js'
import { assertWithinLimits } from './limits.js'
import { equalityTest, isOperatorName, onlyMember, operatorTest, type Leaf, type Test } from './operators.js'
import { memberPath } from '../platform/json-pointer.js'

/** A compiled policy, or an object in it: all fields must match, and one of the alternatives if there are any. */
export interface FilterPolicy {
  readonly fields: readonly (Field | Group)[]
  readonly alternatives: readonly FilterPolicy[]
}

/** A field with conditions. */
export interface Field {
  readonly key: string
  /** The conditions as written. */
  readonly conditions: Json[]
  /** A value must pass one of these. */
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
 * The outcome of a part of a policy, in ascending order. HOLDS: a value satisfies it, which also selects the element of a
 * list. HOLDS_MISSING: it holds only because fields are missing, which selects no element.
 */
export const FAILS = 0
export const HOLDS_MISSING = 1
export const HOLDS = 2
export type Outcome = typeof FAILS | typeof HOLDS_MISSING | typeof HOLDS

/**
 * Checks and compiles a policy.
 * @param policy parsed JSON, its numbers plain or `LosslessNumber`s
 * @throws FilterPolicyError for everything that AWS refuses, such as empty objects and lists, values outside a list, an
 *   unknown operator, two operators in one object, an `$or` of fewer than two objects
 */
export function parseFilterPolicy(policy: unknown): FilterPolicy {
  assertWithinLimits(policy)
  if (isJsonObject(policy)) return parsePolicy(policy, '')
  throw new FilterPolicyError('', 'a filter is an object such as {"updated_alert": {"severity": ["high"]}}')
}

/** True when the policy matches the body; a body that is not an object matches no policy, as with SNS. */
export function matchesPolicy(policy: FilterPolicy, body: Json): boolean {
  return isJsonObject(body) && outcomeOf(policy, body) !== FAILS
}

/** The outcome of an object of the policy for the value at its path. */
export function outcomeOf(policy: FilterPolicy, value: Json | undefined): Outcome {
  if (Array.isArray(value) && value.length > 0) return outcomeInList(policy, value)
  let outcome: Outcome = HOLDS_MISSING
  for (const field of policy.fields) {
    const member = memberOf(value, field.key)
    const one = 'policy' in field ? outcomeOf(field.policy, member) : outcomeOfField(field, member)
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

/** The value of an object's own key; undefined for inherited ones, so that keys such as `__proto__` are data. */
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
    throw new FilterPolicyError(path, 'an empty object has no condition: name a field, or leave the filter out')
  }
  const policy = { fields, alternatives }
  assertNamedOnce(policy, path)
  return policy
}

function hintFor(key: string): string {
  return isOperatorName(key)
    ? 'an operator belongs in a list, [{"prefix": "us-"}]'
    : 'put the values in a list, ["high"]'
}

/**
 * True when `$or` is the operator. As with SNS it is an ordinary field name when its value is not a list of objects, or
 * when each of these is an operator, `[{"prefix": "a"}, {"suffix": "z"}]`.
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
 * A field beside an `$or` must not be named inside it, too. In AWS one of the two lists silently wins, and newer versions
 * refuse it.
 */
function assertNamedOnce(policy: FilterPolicy, path: string): void {
  if (policy.alternatives.length === 0) return
  const beside = new Set(fieldPaths({ fields: policy.fields, alternatives: [] }))
  for (const field of fieldPaths({ fields: [], alternatives: policy.alternatives })) {
    if (!beside.has(field)) continue
    throw new FilterPolicyError(memberPath(path, '$or'), `${field} is also beside this $or: name it in one place`)
  }
}

/** The JSON pointers (into the body) of every field with conditions. */
function* fieldPaths(policy: FilterPolicy, path = ''): Generator<string> {
  for (const field of policy.fields) {
    const inner = memberPath(path, field.key)
    if ('policy' in field) yield* fieldPaths(field.policy, inner)
    else yield inner
  }
  for (const alternative of policy.alternatives) yield* fieldPaths(alternative, path)
}
