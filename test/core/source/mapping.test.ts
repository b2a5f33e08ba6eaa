import fc from 'fast-check'
import t from 'tap'
import { buildContext } from '../../../src/core/alert/context.js'
import { parseJson, stringifyJson, type Json } from '../../../src/core/platform/json.js'
import { mappedChanges } from '../../../src/core/source/mapping.js'
import type { Finding } from '../../../src/core/source/source.js'

function changes(result: Json | undefined): Finding[] {
  const mapped = mappedChanges('acme', result)
  if ('wrong' in mapped) throw new Error(mapped.wrong)
  return mapped.changes
}

function wrong(result: Json): string | undefined {
  const mapped = mappedChanges('acme', result)
  return 'wrong' in mapped ? mapped.wrong : undefined
}

const contextOf = (context: Json) => JSON.parse(stringifyJson(buildContext(changes({ id: 1, context })[0]!.context)))

t.test('a change with every field is a finding', async (t) => {
  const [finding, ...others] = changes({
    ...{ id: 'inc-7', title: 'Odd login', severity: 'CRITICAL', state: 'resolved', reason: 'closed' },
    ...{ context: { 'source.ip': '203.0.113.9' }, url: 'https://acme.example/7', account: 111122223333, region: 'eu' },
    ...{ description: 'From afar', match_count: 3, first_seen: '2026-01-01T00:00:00Z', updated_at: 1767225700 },
  })
  t.same(others, [])
  t.match(finding, {
    ...{ source: 'acme', alertId: 'acme|inc-7', title: 'Odd login', severity: 'critical', state: 'resolved' },
    ...{ reason: 'closed', url: 'https://acme.example/7', account: '111122223333', region: 'eu' },
    ...{ description: 'From afar', matchCount: 3n, firstSeen: new Date('2026-01-01T00:00:00Z') },
    ...{ updatedAt: new Date('2026-01-01T00:01:40Z'), cut: false, sample: false },
  })
})

t.test('all but the id has a default, also where it is null or an empty text', async (t) => {
  const absent = { title: null, severity: '', state: null, url: '', context: null, match_count: null, updated_at: '' }
  for (const fields of [{}, absent]) {
    t.match(changes({ id: 7, ...fields }), [
      {
        ...{ alertId: 'acme|7', title: 'acme|7', severity: 'medium', state: 'active', context: [] },
        ...{ url: undefined, account: undefined, matchCount: undefined, updatedAt: undefined },
      },
    ])
  }
})

t.test('no result is no change; a list is a change each', async (t) => {
  for (const nothing of [undefined, null, []]) t.same(changes(nothing), [])
  t.same(
    changes([{ id: 1 }, { id: '2' }]).map(({ alertId }) => alertId),
    ['acme|1', 'acme|2'],
  )
  const [one, ...others] = changes([
    { id: 1, title: 'old', context: { a: 1 } },
    { id: 1, title: 'new', context: { a: [1, 2] } },
  ])
  t.same(others, [], 'two of one id are one')
  t.match(one, { title: 'new', context: [{ value: 1 }, { value: 2 }] })
})

t.test('an id is unique to its source, and a long one is hashed', async (t) => {
  const idOf = (source: string, id: Json) => {
    const mapped = mappedChanges(source, { id })
    return 'changes' in mapped ? mapped.changes[0]!.alertId : ''
  }
  t.not(idOf('acme', 'x'), idOf('acme2', 'x'))
  const long = idOf('acme', 'x'.repeat(1000))
  t.match(long, /^acme\|x+~[0-9a-f]{40}$/)
  t.equal(long.length, 200)
  t.not(long, idOf('acme', 'x'.repeat(1001)))
  t.notMatch(idOf('acme', 'a\u0000b'), /\p{Cc}/u)
  t.equal(idOf('acme', parseJson('12345678901234567890')), 'acme|12345678901234567890')
})

t.test('a context has ECS names, dotted or nested, and the values that such names have', async (t) => {
  t.same(contextOf({ 'source.ip': ['203.0.113.9', 'unknown', null], source: { port: '443' }, flag: true }), {
    flag: [true],
    related: { ip: ['203.0.113.9'] },
    source: { ip: ['203.0.113.9'], port: [443] },
  })
  t.same(contextOf(parseJson('{"__proto__":{"polluted":"yes"},"constructor.name":"c"}')), {
    ...(JSON.parse('{"__proto__":{"polluted":["yes"]}}') as object),
    constructor: { name: ['c'] },
  })
  t.notOk('polluted' in {})
  const many = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`name${n}`, n]))
  t.match(changes({ id: 1, context: many }), [{ cut: true, context: { length: 200 } }])
})

t.test('what is wrong is named', async (t) => {
  const severities = 'severity must be one of info, notice, low, medium, high, critical'
  const cases: [Json, string][] = [
    ['text', 'a change must be an object with an id'],
    [{}, 'id is required: what is the same in every message about it'],
    [{ id: 1.5 }, 'id must be a text or an integer'],
    [{ id: {} }, 'id must be a text or an integer'],
    [{ id: ' ' }, 'id must be a text or an integer'],
    [{ id: 1, titel: 'x' }, 'titel is not a known field'],
    [{ id: 1, title: 5 }, 'title must be a text'],
    [{ id: 1, severity: 'urgent' }, severities],
    [{ id: 1, severity: 8 }, severities],
    [{ id: 1, state: 'open' }, 'state must be active or resolved'],
    [{ id: 1, context: [] }, 'context must be an object of ECS names'],
    [{ id: 1, context: { a: { b: [{}] } } }, 'context.a.b must be a text, a number, a boolean or a list of these'],
    [{ id: 1, context: { 'a..b': 1 } }, 'context.a..b is no name: a part of it is empty'],
    [{ id: 1, url: 'javascript:alert(1)' }, 'url must be an http or https URL'],
    [{ id: 1, match_count: -1 }, 'match_count must be an integer from 0 on'],
    [{ id: 1, updated_at: 'yesterday' }, 'updated_at must be a time'],
    [
      [{ id: 1 }, { id: 2, state: 'x', url: 1 }],
      'change 2: state must be active or resolved; change 2: url must be an http or https URL',
    ],
    [Array.from({ length: 1001 }, (_, id) => ({ id })), 'it gives 1001 changes, of at most 1000'],
    [parseJson('{"id": 1, "__proto__": {"title": "x"}}'), '__proto__ is not a known field'],
  ]
  for (const [result, text] of cases) t.equal(wrong(result), text)
})

t.test('any JSON has changes or says what is wrong', async () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), (text) => {
      const mapped = mappedChanges('acme', parseJson(text))
      return 'wrong' in mapped ? mapped.wrong.length > 0 : mapped.changes.length === mapped.given.length
    }),
  )
})
