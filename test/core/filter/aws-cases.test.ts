import t from 'tap'
import { matchesPolicy } from '../../../src/core/filter/match.js'
import { FilterPolicyError } from '../../../src/core/filter/policy-error.js'
import { parseFilterPolicy } from '../../../src/core/filter/policy.js'
import { parseJson, type Json } from '../../../src/core/platform/json.js'
import { EVENT_RULER_LISTS } from './event-ruler-lists.js'
import { EVENT_RULER_VALUES } from './event-ruler-values.js'
import { LOCALSTACK } from './localstack-cases.js'
import { EVENT_RULER_REFUSED, LOCALSTACK_REFUSED } from './refused-by-aws.js'

const matches = (policy: Json, body: Json) => matchesPolicy(parseFilterPolicy(policy), body)

t.test('policies match what they match in AWS', async (t) => {
  for (const { source, policy, matching = [], failing = [] } of [
    ...EVENT_RULER_LISTS,
    ...EVENT_RULER_VALUES,
    ...LOCALSTACK,
  ]) {
    for (const body of matching) t.ok(matches(policy, body), `${source}: ${JSON.stringify(body)}`)
    for (const body of failing) t.notOk(matches(policy, body), `${source}: not ${JSON.stringify(body)}`)
  }
})

t.test('what event-ruler, SNS and EventBridge refuse is refused', async (t) => {
  for (const condition of EVENT_RULER_REFUSED) {
    t.throws(() => parseFilterPolicy({ a: [condition] }), FilterPolicyError, JSON.stringify(condition))
  }
  for (const policy of LOCALSTACK_REFUSED) {
    t.throws(() => parseFilterPolicy(policy), FilterPolicyError, JSON.stringify(policy))
  }
})

/** Each is a line of "Where filters differ from SNS" in the README, with the reason. */
const DIFFERENCES: { difference: string; policy: Json; matching: Json[]; failing?: Json[] }[] = [
  {
    difference: 'exists of an object asks for a value in it; in AWS an object never exists',
    policy: { context_diff: [{ exists: true }] },
    matching: [{ context_diff: { source: { ip: ['10.0.0.1'] } } }, { context_diff: [{ a: null }] }],
    failing: [{ context_diff: {} }, { context_diff: { a: [{}] } }, {}],
  },
  {
    difference: 'exists: false holds for each object of a list; in event-ruler for the fields that sort before it',
    policy: { log: { user: ['ann'], ip: [{ exists: false }] } },
    matching: [{ log: [{ user: 'ann' }, { user: 'bob', ip: 1 }] }],
    failing: [{ log: [{ user: 'ann', ip: 1 }, { user: 'bob' }] }],
  },
  {
    difference: 'an $or beside an object selects its element by itself; in event-ruler it is the same element',
    policy: { log: { user: ['ann'] }, $or: [{ log: { ip: [1] } }, { x: [1] }] },
    matching: [{ log: [{ user: 'ann' }, { ip: 1 }] }],
  },
  {
    difference: 'each alternative of an $or holds by itself; event-ruler may lose one that shares a value',
    policy: { $or: [{ a: [1] }, { a: [1, { exists: false }] }] },
    matching: [{ b: 1 }, { a: 1 }],
    failing: [{ a: 2 }],
  },
  {
    difference: 'conditions on a field and on what is in it may hold in two elements; in event-ruler in one',
    policy: { a: [1], 'a.b': [1] },
    matching: [{ a: [[[1]], { b: 1 }] }],
  },
  {
    difference: 'a field named twice must match both times; in AWS the last list counts or the policy is refused',
    policy: { 'a.b': [{ prefix: 'x' }], a: { b: [{ suffix: 'z' }] } },
    matching: [{ a: { b: 'xyz' } }],
    failing: [{ a: { b: 'z' } }],
  },
  {
    difference:
      'a body that has a field twice, once in a list of objects, has one element more; in event-ruler any element',
    policy: { a: { b: [1], c: [1] } },
    matching: [{ a: [{ b: 1, c: 1 }], 'a.b': 2 }],
    failing: [{ a: [{ b: 1 }], 'a.c': 1 }],
  },
  {
    difference: 'case folding is simple both ways; in event-ruler ß is also SS, and no ẞ',
    policy: { a: [{ 'equals-ignore-case': 'straße' }, { 'equals-ignore-case': 'ς' }] },
    matching: [{ a: 'STRAẞE' }, { a: 'σ' }],
    failing: [{ a: 'STRASSE' }, { a: 'strasse' }],
  },
  {
    difference: 'a text of an address is a text; in event-ruler it is any notation of the address',
    policy: { ip: ['2001:db8::1'] },
    matching: [{ ip: '2001:db8::1' }],
    failing: [{ ip: '2001:db8:0::1' }],
  },
  {
    difference: 'a range takes IPv4-mapped addresses, and no numbers, which a /0 of event-ruler takes',
    policy: { ip: [{ cidr: '0.0.0.0/0' }] },
    matching: [{ ip: '::ffff:10.0.0.1' }],
    failing: [{ ip: 5 }],
  },
  {
    difference: 'numbers have no limits; SNS takes 10^9 with five places, event-ruler 17 digits and a double',
    policy: { n: [{ numeric: ['>', parseJson('12345678901234567890')] }, parseJson('1e400')] },
    matching: [{ n: parseJson('12345678901234567891') }, { n: parseJson('10e399') }],
    failing: [{ n: parseJson('12345678901234567889') }],
  },
  {
    difference: 'a range may hold one number, which event-ruler refuses',
    policy: { n: [{ numeric: ['>=', 5, '<=', 5] }] },
    matching: [{ n: 5 }],
  },
  {
    difference: 'wildcards of any number of stars are taken; EventBridge refuses complex ones',
    policy: { arn: [{ wildcard: '*:*:*:*:*:event-bus/*' }] },
    matching: [{ arn: 'arn:aws:events:us-east-1:123456789012:event-bus/mine' }],
  },
  {
    difference: 'anything-but takes suffix, which SNS refuses; a policy has more than five fields and 150 combinations',
    policy: {
      ...Object.fromEntries(['a', 'b', 'c', 'd', 'e'].map((key) => [key, ['1', '2', '3', '4']])),
      f: [{ 'anything-but': { suffix: '.png' } }],
    },
    matching: [{ a: '1', b: '2', c: '3', d: '4', e: '1', f: 'a.gif' }],
  },
  {
    difference: '{} is no filter, as in SNS; event-ruler refuses it',
    policy: {},
    matching: [{}, { a: 1 }],
    failing: ['text'],
  },
]

t.test('the differences from AWS are those that the README names', async (t) => {
  for (const { difference, policy, matching, failing = [] } of DIFFERENCES) {
    for (const body of matching) t.ok(matches(policy, body), difference)
    for (const body of failing) t.notOk(matches(policy, body), difference)
  }
  t.throws(
    () => parseFilterPolicy({ a: [{ exactly: 'b' }] }),
    FilterPolicyError,
    "event-ruler's `exactly` is no word of SNS",
  )
})
