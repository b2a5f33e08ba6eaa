import { LosslessNumber } from 'lossless-json'
import t, { type Test } from 'tap'
import { SAMPLE_CHANGE } from '../../../src/core/event/sample.js'
import { parseJson, type Json, type JsonObject } from '../../../src/core/platform/json.js'
import { FilterPolicyError } from '../../../src/core/filter/policy-error.js'
import { matchesPolicy } from '../../../src/core/filter/match.js'
import { parseFilterPolicy } from '../../../src/core/filter/policy.js'

/** True when the policy matches the body. */
const matches = (policy: unknown, body: Json) => matchesPolicy(parseFilterPolicy(policy), body)
/** True when a field with these conditions matches the value. */
const accepts = (conditions: unknown[], value: Json) => matches({ field: conditions }, { field: value })
const check = (t: Test, conditions: unknown[], { yes, no }: { yes: Json[]; no: Json[] }) => {
  for (const value of yes) t.ok(accepts(conditions, value), `${JSON.stringify(conditions)} matches ${String(value)}`)
  for (const value of no) {
    t.notOk(accepts(conditions, value), `${JSON.stringify(conditions)} does not match ${String(value)}`)
  }
}
const refused = (t: Test, policy: unknown, path: string, reason: RegExp) => {
  try {
    parseFilterPolicy(policy)
    t.fail(`accepted: ${JSON.stringify(policy).slice(0, 200)}`)
  } catch (error) {
    if (!(error instanceof FilterPolicyError)) throw error
    t.equal(error.path, path)
    t.match(error.reason, reason)
  }
}

t.test('a field must match one of its conditions, an object all of its fields', async (t) => {
  check(t, ['high', 'critical'], { yes: ['high', 'critical'], no: ['low', 'High', '', null, 0] })
  const policy = {
    updated_alert: { severity: ['medium'], tables: ['aws_cloudtrail'] },
    context_diff: { user: { name: ['John Doe'] } },
  }
  t.ok(matches(policy, SAMPLE_CHANGE))
  t.notOk(matches({ ...policy, updated_alert: { severity: ['medium'], tables: ['okta'] } }, SAMPLE_CHANGE))
})

t.test('types are never converted: "5" is not 5, null is not "null", true is not 1', async (t) => {
  check(t, ['5'], { yes: ['5'], no: [5] })
  check(t, [5], { yes: [5], no: ['5', true] })
  check(t, [{ numeric: ['=', 5] }], { yes: [5], no: ['5', null, true] })
  check(t, [null], { yes: [null], no: ['null', 0, '', false] })
  check(t, [true, false], { yes: [true, false], no: ['true', 1, 0, null] })
  check(t, [''], { yes: [''], no: [null, ' '] })
})

t.test('numbers compare by value, exact in every digit and without a limit', async (t) => {
  check(t, [300], { yes: [300, parseJson('3.0e2')], no: [300.5] })
  check(t, [0], { yes: [0, parseJson('-0'), parseJson('0e400')], no: [parseJson('1e-400')] })
  const [account, next] = [parseJson('12345678901234567890'), parseJson('12345678901234567891')]
  check(t, [account], { yes: [account], no: [next, 12345678901234567000] })
  check(t, [{ 'anything-but': account }], { yes: [next], no: [account] })
  check(t, [{ numeric: ['>', account] }], { yes: [next, parseJson('1e400')], no: [account, parseJson('-1e400'), 1e19] })
  const counted = new LosslessNumber('2')
  check(t, [2], { yes: [counted], no: [new LosslessNumber('20')] })
  check(t, [counted], { yes: [2, new LosslessNumber('2.0')], no: [20, '2'] })
  check(t, [{ numeric: ['<', parseJson('1e400')] }], { yes: [1e308, parseJson('9e399')], no: [parseJson('10e399')] })
  const third = parseJson('0.3333333333333333333333333333')
  check(t, [{ numeric: ['>', third] }], { yes: [parseJson('0.3333333333333333333333333334'), 0.34], no: [third, 0.33] })
  check(t, [{ numeric: ['>=', -2e9, '<', 5e12] }], { yes: [-2e9, 4999999999999.9], no: [-2000000001, 5e12] })
})

t.test('prefix, suffix and equals-ignore-case match only strings', async (t) => {
  check(t, [{ prefix: 'us-' }], { yes: ['us-', 'us-east-1'], no: ['US-east-1', 'eu-us-', 5, null] })
  check(t, [{ suffix: '.png' }], { yes: ['.png', 'a.png'], no: ['a.PNG', 'a.png ', null] })
  check(t, [{ prefix: { 'equals-ignore-case': 'EventB' } }], {
    yes: ['EVENTBRIDGE', 'eventb'],
    no: ['event', 'xeventb'],
  })
  check(t, [{ suffix: { 'equals-ignore-case': '.PNG' } }], { yes: ['a.png', 'A.PnG'], no: ['png'] })
  check(t, [{ 'equals-ignore-case': 'Alice' }], { yes: ['ALICE', 'alice'], no: ['alice ', 'bob', null] })
  check(t, [{ prefix: '' }], { yes: ['', 'any'], no: [1, null, true] })
  check(t, [{ prefix: '1' }], { yes: ['10'], no: [10] })
})

t.test('case is ignored letter by letter, independent of the neighbouring letters', async (t) => {
  check(t, [{ prefix: { 'equals-ignore-case': 'ΟΔΟΣ' } }], { yes: ['οδοσα', 'οδος', 'ΟΔΟΣΑ'], no: ['οδο'] })
  check(t, [{ 'equals-ignore-case': 'ÉCOLE' }], { yes: ['école'], no: ['ecole'] })
  check(t, [{ suffix: { 'equals-ignore-case': 'οσ' } }], { yes: ['ΟΔΟΣ', 'οδος', 'οσ'], no: ['οσα', 'σ'] })
})

t.test('case folding is simple: a letter is one letter', async (t) => {
  check(t, [{ 'equals-ignore-case': 'straße' }], { yes: ['STRAẞE', 'Straße'], no: ['STRASSE', 'strasse'] })
  check(t, [{ 'equals-ignore-case': 'STRASSE' }], { yes: ['strasse'], no: ['straße'] })
  check(t, [{ prefix: { 'equals-ignore-case': 'ß' } }], { yes: ['ẞa'], no: ['ss', 'SSa', ''] })
  check(t, [{ suffix: { 'equals-ignore-case': 'ﬀ' } }], { yes: ['oﬀ'], no: ['off', 'OFF'] })
  check(t, [{ 'equals-ignore-case': 'I' }], { yes: ['i'], no: ['ı', 'İ'] })
  check(t, [{ 'equals-ignore-case': '𐐀' }], { yes: ['𐐨'], no: ['𐐁'] })
  check(t, [{ 'equals-ignore-case': '^a.[b]*(c|d)+?{1}\\\n$/' }], {
    yes: ['^A.[B]*(C|D)+?{1}\\\n$/'],
    no: ['^axb', '^a.[b]*(c|d)+?{1}\\\n$/\n', 'a\n'],
  })
  check(t, [{ 'anything-but': { 'equals-ignore-case': 'ß' } }], { yes: ['ss'], no: ['ẞ'] })
})

t.test('a star matches any characters, or none; a backslash escapes it', async (t) => {
  check(t, [{ wildcard: '*/bin/*.jar' }], { yes: ['/bin/.jar', 'a/bin/b/c.jar'], no: ['/bin.jar', 'a/bin/b.jar2'] })
  check(t, [{ wildcard: '*' }], { yes: ['', 'any'], no: [5, null] })
  check(t, [{ wildcard: '' }], { yes: [''], no: ['a'] })
  check(t, [{ wildcard: 'ab*ba' }], { yes: ['abba', 'abxba'], no: ['aba'] })
  check(t, [{ wildcard: '\\*a\\\\*' }], { yes: ['*a\\', '*a\\b'], no: ['xa\\', '*a'] })
  check(t, [{ wildcard: 'a.c?[d]$' }], { yes: ['a.c?[d]$'], no: ['abc?[d]$'] })
})

t.test('cidr matches addresses of both families; other texts do not match', async (t) => {
  check(t, [{ cidr: '10.0.0.0/8' }], {
    yes: ['10.0.0.0', '10.255.255.255', '::ffff:10.0.0.1', '::ffff:a00:1'],
    no: [
      '11.0.0.0',
      '9.255.255.255',
      '10.1',
      '010.0.0.1',
      '0x0a.0.0.1',
      '167772161',
      'ten',
      '',
      '2001:db8::1',
      167772161,
      null,
    ],
  })
  check(t, [{ cidr: '10.1.2.3/24' }], { yes: ['10.1.2.0', '10.1.2.255'], no: ['10.1.3.0'] })
  check(t, [{ cidr: '192.0.2.1/32' }], { yes: ['192.0.2.1'], no: ['192.0.2.2'] })
  check(t, [{ cidr: '0.0.0.0/0' }], { yes: ['8.8.8.8'], no: ['::1'] })
  check(t, [{ cidr: '2001:db8::/32' }], {
    yes: ['2001:db8::', '2001:DB8:ffff::1', '2001:0db8:0:0:0:0:0:1'],
    no: ['2001:db9::', '10.0.0.1', '2001:db8::1::1'],
  })
  check(t, [{ cidr: '::ffff:0:0/96' }], { yes: ['::ffff:10.0.0.1'], no: ['10.0.0.1'] })
})

t.test('numeric has one bound, or a lower and an upper bound', async (t) => {
  check(t, [{ numeric: ['>', 0, '<=', 5] }], { yes: [0.1, 5], no: [0, 5.1] })
  check(t, [{ numeric: ['>=', 5, '<=', 5] }], { yes: [5], no: [4, 6] })
  check(t, [{ numeric: ['<', 10] }], { yes: [-1e300, 9.99], no: [10] })
  check(t, [{ numeric: ['=', 301.8] }], { yes: [parseJson('3.018e2')], no: [301.81] })
})

t.test('anything-but matches every value that its operand does not match, of any type', async (t) => {
  check(t, [{ 'anything-but': 'a' }], { yes: ['b', 'A', '', 1, true, null], no: ['a'] })
  check(t, [{ 'anything-but': ['a', 'b'] }], { yes: ['c', 1], no: ['a', 'b'] })
  check(t, [{ 'anything-but': 0 }], { yes: [1, '0', null], no: [0] })
  check(t, [{ 'anything-but': [100, 200] }], { yes: [300, '100'], no: [100, 200, parseJson('1e2')] })
  check(t, [{ 'anything-but': { prefix: 'us-' } }], { yes: ['eu-', 5, null], no: ['us-', 'us-east-1'] })
  check(t, [{ 'anything-but': { suffix: ['.png', '.jpg'] } }], { yes: ['a.gif'], no: ['a.png', 'a.jpg'] })
  check(t, [{ 'anything-but': { 'equals-ignore-case': ['ok', 'fine'] } }], { yes: ['bad'], no: ['OK', 'Fine'] })
  check(t, [{ 'anything-but': { wildcard: '*/lib/*' } }], { yes: ['/bin/x', ''], no: ['/usr/lib/x'] })
})

t.test('anything-but does not match a missing field; together with exists it does', async (t) => {
  t.notOk(matches({ field: [{ 'anything-but': 'a' }] }, { other: 1 }))
  const either = { field: [{ 'anything-but': 'a' }, { exists: false }] }
  t.ok(matches(either, { other: 1 }))
  t.ok(matches(either, { field: 'b' }))
  t.notOk(matches(either, { field: 'a' }))
})

t.test('a list matches when one of its values does, for anything-but too', async (t) => {
  check(t, ['a'], {
    yes: [
      ['b', 'a'],
      [['b'], [['a']]],
    ],
    no: [['b'], []],
  })
  check(t, [{ 'anything-but': ['rugby', 'tennis'] }], {
    yes: [['rugby', 'baseball']],
    no: [['rugby'], ['rugby', 'tennis'], []],
  })
  check(t, [{ numeric: ['>', 5] }], { yes: [[1, 9]], no: [[1, 5]] })
  check(t, [null], { yes: [[null]], no: [[]] })
})

t.test('a field is missing when it is absent, or an object or list without values; null is a value', async (t) => {
  const missing: Json[] = [
    {},
    { field: [] },
    { field: [[]] },
    { field: {} },
    { field: [{}] },
    { field: { a: [{ b: {} }] } },
  ]
  const present: Json[] = [
    { field: null },
    { field: '' },
    { field: 0 },
    { field: false },
    { field: [null] },
    { field: [{}, 2] },
    { field: { inner: null } },
    { field: [{}, { inner: [0] }] },
  ]
  for (const body of missing) {
    t.ok(matches({ field: [{ exists: false }] }, body), JSON.stringify(body))
    t.notOk(matches({ field: [{ exists: true }] }, body), JSON.stringify(body))
    t.notOk(matches({ field: [null] }, body), 'null is not absence')
  }
  for (const body of present) {
    t.notOk(matches({ field: [{ exists: false }] }, body), JSON.stringify(body))
    t.ok(matches({ field: [{ exists: true }] }, body), JSON.stringify(body))
  }
})

t.test('exists asks whether anything is new at all', async (t) => {
  t.ok(matches({ context_diff: [{ exists: true }] }, SAMPLE_CHANGE))
  t.notOk(matches({ context_diff: [{ exists: true }] }, { ...SAMPLE_CHANGE, context_diff: {} }))
  t.ok(matches({ context_diff: [{ exists: false }] }, { ...SAMPLE_CHANGE, context_diff: {} }))
})

t.test('no condition but exists matches an object', async (t) => {
  const object = { inner: 'x' }
  check(t, ['x', null, { prefix: '' }, { 'anything-but': 'y' }], { yes: [['x', object]], no: [object, [object]] })
  check(t, ['x', { exists: false }], { yes: ['x', {}], no: [object, [object], 'y'] })
  check(t, ['x', { exists: true }], { yes: [object, [object], 'y'], no: [{}, []] })
  t.ok(
    matches({ field: [{ exists: true }], 'field.inner': ['x'] }, { field: object }),
    'beside conditions on its fields',
  )
})

t.test('below a field that is missing or not an object every field is missing', async (t) => {
  const policy = { a: { b: { c: [{ exists: false }] } } }
  const bodies: Json[] = [{}, { a: null }, { a: 5 }, { a: [] }, { a: ['x'] }, { a: { b: 'x' } }]
  for (const body of bodies) {
    t.ok(matches(policy, body))
  }
  t.notOk(matches(policy, { a: { b: { c: 1 } } }))
  t.notOk(matches({ a: { b: { c: [1] } } }, { a: 5 }))
})

t.test('a list of objects matches when one element satisfies all conditions', async (t) => {
  const people = {
    employees: [
      { first: 'John', last: 'Doe' },
      { first: 'Anna', last: 'Smith' },
      { first: 'Peter', last: 'Jones' },
    ],
  }
  t.ok(matches({ employees: { first: ['Anna'] } }, people))
  t.ok(matches({ employees: { first: ['Anna'], last: ['Smith'] } }, people))
  t.notOk(matches({ employees: { first: ['Anna'], last: ['Jones'] } }, people))
  t.ok(
    matches(
      { employees: { first: ['Anna'], last: ['Smith'] } },
      { employees: [[people.employees[0]!], [people.employees[1]!]] },
    ),
  )
  const either = { employees: { last: ['Jones'], $or: [{ first: ['Anna'] }, { first: ['Peter'] }] } }
  t.ok(matches(either, people), 'and its $or with it')
  t.notOk(matches(either, { employees: people.employees.slice(0, 2) }))
  const outside = { employees: { first: ['Anna'] }, $or: [{ employees: { last: ['Jones'] } }, { none: [1] }] }
  t.ok(matches(outside, people), 'an $or outside selects its element independently')
  const unseen = { employees: { first: ['Anna'], $or: [{ left: [{ exists: false }] }, { back: [true] }] } }
  t.ok(matches(unseen, { employees: [{ first: 'Anna' }, { first: 'John', left: 2020 }] }))
})

t.test(
  'a list of objects matches only exists:false conditions when the fields are missing in every element',
  async (t) => {
    const policy = { records: { error: [{ exists: false }] } }
    t.ok(matches(policy, { records: [{ id: 1 }, { id: 2 }, 'text'] }))
    t.notOk(matches(policy, { records: [{ id: 1 }, { error: 'x' }] }))
    const one = { records: { id: [1], error: [{ exists: false }] } }
    t.ok(matches(one, { records: [{ id: 1 }, { id: 2, error: 'x' }] }), 'a value selects the element')
    t.notOk(matches(one, { records: [{ id: 2 }, { id: 1, error: 'x' }] }))
    const either = { records: { status: [{ 'anything-but': 'x' }, { exists: false }] } }
    t.ok(matches(either, { records: [{ status: 'x' }, { status: 'y' }] }))
    t.notOk(matches(either, { records: [{ status: 'x' }, {}] }))
  },
)

t.test('$or is allowed in every object, beside fields and inside another $or', async (t) => {
  const policy = {
    source: ['aws'],
    $or: [{ metric: ['cpu'] }, { type: ['t'], $or: [{ id: [1] }, { space: [2] }] }],
    detail: { $or: [{ a: ['x'] }, { b: ['y'] }] },
  }
  const detail = { b: 'y' }
  t.ok(matches(policy, { source: 'aws', metric: 'cpu', detail }))
  t.ok(matches(policy, { source: 'aws', type: 't', space: 2, detail }))
  t.notOk(matches(policy, { source: 'aws', type: 't', detail }))
  t.notOk(matches(policy, { metric: 'cpu', detail }))
  t.notOk(matches(policy, { source: 'aws', metric: 'cpu', detail: {} }))
  t.ok(matches({ $or: [{ a: [{ exists: false }] }, { b: [1] }] }, {}), 'an alternative may match by a missing field')
})

t.test('$or is an ordinary field unless its value is a list of objects that name fields', async (t) => {
  t.ok(matches({ $or: ['a', { prefix: 'b' }] }, { $or: 'bc' }))
  t.ok(matches({ $or: [{ prefix: 'a' }, { suffix: 'z' }] }, { $or: 'xz' }))
  t.ok(matches({ $or: { inner: ['a'] } }, { $or: { inner: 'a' } }))
})

t.test('a body that is not an object never matches', async (t) => {
  for (const body of [null, 'text', 5, [], [{}]]) t.notOk(matches({ a: [{ exists: false }] }, body))
  t.ok(matches({ a: [{ exists: false }] }, {}))
})

t.test('an empty policy is no filter', async (t) => {
  for (const body of [{}, { a: 1 }, SAMPLE_CHANGE] as Json[]) t.ok(matches({}, body))
})

t.test('keys are data: stars and the names of prototypes', async (t) => {
  for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'length']) {
    const policy = parseJson(`{"${key}":["x"],"in":{"${key}":{"name":[{"exists":false}]}}}`)
    t.ok(matches(policy, parseJson(`{"${key}":"x"}`)), key)
    t.notOk(matches(policy, {}), key)
    t.ok(matches(parseJson(`{"${key}":[{"exists":false}]}`), {}), key)
    t.ok(matches(parseJson(`{"${key}":{"name":[{"exists":false}]}}`), {}), key)
  }
  t.notOk(matches({ list: { length: [2], '0': ['a'] } }, { list: ['a', 'b'] }), 'lists and strings are not objects')
  t.notOk(matches({ text: { length: [1] } }, { text: 'a' }))
})

t.test('an invalid policy is refused with its path and the correction', async (t) => {
  for (const policy of [null, undefined, [], ['a'], 'a', 5, true]) refused(t, policy, '', /./)
  refused(t, { a: {} }, '/a', /empty object/)
  refused(t, { a: [] }, '/a', /empty list/)
  refused(t, { severity: 'high' }, '/severity', /put the values in a list, \["high"\]/)
  refused(t, { severity: null }, '/severity', /list/)
  refused(t, { severity: { prefix: 'h' } }, '/severity/prefix', /an operator belongs in a list/)
  refused(t, { a: [['b']] }, '/a/0', /no further list/)
  refused(t, { a: ['x', {}] }, '/a/1', /one key/)
  refused(t, { a: [{ prefix: 'a', suffix: 'b' }] }, '/a/0', /one key/)
  refused(t, { a: [{ regex: 'b' }] }, '/a/0/regex', /there are exists, prefix, .*cidr/)
  refused(t, { a: [{ toString: 'b' }] }, '/a/0/toString', /there is no operator/)
  refused(t, { 'a/b~': { c: 1 } }, '/a~1b~0/c', /list/)
})

t.test('an invalid operand is refused with its path and the correction', async (t) => {
  const wrong = (condition: JsonObject, path: string, reason: RegExp) =>
    refused(t, { a: [condition] }, `/a/0/${path}`, reason)
  for (const name of ['prefix', 'suffix', 'equals-ignore-case', 'wildcard', 'cidr']) {
    for (const operand of [5, null, ['a'], true]) wrong({ [name]: operand }, name, /must be a string/)
  }
  wrong({ prefix: { suffix: 'a' } }, 'prefix', /only \{"equals-ignore-case"/)
  wrong({ prefix: { 'equals-ignore-case': 5 } }, 'prefix/equals-ignore-case', /string/)
  wrong({ wildcard: 'a**b' }, 'wildcard', /two \* in a row/)
  wrong({ wildcard: 'a\\b' }, 'wildcard', /followed by/)
  wrong({ wildcard: 'a\\' }, 'wildcard', /followed by/)
  for (const cidr of [
    '10.0.0.0',
    '10.0.0.0/33',
    '10/8',
    '10.0.0.0/8/8',
    '2001:db8::/129',
    'x/8',
    '10.0.0.0/-1',
    '10.0.0.0/',
    '/8',
  ]) {
    wrong({ cidr }, 'cidr', /range such as/)
  }
  wrong({ exists: 'true' }, 'exists', /true or false/)
  for (const numeric of [[], ['>'], 5, ['>', 1, '<'], ['>', 1, '<', 2, '<'], '>=5']) {
    wrong({ numeric }, 'numeric', /a list such as/)
  }
  wrong({ numeric: ['!=', 1] }, 'numeric/0', /one of =, <, <=, >, >=/)
  wrong({ numeric: ['>', '1'] }, 'numeric/1', /without quotes/)
  wrong({ numeric: ['>', 1, '<', null] }, 'numeric/3', /number/)
  wrong({ numeric: ['<', 10, '>', 5] }, 'numeric', /lower bound first/)
  wrong({ numeric: ['=', 10, '<', 50] }, 'numeric', /lower bound first/)
  wrong({ numeric: ['>', 5, '<=', 5] }, 'numeric', /no number/)
  wrong({ numeric: ['>=', 5, '<', 5] }, 'numeric', /no number/)
  for (const operand of [null, true, ['a', null], [['a']]]) {
    refused(
      t,
      { a: [{ 'anything-but': operand }] },
      Array.isArray(operand) ? `/a/0/anything-but/${operand.length - 1}` : '/a/0/anything-but',
      /list what is wanted/,
    )
  }
  wrong({ 'anything-but': [] }, 'anything-but', /empty list/)
  wrong({ 'anything-but': ['a', 1] }, 'anything-but', /not both/)
  wrong({ 'anything-but': { prefix: '' } }, 'anything-but/prefix', /empty prefix/)
  wrong({ 'anything-but': { suffix: ['a', ''] } }, 'anything-but/suffix/1', /empty suffix/)
  wrong({ 'anything-but': { prefix: 5 } }, 'anything-but/prefix', /string/)
  wrong({ 'anything-but': { numeric: ['>', 1] } }, 'anything-but/numeric', /only prefix, suffix/)
  wrong({ 'anything-but': { prefix: 'a', suffix: 'b' } }, 'anything-but', /one key/)
  wrong({ 'anything-but': { wildcard: ['a', '**'] } }, 'anything-but/wildcard/1', /two \*/)
})

t.test('an invalid $or is refused with its path and the correction', async (t) => {
  refused(t, { $or: [] }, '/$or', /empty/)
  refused(t, { $or: [{ a: ['x'] }] }, '/$or', /two objects or more/)
  refused(t, { $or: [{ a: ['x'] }, {}] }, '/$or/1', /empty object/)
  refused(t, { $or: [{ a: ['x'] }, 'b'] }, '/$or/1', /objects alone/)
  refused(t, { $or: [{ a: ['x'] }, { b: ['x'], prefix: ['y'] }] }, '/$or/1/prefix', /names an operator/)
  refused(t, { a: { b: [1] }, $or: [{ c: [1] }, { a: { b: [2] } }] }, '/$or', /\/a\/b is also beside/)
  refused(t, { $or: [{ c: [1] }, { $or: [{ d: [1] }, { a: [2] }] }], a: [1] }, '/$or', /\/a is also beside/)
  t.ok(
    matches({ a: { b: [1] }, $or: [{ c: [1] }, { a: { d: [2] } }] }, { a: { b: 1, d: 2 } }),
    'an object may be named twice',
  )
})

t.test('a compiled policy does not change with its source', async (t) => {
  const policy = { a: ['x'] }
  const compiled = parseFilterPolicy(policy)
  policy.a[0] = 'y'
  t.ok(matchesPolicy(compiled, { a: 'x' }))
})
