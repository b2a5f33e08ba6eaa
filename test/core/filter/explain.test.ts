import fc from 'fast-check'
import t from 'tap'
import { SAMPLE_CHANGE } from '../../../src/core/event/sample.js'
import { explainMismatch } from '../../../src/core/filter/explain.js'
import { matchesPolicy } from '../../../src/core/filter/match.js'
import { parseFilterPolicy } from '../../../src/core/filter/policy.js'
import { parseJson, type Json } from '../../../src/core/platform/json.js'
import { dottedBody, listBody, plainBody, simplePolicy } from './arbitraries.js'

const matches = (policy: unknown, body: Json) => matchesPolicy(parseFilterPolicy(policy), body)
const explain = (policy: unknown, body: Json) => explainMismatch(parseFilterPolicy(policy), body)

t.test('an explanation is empty exactly when the policy matches', async () => {
  fc.assert(
    fc.property(simplePolicy, simplePolicy, fc.oneof(plainBody, listBody, dottedBody), (one, other, body) => {
      const policies = [{}, one, { $or: [one, other] }, { a: { $or: [one, other] }, 'a.b': other }]
      return policies.every((policy) => matches(policy, body) === (explain(policy, body).length === 0))
    }),
    { numRuns: 1000 },
  )
})

t.test('an explanation names the field, its value and the conditions', async (t) => {
  t.same(
    explain({ updated_alert: { severity: ['high', { prefix: 'crit' }], title: [{ exists: true }] } }, SAMPLE_CHANGE),
    [{ path: '/updated_alert/severity', reason: '"medium"; wanted: ["high",{"prefix":"crit"}]' }],
  )
  t.same(explain({ a: { 'b/c': [1] } }, { a: 5 }), [{ path: '/a/b~1c', reason: 'missing; wanted: [1]' }])
  t.same(explain({ a: [1] }, { a: { b: 1 } }), [{ path: '/a', reason: 'an object with fields in it; wanted: [1]' }])
  t.same(explain({ a: [{ exists: true }] }, { a: { b: {} } }), [
    { path: '/a', reason: 'an object without values, which counts as missing; wanted: [{"exists":true}]' },
  ])
  t.same(explain({ a: [{ exists: false }] }, { a: [{ b: 1 }] }), [
    { path: '/a', reason: 'a list with fields in it; wanted: [{"exists":false}]' },
  ])
  t.same(explain({ 'a.b': [1], a: { c: [2] } }, { 'a.b': 5, 'a.c': 6 }), [
    { path: '/a/b', reason: '5; wanted: [1]' },
    { path: '/a/c', reason: '6; wanted: [2]' },
  ])
  t.same(explain({ a: [1] }, { a: [] }), [
    { path: '/a', reason: 'a list without values, which counts as missing; wanted: [1]' },
  ])
  t.same(explain({ a: [1] }, { a: ['x', [null, true], parseJson('1e400')] }), [
    { path: '/a', reason: '"x", null, true, 1e400; wanted: [1]' },
  ])
  t.same(explain({ a: [1] }, [1]), [{ path: '', reason: 'the body is no JSON object' }])
})

t.test('an explanation names the fields of each alternative, and a list without a matching element', async (t) => {
  t.same(explain({ in: { $or: [{ a: [1] }, { b: [2] }] } }, { in: { a: 3 } }), [
    { path: '/in', reason: 'none of the 2 alternatives of $or matches' },
    { path: '/in/a', reason: '3; wanted: [1]' },
    { path: '/in/b', reason: 'missing; wanted: [2]' },
  ])
  const policy = { list: { a: [1], b: [2] } }
  t.same(explain(policy, { list: [{ a: 1 }, { b: 2 }] }), [
    { path: '/list', reason: 'none of its 2 elements matches all conditions on one element' },
  ])
  t.same(explain(policy, { list: [{ a: 1, b: 3 }] }), [{ path: '/list/0/b', reason: '3; wanted: [2]' }])
})

t.test('an explanation is short for any policy and body', async (t) => {
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
