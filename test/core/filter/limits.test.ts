import t from 'tap'
import { FilterPolicyError } from '../../../src/core/filter/policy-error.js'
import { parseFilterPolicy } from '../../../src/core/filter/policy.js'
import { parseJson, type Json } from '../../../src/core/platform/json.js'

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
  t.match(refusal({ a: Array.from({ length: 100_000 }, () => ({})) }), { path: '/a/1000' }, 'empty objects count, too')
  t.equal(refusal(nested(31)).reason, 'taken')
  t.match(refusal(nested(32)), { path: '/a'.repeat(32), reason: /deeper than 32/ })
  t.match(refusal(nested(5000)), { reason: /deeper than 32/ })
  t.equal(refusal({ a: ['x'.repeat(2048)] }).reason, 'taken')
  t.match(refusal({ a: ['x'.repeat(2049)] }), { path: '/a/0', reason: /longer than 2048/ })
  t.match(refusal({ a: [{ wildcard: '*a'.repeat(5000) }] }), { path: '/a/0/wildcard', reason: /longer than 2048/ })
  t.match(refusal({ ['k'.repeat(2049)]: ['x'] }), { path: '', reason: /longer than 2048/ })
  t.match(refusal({ a: [parseJson('1'.repeat(2049))] }), { path: '/a/0', reason: /longer than 2048/ })
})

t.test('a value that JSON does not have is refused', async (t) => {
  for (const value of [Infinity, NaN, undefined, 5n, Symbol('s'), () => 1]) {
    t.match(refusal({ a: [value] }), { path: '/a/0', reason: /not a value of JSON/ })
  }
  t.equal(refusal({ a: [parseJson('1e400')] }).reason, 'taken', 'a number too large for a double is a number')
})
