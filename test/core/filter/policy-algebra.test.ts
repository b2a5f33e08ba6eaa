import fc from 'fast-check'
import { LosslessNumber } from 'lossless-json'
import t from 'tap'
import { SAMPLE_CHANGE } from '../../../src/core/event/sample.js'
import { MAX_DEPTH, parseJson, stringifyJson, type Json, type JsonObject } from '../../../src/core/platform/json.js'
import { FilterPolicyError } from '../../../src/core/filter/policy-error.js'
import { explainMismatch } from '../../../src/core/filter/explain.js'
import { compareNumbers } from '../../../src/core/filter/number.js'
import { matchesPolicy, parseFilterPolicy } from '../../../src/core/filter/policy.js'

const matches = (policy: unknown, body: Json) => matchesPolicy(parseFilterPolicy(policy), body)
const takes = (conditions: unknown[], value: Json) => matches({ field: conditions }, { field: value })
const explain = (policy: unknown, body: Json) => explainMismatch(parseFilterPolicy(policy), body)

/* Algebra, over few keys and values so that things meet. */

const scalar = fc.oneof(
  fc.constantFrom<Json>('a', 'b', 'ab', '', null, true, false, 0, 1, 2.5),
  fc.string(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
)
const plainBody = fc.letrec<{ node: Json; body: JsonObject }>((tie) => ({
  node: fc.oneof({ maxDepth: 3 }, scalar, fc.array(scalar, { maxLength: 3 }), tie('body')),
  body: fc.dictionary(fc.constantFrom('a', 'b', 'c', '__proto__', '$', '/~'), tie('node'), { maxKeys: 4 }),
})).body

/** What a body holds, said as a policy; undefined when it holds nothing. */
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

t.test('of a present value, anything-but is the negation of what it excludes', async () => {
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
        ([wanted, excluded]) => takes([wanted], value) !== takes([{ 'anything-but': excluded }], value),
      )
    }),
  )
})

t.test('a wildcard matches what a naive matcher matches', async () => {
  /** Pattern as tokens, null a star. */
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
      return takes([{ wildcard }], value) === naive(pattern, value)
    }),
    { numRuns: 1000 },
  )
})

const condition = fc.constantFrom<Json>(
  'a',
  1,
  null,
  { exists: false },
  { exists: true },
  { 'anything-but': 'a' },
  { prefix: 'a' },
)
const conditions = fc.array(condition, { minLength: 1, maxLength: 2 })
const simplePolicy = fc.dictionary(
  fc.constantFrom('a', 'b', 'c'),
  fc.oneof(conditions, fc.dictionary(fc.constantFrom('a', 'b'), conditions, { minKeys: 1 })),
  { minKeys: 1, maxKeys: 2 },
)

t.test('$or is the union of its alternatives, two fields the intersection', async () => {
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

/**
 * event-ruler's formal rule, done naively: a field is a path and a value with its place in every list around it, and no
 * two fields of a match come from different elements of the same list.
 */
function rulerMatches(policy: JsonObject, body: JsonObject): boolean {
  type Place = Map<Json[], number>
  const fields: { path: string; value: Json; place: Place }[] = []
  const flatten = (value: Json, path: string, place: Place) => {
    if (Array.isArray(value)) {
      value.forEach((item, index) =>
        flatten(item, path, typeof item === 'object' && item ? new Map([...place, [value, index]]) : place),
      )
    } else if (value !== null && typeof value === 'object') {
      for (const [key, item] of Object.entries(value as JsonObject)) flatten(item, `${path}.${key}`, place)
    } else fields.push({ path, value, place })
  }
  flatten(body, '', new Map())
  const rules: [string, Json[]][] = []
  const collect = (value: Json, path: string) => {
    if (Array.isArray(value)) rules.push([path, value])
    else for (const [key, item] of Object.entries(value as JsonObject)) collect(item, `${path}.${key}`)
  }
  collect(policy, '')
  const search = ([rule, ...rest]: typeof rules, place: Place): boolean => {
    if (!rule) return true
    return fields.some((field) => {
      if (field.path !== rule[0] || !rule[1].includes(field.value)) return false
      if ([...field.place].some(([list, index]) => place.has(list) && place.get(list) !== index)) return false
      return search(rest, new Map([...place, ...field.place]))
    })
  }
  return search(rules, new Map())
}

const value = fc.constantFrom<Json>(1, 2)
/** Bodies with lists of objects, and lists of lists. */
const listBody = fc.letrec<{ node: Json; list: Json[]; body: JsonObject }>((tie) => ({
  node: fc.oneof({ maxDepth: 4 }, value, tie('list'), tie('body')),
  list: fc.array(tie('node'), { maxLength: 3 }),
  body: fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('node'), { maxKeys: 3 }),
})).body

t.test('lists of objects match as event-ruler says: no two fields from different elements', async () => {
  const { policy } = fc.letrec<{ node: Json; policy: JsonObject }>((tie) => ({
    node: fc.oneof({ maxDepth: 2 }, fc.array(value, { minLength: 1, maxLength: 1 }), tie('policy')),
    policy: fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('node'), { minKeys: 1, maxKeys: 2 }),
  }))
  let found = 0
  fc.assert(
    fc.property(policy, listBody, (policy, body) => {
      const expected = rulerMatches(policy, body)
      if (expected) found++
      return matches(policy, body) === expected
    }),
    { numRuns: 5000 },
  )
  t.ok(found > 20, `${found} matches among them`)
})

t.test('an explanation is empty exactly when the policy matches', async () => {
  fc.assert(
    fc.property(simplePolicy, simplePolicy, fc.oneof(plainBody, listBody), (one, other, body) => {
      const policies = [one, { $or: [one, other] }, { a: { $or: [one, other] } }]
      return policies.every((policy) => matches(policy, body) === (explain(policy, body).length === 0))
    }),
    { numRuns: 500 },
  )
})

t.test('an explanation names the field, what it holds and what was wanted', async (t) => {
  t.same(
    explain({ updated_alert: { severity: ['high', { prefix: 'crit' }], title: [{ exists: true }] } }, SAMPLE_CHANGE),
    [{ path: '/updated_alert/severity', reason: '"medium"; wanted: ["high",{"prefix":"crit"}]' }],
  )
  t.same(explain({ a: { 'b/c': [1] } }, { a: 5 }), [{ path: '/a/b~1c', reason: 'missing; wanted: [1]' }])
  t.same(explain({ a: [1] }, { a: { b: 1 } }), [
    { path: '/a', reason: 'an object, which counts as missing; wanted: [1]' },
  ])
  t.same(explain({ a: [1] }, { a: [] }), [
    { path: '/a', reason: 'a list without values, which counts as missing; wanted: [1]' },
  ])
  t.same(explain({ a: [1] }, { a: ['x', [null, true], parseJson('1e400')] }), [
    { path: '/a', reason: '"x", null, true, 1e400; wanted: [1]' },
  ])
  t.same(explain({ a: [1] }, [1]), [{ path: '', reason: 'the body is no JSON object' }])
})

t.test('an explanation says what each alternative lacked, and which list has no fitting element', async (t) => {
  t.same(explain({ in: { $or: [{ a: [1] }, { b: [2] }] } }, { in: { a: 3 } }), [
    { path: '/in', reason: 'none of the 2 alternatives of $or matches' },
    { path: '/in/a', reason: '3; wanted: [1]' },
    { path: '/in/b', reason: 'missing; wanted: [2]' },
  ])
  const policy = { list: { a: [1], b: [2] } }
  t.same(explain(policy, { list: [{ a: 1 }, { b: 2 }] }), [
    { path: '/list', reason: 'no single one of its 2 elements matches all that is said of them' },
  ])
  t.same(explain(policy, { list: [{ a: 1, b: 3 }] }), [{ path: '/list/0/b', reason: '3; wanted: [2]' }])
})

t.test('an explanation is short, whatever the policy and the body hold', async (t) => {
  const long = 'x'.repeat(2000)
  const policy = Object.fromEntries(
    Array.from({ length: 50 }, (_, index) => [`${index}${long}`, Array.from({ length: 20 }, (_, i) => `${i}${long}`)]),
  )
  const body = Object.fromEntries(
    Object.keys(policy).map((key) => [key, Array.from({ length: 1000 }, () => `\u0000\ud83d\ude00${long}${long}`)]),
  )
  const found = explain(policy, body)
  t.equal(found.length, 20)
  for (const { path, reason } of found) {
    t.ok(path.length <= 301 && reason.length <= 1000, `${path.length}, ${reason.length}`)
    t.ok(reason.isWellFormed() && path.isWellFormed())
    t.match(reason, /, others; wanted: .* and 15 more conditions$/)
  }
})

t.test('numbers compare as the decimals they are written as', async () => {
  const decimal = fc.record({
    minus: fc.boolean(),
    whole: fc.bigInt({ min: 0n, max: 10n ** 25n }),
    fraction: fc.string({ unit: fc.constantFrom('0', '1', '9'), maxLength: 25 }),
    exponent: fc.integer({ min: -30, max: 30 }),
  })
  type Decimal = { minus: boolean; whole: bigint; fraction: string; exponent: number }
  const textOf = ({ minus, whole, fraction, exponent }: Decimal) =>
    `${minus ? '-' : ''}${whole}${fraction && `.${fraction}`}e${exponent}`
  /** The number times 10^60, which has no fraction left. */
  const scaled = ({ minus, whole, fraction, exponent }: Decimal) =>
    BigInt(`${whole}${fraction}`) * 10n ** BigInt(60 + exponent - fraction.length) * (minus ? -1n : 1n)
  const few = fc.record({
    ...{ minus: fc.boolean() },
    whole: fc.constantFrom(0n, 1n, 10n),
    fraction: fc.constantFrom('', '0', '01'),
    exponent: fc.integer({ min: -2, max: 2 }),
  })
  fc.assert(
    fc.property(
      fc.oneof(
        fc.tuple(decimal, decimal),
        fc.tuple(few, few),
        decimal.map((one) => [one, one] as const),
      ),
      ([a, b]) => {
        const [left, right] = [new LosslessNumber(textOf(a)), new LosslessNumber(textOf(b))]
        const order = compareNumbers(left, right)
        const mixed = compareNumbers(parseJson(textOf(a)) as number, right)
        if (Math.sign(mixed) !== Math.sign(order)) return false
        const [x, y] = [scaled(a), scaled(b)]
        return Math.sign(order) === (x < y ? -1 : x > y ? 1 : 0)
      },
    ),
    { numRuns: 1000 },
  )
})

/* What an attacker or a careless script might send. */

const refusal = (policy: unknown): { path: string; reason: string } => {
  try {
    parseFilterPolicy(policy)
  } catch (error) {
    if (error instanceof FilterPolicyError) return error
    throw error
  }
  return { path: '', reason: 'taken' }
}
const nested = (levels: number): Json => (levels === 0 ? ['x'] : { a: nested(levels - 1) })

t.test('a policy has at most 1,000 values, 32 levels and 2,048 characters in each text', async (t) => {
  const values = (count: number) => Array.from({ length: count }, (_, index) => `v${index}`)
  t.equal(refusal({ a: values(500), b: [{ 'anything-but': values(500) }] }).reason, 'taken')
  t.match(refusal({ a: values(1001) }), { path: '/a/1000', reason: /more than 1000 values.*prefix/ })
  t.match(refusal({ a: [{ 'anything-but': values(5000) }] }), { path: '/a/0/anything-but/1000' })
  t.match(refusal({ a: Array.from({ length: 100_000 }, () => ({})) }), { path: '/a/1000' }, 'empty ones count too')
  t.equal(refusal(nested(31)).reason, 'taken')
  t.match(refusal(nested(32)), { path: '/a'.repeat(32), reason: /deeper than 32/ })
  t.match(refusal(nested(5000)), { reason: /deeper than 32/ })
  t.equal(refusal({ a: ['x'.repeat(2048)] }).reason, 'taken')
  t.match(refusal({ a: ['x'.repeat(2049)] }), { path: '/a/0', reason: /longer than 2048/ })
  t.match(refusal({ a: [{ wildcard: '*a'.repeat(5000) }] }), { path: '/a/0/wildcard', reason: /longer than 2048/ })
  t.match(refusal({ ['k'.repeat(2049)]: ['x'] }), { path: '', reason: /longer than 2048/ })
  t.match(refusal({ a: [parseJson('1'.repeat(2049))] }), { path: '/a/0', reason: /longer than 2048/ })
})

t.test('what JSON cannot say is refused', async (t) => {
  for (const value of [Infinity, NaN, undefined, 5n, Symbol('s'), () => 1]) {
    t.match(refusal({ a: [value] }), { path: '/a/0', reason: /not a value of JSON/ })
  }
  t.equal(refusal({ a: [parseJson('1e400')] }).reason, 'taken', 'a number too large for a double is a number')
})

/** Milliseconds; the bounds below are some hundred times what is measured, and far below what backtracking would take. */
const timed = (work: () => unknown) => {
  const start = performance.now()
  work()
  return performance.now() - start
}

t.test('a thousand stars against a long text take time in proportion', async (t) => {
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

t.test('a thousand alternatives and deep lists cost no more than their number', async (t) => {
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

t.test('a number of a million digits is read once', async (t) => {
  const body = { n: parseJson(`1${'0'.repeat(500_000)}.${'0'.repeat(499_999)}1`) }
  const policies = Array.from({ length: 1000 }, (_, index) =>
    parseFilterPolicy({ n: [{ numeric: ['<', index] }, index] }),
  )
  t.ok(timed(() => t.notOk(policies.some((policy) => matchesPolicy(policy, body)))) < 5000)
  t.ok(stringifyJson(explain({ n: [1] }, body)[0]!.reason).length < 200)
})
