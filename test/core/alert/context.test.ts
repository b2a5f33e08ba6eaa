import fc from 'fast-check'
import t from 'tap'
import { buildContext, contextKey, flattenContext, type ContextValue } from '../../../src/core/alert/context.js'
import { parseJson, stringifyJson, type Json, type JsonObject } from '../../../src/core/platform/json.js'

const parse = (text: string) => parseJson(text) as JsonObject
const same = (a: string, b: string) =>
  contextKey({ path: ['x'], value: parseJson(a) }).equals(contextKey({ path: ['x'], value: parseJson(b) }))

t.test('a context is split in first-seen order and built with its keys in order', async (t) => {
  const values = flattenContext(parse('{"user":{"name":["b","a"]},"event":{"action":["x"]},"note":"bare"}'))
  t.same(
    values.map(({ path, value }) => [path.join('.'), value]),
    [
      ['user.name', 'b'],
      ['user.name', 'a'],
      ['event.action', 'x'],
      ['note', 'bare'],
    ],
  )
  t.equal(stringifyJson(buildContext(values)), '{"event":{"action":["x"]},"note":["bare"],"user":{"name":["b","a"]}}')
})

t.test('equality is by type and value', async (t) => {
  t.ok(same('1', '1.0'), '1 and 1.0 are one value')
  t.ok(same('100', '1e2'))
  t.ok(same('0', '-0.0'))
  t.ok(same('0.10000000149011612', '1.0000000149011612E-1'))
  t.ok(same('{"a":1,"b":[2]}', '{"b":[2.0],"a":1}'), 'objects compare by structure')
  t.notOk(same('1', '"1"'))
  t.notOk(same('true', '"true"'))
  t.notOk(same('null', '"null"'))
  t.notOk(same('[1,2]', '[2,1]'))
  t.notOk(same('[1]', '{"0":1}'))
  t.notOk(same('-1', '1'))
})

t.test('integers beyond 2^53 are compared digit by digit', async (t) => {
  t.notOk(same('9007199254740993', '9007199254740992'))
  t.ok(same('9007199254740993', '9007199254740993.0'))
  t.notOk(same('1e400', '1e401'), 'numbers that overflow a double differ')
})

t.test('no key is special', async (t) => {
  const text = '{"":["empty"],"__proto__":{"polluted":["yes"]},"a.b":["dot"],"constructor":["c"]}'
  const values = flattenContext(parse(text))
  t.equal(values.length, 4)
  t.equal(stringifyJson(buildContext(values)), text)
  t.equal(({} as Record<string, unknown>).polluted, undefined)
  const dotted = contextKey({ path: ['a.b'], value: 1 })
  t.notOk(dotted.equals(contextKey({ path: ['a', 'b'], value: 1 })), '"a.b" is not a then b')
})

t.test('a path that holds values and deeper paths keeps both', async (t) => {
  const values = [...flattenContext(parse('{"a":[1]}')), ...flattenContext(parse('{"a":{"b":[2]}}'))]
  t.equal(stringifyJson(buildContext(values)), '{"a":[1,{"b":[2]}]}')
})

t.test('building the values of a split context gives the context back', async () => {
  const key = fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', 'a.b', '', 'toString', '1'))
  const leaf = fc.array(
    fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.double({ noNaN: true, noDefaultInfinity: true })),
    {
      minLength: 1,
      maxLength: 3,
    },
  )
  const { context } = fc.letrec<{ context: JsonObject; node: Json }>((tie) => ({
    node: fc.oneof({ maxDepth: 3 }, leaf as fc.Arbitrary<Json>, tie('context')),
    context: fc
      .array(fc.tuple(key, tie('node')), { minLength: 1, maxLength: 4 })
      .map((entries) => parse(stringifyJson(Object.fromEntries(entries)))),
  }))
  const digest = (values: ContextValue[]) => values.map((value) => contextKey(value).toString('hex')).sort()
  fc.assert(
    fc.property(context, (made) => {
      const values = flattenContext(made)
      const again = flattenContext(buildContext(values))
      return JSON.stringify(digest(again)) === JSON.stringify(digest(values))
    }),
  )
})
