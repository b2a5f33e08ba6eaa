import fc from 'fast-check'
import { isSafeNumber, LosslessNumber, parse, stringify } from 'lossless-json'
import t from 'tap'
import {
  integerOf,
  isJsonObject,
  MAX_DEPTH,
  parseJson,
  stringifyJson,
  type Json,
} from '../../../src/core/platform/json.js'

t.test('numbers keep every digit', async (t) => {
  const text =
    '{"big":12345678901234567890,"more":[9007199254740993,-9007199254740993],"float":0.10000000149011612,"huge":1e400}'
  t.equal(stringifyJson(parseJson(text)), text)
})

t.test('a number is read as lossless-json reads it, whatever surrounds it', async () => {
  const parts = [/(0|[1-9]\d{0,40})/, /(\.\d{1,30})?/, /([eE][+-]?\d{1,3})?/].map((part) => part.source).join('')
  const number = fc.stringMatching(new RegExp(`^-?${parts}$`))
  const text = fc.oneof(fc.string({ unit: fc.constantFrom(...'\\"[{1e,') }), fc.stringMatching(/^\d{20}$/))
  fc.assert(
    fc.property(
      number,
      text.map((text) => JSON.stringify(text)),
      (number, text) => {
        const json = `{"a":[${text},${number},{${text}:${number}}],"b":${number}}`
        const parseNumber = (digits: string) => (isSafeNumber(digits) ? Number(digits) : new LosslessNumber(digits))
        return stringifyJson(parseJson(json)) === stringify(parse(json, undefined, { parseNumber }))
      },
    ),
    { numRuns: 1000 },
  )
})

t.test('hostile keys are data', async (t) => {
  const text =
    '{"__proto__":{"polluted":true},"constructor":1,"toJSON":"no","hasOwnProperty":null,"isLosslessNumber":true}'
  t.equal(stringifyJson(parseJson(text)), text)
  t.equal(({} as Record<string, unknown>).polluted, undefined)
})

t.test('the last value of a repeated key counts', async (t) => {
  t.equal(stringifyJson(parseJson('{"a":1,"b":2,"a":{"c":3}}')), '{"a":{"c":3},"b":2}')
})

t.test('nesting is bounded, and brackets in strings do not count', async (t) => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
  t.equal(stringifyJson(parseJson(nested(MAX_DEPTH))), nested(MAX_DEPTH))
  t.throws(() => parseJson(nested(MAX_DEPTH + 1)), { name: 'SyntaxError', message: /nested deeper than 128/ })
  t.throws(() => parseJson('{"a":'.repeat(100_000)), { name: 'SyntaxError' })
  const brackets = JSON.stringify('[{'.repeat(1000) + '\\"[')
  t.equal(stringifyJson(parseJson(brackets)), brackets)
})

t.test('a text that is not JSON is a SyntaxError', async (t) => {
  for (const text of ['', '{', '{"a":1,}', 'nul', '01', '"\u0001"', 'NaN', "{'a':1}"]) {
    t.throws(() => parseJson(text), { name: 'SyntaxError' }, text)
  }
})

t.test('integerOf returns an integer exactly, or undefined', async (t) => {
  t.equal(integerOf(parseJson('9223372036854775807')), 9223372036854775807n)
  t.equal(integerOf(parseJson('9223372036854775808')), undefined, 'beyond bigint')
  t.equal(integerOf(3), 3n)
  for (const other of [1.5, '3', null, undefined, true, [3]]) t.equal(integerOf(other as Json), undefined)
})

t.test('a LosslessNumber is no JSON object', async (t) => {
  t.equal(isJsonObject(parseJson('12345678901234567890')), false)
  t.equal(isJsonObject(parseJson('{}')), true)
})

t.test('any JSON has the same meaning after parsing and writing', async () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const once = stringifyJson(parseJson(text))
      return (
        stringifyJson(parseJson(once)) === once && JSON.stringify(JSON.parse(once)) === JSON.stringify(JSON.parse(text))
      )
    }),
  )
})
