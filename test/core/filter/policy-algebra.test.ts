import fc from 'fast-check'
import t from 'tap'
import {
  isJsonObject,
  MAX_DEPTH,
  parseJson,
  stringifyJson,
  type Json,
  type JsonObject,
} from '../../../src/core/platform/json.js'
import { explainMismatch } from '../../../src/core/filter/explain.js'
import { matchesPolicy } from '../../../src/core/filter/match.js'
import { parseFilterPolicy } from '../../../src/core/filter/policy.js'
import { listBody, plainBody, scalar, simplePolicy, valueConditions } from './arbitraries.js'

const matches = (policy: unknown, body: Json) => matchesPolicy(parseFilterPolicy(policy), body)
const accepts = (conditions: unknown[], value: Json) => matches({ field: conditions }, { field: value })
const explain = (policy: unknown, body: Json) => explainMismatch(parseFilterPolicy(policy), body)

/** A policy of the exact values of a body. */
function policyOf(value: Json): Json {
  if (Array.isArray(value)) return value.length > 0 ? [value.at(-1)!] : [{ exists: false }]
  if (value === null || typeof value !== 'object') return [value]
  const fields = Object.entries(value as JsonObject).map(([key, member]) => [key, policyOf(member)] as const)
  return fields.length > 0 ? Object.fromEntries(fields) : [{ exists: false }]
}

t.test('the exact values of a body are a policy that matches it', async () => {
  fc.assert(
    fc.property(
      plainBody.filter((body) => Object.keys(body).length > 0),
      (body) => matches(policyOf(body), body),
    ),
  )
})

t.test('for a present value anything-but is the negation of its operand', async () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '*'), minLength: 1, maxLength: 3 })
  const escaped = text.map((pattern) => pattern.replace(/\*+/g, '*'))
  fc.assert(
    fc.property(scalar, text, escaped, fc.integer({ min: -2, max: 2 }), (value, word, pattern, number) => {
      const pairs: [unknown, unknown][] = [
        [word, word],
        [number, number],
        ...['prefix', 'suffix', 'equals-ignore-case'].map((name): [unknown, unknown] => [
          { [name]: word },
          { [name]: word },
        ]),
        [{ wildcard: pattern }, { wildcard: pattern }],
      ]
      return pairs.every(
        ([wanted, excluded]) => accepts([wanted], value) !== accepts([{ 'anything-but': excluded }], value),
      )
    }),
  )
})

t.test('a wildcard matches what a naive matcher matches', async () => {
  /** @param pattern tokens; null is a star */
  const naive = (pattern: (string | null)[], text: string): boolean => {
    const [head, ...tail] = pattern
    if (head === undefined) return text === ''
    if (head === null) return naive(tail, text) || (text !== '' && naive(pattern, text.slice(1)))
    return text[0] === head && naive(tail, text.slice(1))
  }
  const tokens = fc
    .array(fc.constantFrom('a', 'b', '*', '\\', null), { maxLength: 7 })
    .map((list) => list.filter((token, index) => token !== null || list[index - 1] !== null))
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '*', '\\'), maxLength: 9 })
  fc.assert(
    fc.property(tokens, text, (pattern, value) => {
      const wildcard = pattern
        .map((token) => (token === '*' || token === '\\' ? `\\${token}` : (token ?? '*')))
        .join('')
      return accepts([{ wildcard }], value) === naive(pattern, value)
    }),
    { numRuns: 1000 },
  )
})

t.test('$or is the union of its alternatives, and fields are an intersection', async () => {
  fc.assert(
    fc.property(simplePolicy, simplePolicy, plainBody, (one, other, body) => {
      const union = matches({ $or: [one, other] }, body) === (matches(one, body) || matches(other, body))
      const [x, y] = [{ x: one }, { y: other }]
      const both = { x: body, y: body }
      return union && matches({ ...x, ...y }, both) === (matches(x, both) && matches(y, both))
    }),
    { numRuns: 500 },
  )
})

type Indexes = Map<Json[], number>
/** `value` is undefined for an object that has a value in it. */
type FlatField = { path: string; value: Json | undefined; indexes: Indexes }

/** The fields of a body, each with its index in every list around it. */
function flatten(body: JsonObject): FlatField[] {
  const fields: FlatField[] = []
  const visit = (value: Json, path: string, indexes: Indexes, around: Indexes) => {
    if (value === null || typeof value !== 'object') return fields.push({ path, value, indexes })
    const before = fields.length
    if (Array.isArray(value)) {
      value.forEach((item, index) => {
        const isLeaf = item === null || typeof item !== 'object'
        visit(item, path, isLeaf ? indexes : new Map([...indexes, [value, index]]), around)
      })
    } else {
      for (const [key, item] of Object.entries(value as JsonObject)) visit(item, `${path}.${key}`, indexes, indexes)
      if (fields.length > before) fields.push({ path, value: undefined, indexes: around })
    }
    return undefined
  }
  visit(body, '', new Map(), new Map())
  return fields
}

/** The path of a field and its conditions. */
type Rule = [string, Json[]]

function rulesOf(policy: Json, path = ''): Rule[] {
  if (Array.isArray(policy)) return [[path, policy]]
  return Object.entries(policy as JsonObject).flatMap(([key, member]) => rulesOf(member, `${path}.${key}`))
}

/** The conditions on a field, and those on what is in it, are about elements that need not be the same. */
function isObjectToo(rules: Rule[]): boolean {
  return rules.some(([path]) => rules.some(([other]) => other.startsWith(`${path}.`)))
}

/**
 * A naive implementation of event-ruler's rule: no two fields of a match are in different elements of the same list, and a
 * missing field is in none of the elements of the others.
 */
function rulerMatches(rules: Rule[], body: JsonObject): boolean {
  const fields = flatten(body)
  const isConsistent = (field: FlatField, indexes: Indexes) =>
    [...field.indexes].every(([list, index]) => (indexes.get(list) ?? index) === index)
  const search = ([rule, ...rest]: Rule[], indexes: Indexes, missing: string[]): boolean => {
    if (!rule) return !fields.some((field) => missing.includes(field.path) && isConsistent(field, indexes))
    const [path, conditions] = rule
    const has = (exists: boolean) =>
      conditions.some((condition) => isJsonObject(condition) && condition.exists === exists)
    if (has(false) && search(rest, indexes, [...missing, path])) return true
    return fields.some((field) => {
      if (field.path !== path || !isConsistent(field, indexes)) return false
      if (!has(true) && (field.value === undefined || !conditions.includes(field.value))) return false
      return search(rest, new Map([...indexes, ...field.indexes]), missing)
    })
  }
  return search(rules, new Map(), [])
}

const { policy: nestedPolicy } = fc.letrec<{ node: Json; policy: JsonObject }>((tie) => ({
  node: fc.oneof({ maxDepth: 2 }, valueConditions, tie('policy')),
  policy: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'a.b', 'b.c'), tie('node'), { minKeys: 1, maxKeys: 2 }),
}))

t.test('lists of objects match as in event-ruler: no two fields from different elements', async () => {
  const found = { yes: 0, no: 0 }
  fc.assert(
    fc.property(nestedPolicy, listBody, (policy, body) => {
      const rules = rulesOf(policy)
      fc.pre(!isObjectToo(rules))
      const expected = rulerMatches(rules, body)
      found[expected ? 'yes' : 'no']++
      return matches(policy, body) === expected
    }),
    { numRuns: 5000 },
  )
  t.ok(found.yes > 200 && found.no > 200, JSON.stringify(found))
})

/** Milliseconds. The limits below are some hundred times the measured values, and far below those of backtracking. */
const timed = (work: () => unknown) => {
  const start = performance.now()
  work()
  return performance.now() - start
}

t.test('a wildcard with a thousand stars takes linear time on a long text', async (t) => {
  const text = 'a'.repeat(1_000_000)
  const policies = [
    '*a'.repeat(1000) + '*b',
    'a*'.repeat(1000) + 'b',
    `*${'a'.repeat(2000)}b*`,
    `*b${'a'.repeat(2000)}*`,
  ]
  for (const wildcard of policies) {
    const policy = parseFilterPolicy({ field: [{ wildcard }] })
    t.ok(timed(() => t.notOk(matchesPolicy(policy, { field: text }))) < 5000, wildcard.slice(0, 10))
  }
})

t.test('alternatives and deep lists take time proportional to their number', async (t) => {
  const one = { $or: Array.from({ length: 30 }, (_, index) => ({ a: [index] })) }
  const levels = Array.from({ length: 25 }).reduce<object>(
    (inner, _, index) => ({ a: inner, [`f${index}`]: ['x'], $or: [{ b: ['x'] }, { c: ['x'] }] }),
    { a: ['x'] },
  )
  let list: Json = { a: 'y', b: 'x' }
  for (let depth = 0; depth < MAX_DEPTH - 10; depth++) list = [list, 'z']
  t.ok(timed(() => matches(one, { a: list })) < 1000)
  t.ok(timed(() => matches(levels, { a: list })) < 1000)
  const objects = Array.from({ length: 20_000 }, () => ({ a: 1, b: [{ a: 1 }, { a: 2 }] }))
  t.ok(timed(() => t.notOk(matches({ l: { b: { a: [3] }, $or: one.$or } }, { l: objects }))) < 5000)
})

t.test('texts of any case take time proportional to their length', async (t) => {
  const text = `${'aſ'.repeat(1023)}ax`
  const policy = parseFilterPolicy({
    a: [{ prefix: { 'equals-ignore-case': text } }, { suffix: { 'equals-ignore-case': text } }],
    b: [{ 'anything-but': { 'equals-ignore-case': [text] } }],
  })
  const values = Array.from({ length: 1000 }, () => 'AS'.repeat(1500))
  t.ok(timed(() => t.notOk(matchesPolicy(policy, { a: values, b: 'x' }))) < 5000)
  t.ok(timed(() => t.ok(matchesPolicy(policy, { a: [...values, `AS${text}`], b: text.slice(1) }))) < 5000)
})

t.test('a number of a million digits is parsed once', async (t) => {
  const body = { n: parseJson(`1${'0'.repeat(500_000)}.${'0'.repeat(499_999)}1`) }
  const policies = Array.from({ length: 1000 }, (_, index) =>
    parseFilterPolicy({ n: [{ numeric: ['<', index] }, index] }),
  )
  t.ok(timed(() => t.notOk(policies.some((policy) => matchesPolicy(policy, body)))) < 5000)
  t.ok(stringifyJson(explain({ n: [1] }, body)[0]!.reason).length < 200)
})
