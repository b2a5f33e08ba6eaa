/**
 * Filter policies: JSON that says which bodies a webhook wants, in the language of Amazon SNS's payload-based filter
 * policies and EventBridge's event patterns. Pure.
 *
 * Guarantee: a policy is checked and compiled once; an error names its place and how to correct it. A policy that was once
 * accepted always is: webhooks are stored with theirs.
 *
 * ## The language
 *
 *     { "updated_alert": { "severity": ["high", "critical"], "match_count": [{ "numeric": [">=", 10] }] },
 *       "$or": [{ "relay": { "type": ["alert.created"] } }, { "context_diff": { "source.ip": [{ "exists": true }] } }] }
 *
 * - An object holds fields, which must all match (and). A list holds conditions on one field, of which one must match
 *   (or). `$or` holds two or more objects, of which one must match; every object may have one. `{}` is no filter.
 * - Conditions: a string, number, boolean or null, compared for equality; `prefix`, `suffix` (both also with
 *   `{"equals-ignore-case": ...}` inside), `equals-ignore-case`, `wildcard`, `anything-but` (strings or numbers, or an
 *   object with one of the string operators), `numeric`, `cidr`, `exists`.
 * - Types are never converted: "5" is not 5, and null is a value, not a missing one. Strings compare by their characters, case
 *   included. Numbers compare as decimals without rounding and without SNS's limits (10^9, five places).
 * - A field is its names joined with dots, in the policy and in the body: `{"a.b": ...}` is `{"a": {"b": ...}}`. A field that
 *   a policy names twice must match both times; one that a body has twice has the values of both.
 * - The values of a field are its value, or those in its lists, at any depth. A field matches when one of its values
 *   satisfies one condition, also a negative one: `{"anything-but": "a"}` matches ["a", "b"] and not ["a"].
 * - A field exists when there is a value in it, at any depth; a null is one. It is missing when it is absent, or an object or
 *   list without values. `{"exists": true}` is the only condition that an object satisfies, `{"exists": false}` the only one
 *   that a missing field does; anything-but needs a value.
 * - A list of objects matches when one element satisfies the whole object of the policy, its `{"exists": false}` included;
 *   different elements do not add up. When it is satisfied by missing fields alone, every element must be. An `$or`
 *   outside the object selects its element independently: put it inside to mean the same element.
 *
 * Sources: Amazon SNS Developer Guide, "Subscription filter policies" with its pages on AND/OR logic, key matching, numeric
 * and string value matching; Amazon EventBridge User Guide, "Comparison operators"; and, where these are silent, the README
 * ("JSON Array Matching") and JsonRuleCompiler of aws/event-ruler, which EventBridge runs and whose errors SNS returns.
 * Where we differ from them is in the README, with the reason; test/core/filter/aws-cases.test.ts runs their cases.
 */
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js'
import { namesOf } from './dotted-keys.js'
import { FilterPolicyError } from './policy-error.js'
import { assertWithinLimits } from './limits.js'
import { createConditions, isOperatorName, type Test } from './operators.js'
import { onlyMember } from './text-tests.js'
import { memberPath } from '../platform/json-pointer.js'

/** A compiled policy, or an object in it: all fields must match, and one policy of each choice. */
export interface FilterPolicy {
  readonly fields: readonly (Field | Group)[]
  /** The lists of `$or`; an object has several when its key is written in several ways. */
  readonly choices: readonly (readonly FilterPolicy[])[]
}

/** A field with conditions. */
export interface Field {
  readonly key: string
  /** Where its conditions are, a JSON pointer into the policy. */
  readonly path: string
  /** The conditions as written. */
  readonly conditions: Json[]
  /** A value must pass one of these. */
  readonly tests: readonly Test[]
  /** What it takes to compare a value with them, beside looking at it (see complexity.ts). */
  readonly cost: number
  /** True when an object with values satisfies the field. */
  readonly mayBeObject: boolean
  /** True when the field may be missing. */
  readonly mayBeMissing: boolean
}

/** A field that holds an object. */
export interface Group {
  readonly key: string
  readonly policy: FilterPolicy
}

/**
 * Checks and compiles a policy.
 * @param policy parsed JSON, its numbers plain or `LosslessNumber`s
 * @throws FilterPolicyError for everything that AWS refuses, such as empty lists and inner objects, values outside a list,
 *   an unknown operator, two operators in one object, an `$or` of fewer than two objects
 */
export function parseFilterPolicy(policy: unknown): FilterPolicy {
  assertWithinLimits(policy)
  if (isJsonObject(policy)) return joinNames(parsePolicy(policy, ''))
  throw new FilterPolicyError('', 'a filter is an object such as {"updated_alert": {"severity": ["high"]}}')
}

function parsePolicy(object: JsonObject, path: string): FilterPolicy {
  const fields: (Field | Group)[] = []
  const choices: FilterPolicy[][] = []
  for (const [key, value] of Object.entries(object)) {
    const inner = memberPath(path, key)
    if (key === '$or' && isAlternatives(value)) choices.push(parseAlternatives(value, inner))
    else if (Array.isArray(value)) fields.push(parseField(key, value, inner))
    else if (isJsonObject(value)) fields.push({ key, policy: parsePolicy(value, inner) })
    else throw new FilterPolicyError(inner, `must be an object or a list: ${hintFor(key)}`)
  }
  if (path !== '' && fields.length + choices.length === 0) {
    throw new FilterPolicyError(path, 'an empty object has no condition: name a field, or leave the object out')
  }
  const policy = { fields, choices }
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
  const accepted = createConditions()
  let mayBeObject = false
  let mayBeMissing = false
  for (const [index, condition] of conditions.entries()) {
    const at = memberPath(path, index)
    if (Array.isArray(condition)) throw new FilterPolicyError(at, 'a list of conditions holds no further list')
    if (!isJsonObject(condition)) {
      accepted.addConstant(condition)
      continue
    }
    const [name, operand] = onlyMember(condition, at)
    const inner = memberPath(at, name)
    if (name !== 'exists') accepted.addOperator(name, operand, inner)
    else if (operand === true) mayBeObject = true
    else if (operand === false) mayBeMissing = true
    else throw new FilterPolicyError(inner, 'must be true or false')
  }
  const tests = [...(mayBeObject ? [() => true] : []), ...accepted.tests()]
  return { key, path, conditions, tests, cost: accepted.cost(), mayBeObject, mayBeMissing }
}

/**
 * A field beside an `$or` must not be named inside it, too. In AWS one of the two lists silently wins, and newer versions
 * refuse it. The names are compared as they are written.
 */
function assertNamedOnce({ fields, choices }: FilterPolicy, path: string): void {
  if (choices.length === 0) return
  const beside = new Set(fieldPaths({ fields, choices: [] }))
  for (const field of fieldPaths({ fields: [], choices })) {
    if (!beside.has(field)) continue
    throw new FilterPolicyError(memberPath(path, '$or'), `${field} is also beside this $or: name it in one place`)
  }
}

/** The JSON pointers (into the body) of every field with conditions. */
function* fieldPaths({ fields, choices }: FilterPolicy, path = ''): Generator<string> {
  for (const field of fields) {
    const inner = memberPath(path, field.key)
    if ('policy' in field) yield* fieldPaths(field.policy, inner)
    else yield inner
  }
  for (const alternative of choices.flat()) yield* fieldPaths(alternative, path)
}

/** Splits dotted keys into one object for each name, and unites the objects of the same name. */
function joinNames({ fields, choices }: FilterPolicy): FilterPolicy {
  return { fields: unite(fields.map(split)), choices: choices.map((policies) => policies.map(joinNames)) }
}

function split(field: Field | Group): Field | Group {
  const names = namesOf(field.key)
  const key = names.pop()!
  const last = 'policy' in field ? { key, policy: joinNames(field.policy) } : { ...field, key }
  return names.reduceRight<Field | Group>(
    (inner, name) => ({ key: name, policy: { fields: [inner], choices: [] } }),
    last,
  )
}

/** Unites the objects of one name: an element of a list must satisfy all that a policy says of it, however it is written. */
function unite(fields: readonly (Field | Group)[]): (Field | Group)[] {
  const groups = new Map<string, FilterPolicy[]>()
  for (const field of fields) {
    if (!('policy' in field)) continue
    const policies = groups.get(field.key)
    if (policies) policies.push(field.policy)
    else groups.set(field.key, [field.policy])
  }
  return fields.flatMap((field): (Field | Group)[] => {
    if (!('policy' in field)) return [field]
    const policies = groups.get(field.key) ?? []
    groups.delete(field.key)
    if (policies.length < 2) return policies.map((policy) => ({ key: field.key, policy }))
    const inner = unite(policies.flatMap((policy) => policy.fields))
    return [{ key: field.key, policy: { fields: inner, choices: policies.flatMap(({ choices }) => choices) } }]
  })
}
