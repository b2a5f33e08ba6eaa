import fc from 'fast-check'
import t from 'tap'
import { SAMPLE_CHANGE } from '../../../src/core/event/sample.js'
import { explainMismatch } from '../../../src/core/filter/explain.js'
import { matchesPolicy } from '../../../src/core/filter/match.js'
import { parseFilterPolicy } from '../../../src/core/filter/policy.js'
import { isJsonObject, parseJson, stringifyJson, type Json, type JsonObject } from '../../../src/core/platform/json.js'
import { value, valueConditions } from './arbitraries.js'

const matches = (policy: unknown, body: Json) => matchesPolicy(parseFilterPolicy(policy), body)
const explain = (policy: unknown, body: Json) => explainMismatch(parseFilterPolicy(policy), body)

t.test('a dotted key is its names, one in the other', async (t) => {
  const ways: Json[] = [{ 'a.b.c': 'x' }, { a: { b: { c: 'x' } } }, { 'a.b': { c: 'x' } }, { a: { 'b.c': 'x' } }]
  for (const body of ways) {
    t.ok(matches({ 'a.b.c': ['x'] }, body), JSON.stringify(body))
    t.ok(matches({ a: { b: { c: ['x'] } } }, body), JSON.stringify(body))
    t.ok(matches({ 'a.b': { c: ['x'] }, a: [{ exists: true }] }, body), JSON.stringify(body))
    t.notOk(matches({ a: { 'b.c': [{ exists: false }] } }, body), JSON.stringify(body))
    t.notOk(matches({ 'a.b': ['x'] }, body), JSON.stringify(body))
    t.notOk(matches({ 'a.b.c.': ['x'] }, body), JSON.stringify(body))
  }
  t.ok(matches({ context_diff: { 'user.name': ['John Doe'] } }, SAMPLE_CHANGE))
  t.ok(matches({ '.a..': ['x'] }, { '': { a: { '': { '': 'x' } } } }), 'a name may be empty')
  t.ok(matches({ 'a.$or': ['x', 'y'] }, { a: { $or: 'x' } }), '$or in a dotted key is a name')
})

t.test('one element of a list must satisfy all dotted keys that lead into it', async (t) => {
  const policy = { 'list.a': [1], 'list.b': [2], list: { c: [{ exists: false }] } }
  t.ok(
    matches(policy, {
      list: [
        { a: 1, b: 3 },
        { a: 1, b: 2 },
      ],
    }),
  )
  t.notOk(matches(policy, { list: [{ a: 1 }, { b: 2 }] }))
  t.notOk(matches(policy, { list: [{ a: 1, b: 2, c: 3 }] }))
})

t.test('a field that a policy names twice must match both times, with each $or', async (t) => {
  const policy = {
    a: { b: [{ prefix: 'x' }], $or: [{ c: [1] }, { d: [1] }] },
    'a.b': [{ suffix: 'z' }],
    'x.y': { $or: [{ p: [1] }, { q: [1] }] },
    x: { y: { $or: [{ r: [1] }, { s: [1] }] } },
  }
  t.ok(matches(policy, { a: { b: 'x-z', d: 1 }, x: { 'y.q': 1, 'y.r': 1 } }))
  t.notOk(matches(policy, { a: { b: 'x', d: 1 }, x: { y: { q: 1, r: 1 } } }))
  t.notOk(matches(policy, { a: { b: 'x-z', d: 1 }, x: { y: { q: 1, p: 1 } } }))
})

t.test('a policy that was taken when dots were characters is still taken', async (t) => {
  const policy = { 'a.b': [{ prefix: 'x' }], $or: [{ a: { b: [{ suffix: 'z' }] } }, { 'a..b': [1] }] }
  t.ok(matches(policy, { a: { b: 'xyz' } }))
  t.notOk(matches(policy, { a: { b: 'x' } }))
  t.ok(parseFilterPolicy({ ['.'.repeat(2048)]: ['x'] }), 'a key of any number of dots')
})

t.test('a field that a body has twice has the values of both', async (t) => {
  const body = { 'a.b': 1, a: { b: 2, c: [{ d: 1 }], 'e.f': 4 }, 'a.c': [{ d: 2 }], 'a.e': { f: 5, g: 6 } }
  t.ok(matches({ 'a.b': [1] }, body))
  t.ok(matches({ a: { b: [2] } }, body))
  t.notOk(matches({ a: { b: [3] } }, body))
  for (const d of [1, 2]) t.ok(matches({ 'a.c.d': [d] }, body), 'lists are one list')
  t.ok(matches({ 'a.e': { f: [4], g: [6] } }, body), 'objects are one object')
  t.ok(matches({ 'a.e.f': [5] }, body))
  t.same(
    body,
    { 'a.b': 1, a: { b: 2, c: [{ d: 1 }], 'e.f': 4 }, 'a.c': [{ d: 2 }], 'a.e': { f: 5, g: 6 } },
    'it is not changed',
  )
})

t.test('a key of more than 32 names is one name', async (t) => {
  const [key, longer] = ['a' + '.a'.repeat(31), 'a' + '.a'.repeat(32)]
  t.ok(matches({ [key]: [1] }, { a: { [key.slice(2)]: 1 } }))
  t.ok(matches({ [longer]: [1] }, { [longer]: 1 }))
  t.notOk(matches({ [longer]: [1] }, { a: { [longer.slice(2)]: 1 } }))
  t.notOk(matches({ a: { [longer.slice(2)]: [1] } }, { [longer]: 1 }))
})

t.test('names of prototypes are data in dotted keys, too', async (t) => {
  for (const key of ['__proto__', 'constructor', 'toString']) {
    t.ok(matches(parseJson(`{"a.${key}.b":["x"]}`), parseJson(`{"a":{"c":1},"a.${key}":{"b":"x"}}`)), key)
    t.notOk(matches(parseJson(`{"a.${key}":[{"exists":true}]}`), { 'a.b': 1 }), key)
  }
})

/** Joins the members of some objects to the keys of these: `{"a": {"b": 1, "c": 2}}` becomes `{"a.b": 1, "a": {"c": 2}}`. */
function joinSome(value: Json, choose: () => boolean): Json {
  if (Array.isArray(value)) return value.map((element) => joinSome(element, choose))
  if (!isJsonObject(value)) return value
  const joined: [string, Json][] = []
  for (const [key, member] of Object.entries(value)) {
    const inner = joinSome(member, choose)
    if (!isJsonObject(inner)) joined.push([key, inner])
    else {
      const isJoined = new Map(Object.keys(inner).map((name) => [name, choose()]))
      const [apart, kept] = [true, false].map((is) =>
        Object.entries(inner).filter(([name]) => isJoined.get(name) === is),
      )
      joined.push(...apart!.map(([name, item]): [string, Json] => [`${key}.${name}`, item]))
      if (kept!.length > 0) joined.push([key, Object.fromEntries(kept!)])
    }
  }
  return Object.fromEntries(joined)
}

t.test('any joining of keys, in the policy or the body, changes nothing', async () => {
  const found = { yes: 0, no: 0 }
  const plainKeys = fc.constantFrom('a', 'b', 'c', '')
  const { body, policy } = fc.letrec<{ node: Json; body: JsonObject; part: Json; policy: JsonObject }>((tie) => ({
    node: fc.oneof({ maxDepth: 4 }, value, fc.array(tie('node'), { maxLength: 2 }), tie('body')),
    body: fc.dictionary(plainKeys, tie('node'), { maxKeys: 3 }),
    part: fc.oneof({ maxDepth: 3 }, valueConditions, tie('policy')),
    policy: fc.dictionary(plainKeys, tie('part'), { minKeys: 1, maxKeys: 2 }),
  }))
  fc.assert(
    fc.property(policy, body, fc.infiniteStream(fc.boolean()), (policy, body, choices) => {
      const choose = () => choices.next().value
      const expected = matches(policy, body)
      found[expected ? 'yes' : 'no']++
      const [joinedPolicy, joinedBody] = [joinSome(policy, choose), joinSome(body, choose)]
      return [
        matches(joinedPolicy, body),
        matches(policy, joinedBody),
        matches(joinedPolicy, joinedBody),
        explain(joinedPolicy, joinedBody).length === 0,
      ].every((actual) => actual === expected)
    }),
    { numRuns: 3000 },
  )
  t.ok(found.yes > 200 && found.no > 200, JSON.stringify(found))
})

/** Milliseconds. The limits below are some ten times the values measured on a busy machine. */
const timed = (work: () => unknown) => {
  const start = performance.now()
  work()
  return performance.now() - start
}

t.test('dotted keys take time proportional to their number and length', async (t) => {
  const many = Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [`a.${index}.b`, index]))
  const wanted = Array.from({ length: 1000 }, (_, index) =>
    parseFilterPolicy({ 'a.49999.b': [index], a: { x: [index] } }),
  )
  t.ok(timed(() => t.notOk(wanted.some((policy) => matchesPolicy(policy, many)))) < 5000)
  const dots = { ['.'.repeat(1_000_000)]: 1, ['.'.repeat(999_999)]: { ['.'.repeat(999_999)]: 1 } }
  const deepest = Array.from({ length: 30 }).reduce<object>((inner) => ({ ['.'.repeat(31)]: inner }), { '': [1] })
  t.ok(timed(() => t.notOk(matches(deepest, dots))) < 1000)
  t.ok(timed(() => t.notOk(matches({ ['.'.repeat(31)]: [{ exists: true }] }, dots))) < 1000)
  let twice: JsonObject = { 'a.b': 1 }
  for (let depth = 0; depth < 14; depth++) twice = { a: { b: twice }, 'a.b': twice }
  twice = parseJson(stringifyJson(twice)) as JsonObject
  t.ok(timed(() => t.notOk(matches({ 'a.b.a.b.a.b': ['x'] }, twice))) < 5000)
  const fields = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`${'a.'.repeat(30)}${index}`, [index]]))
  t.ok(timed(() => parseFilterPolicy(fields)) < 5000)
})
