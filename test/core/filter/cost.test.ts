import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import t from 'tap'
import { foldCase } from '../../../src/core/filter/caseless.js'
import { assertAffordable, filterErrors } from '../../../src/core/filter/complexity.js'
import { matchesPolicy } from '../../../src/core/filter/match.js'
import { FilterPolicyError } from '../../../src/core/filter/policy-error.js'
import { parseFilterPolicy } from '../../../src/core/filter/policy.js'
import type { Json } from '../../../src/core/platform/json.js'

const matches = (conditions: Json[], value: Json) => matchesPolicy(parseFilterPolicy({ a: conditions }), { a: value })
const some = (conditions: Json[], value: Json) => conditions.some((condition) => matches([condition], value))

t.test('conditions of one list hold together as each alone does', async () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'A', 'ß', 'ẞ', 'σ', 'ς'), maxLength: 6 })
  const condition = fc.oneof(
    text,
    text.map((prefix) => ({ prefix })),
    text.map((suffix) => ({ suffix })),
    text.map((folded) => ({ prefix: { 'equals-ignore-case': folded } })),
    text.map((folded) => ({ suffix: { 'equals-ignore-case': folded } })),
    text.map((folded) => ({ 'equals-ignore-case': folded })),
    fc.tuple(text, text).map(([first, last]) => ({ wildcard: `${first}*${last}` })),
  )
  fc.assert(
    fc.property(fc.array(condition, { minLength: 1, maxLength: 8 }), text, (conditions, value) => {
      return matches(conditions, value) === some(conditions, value)
    }),
    { numRuns: 2000 },
  )
})

t.test('texts are equal without case exactly as by simple case folding', async (t) => {
  const all = Array.from({ length: 0x110000 }, (_, code) => code).filter((code) => code < 0xd800 || code > 0xdfff)
  const cased = all.map((code) => String.fromCodePoint(code)).filter((char) => /[\p{CWCM}\p{Cased}]/u.test(char))
  const byFold = new Map<string, string[]>()
  for (const char of cased) byFold.set(foldCase(char), [...(byFold.get(foldCase(char)) ?? []), char])
  const text = cased.join('')
  const wrong = cased.filter((char) => {
    const equal = text.match(new RegExp(char.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'), 'giu')) ?? []
    return equal.join('') !== byFold.get(foldCase(char))!.join('')
  })
  t.same(wrong, [])
  t.ok(cased.length > 2500)
})

t.test('networks hold together as each alone does, for every text that ipaddr.js takes as an address', async () => {
  const part = fc.oneof(
    fc.constantFrom('', '0', '1', 'ffff', 'FFFF', '0001', '00001', '10', '1.2.3.4'),
    fc.string({ unit: fc.constantFrom(...'09afAF'), maxLength: 5 }),
  )
  const address = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc
      .array(fc.constantFrom('0', '1', '10', '255', '256', '01', '0x1f'), { minLength: 3, maxLength: 5 })
      .map((o) => o.join('.')),
    fc
      .tuple(fc.array(part, { maxLength: 9 }), fc.constantFrom('', ':1.2.3.4', ':0x1.02.3.4', '%eth0', '%', '%a%b'))
      .map(([parts, end]) => parts.join(':') + end),
    fc.string({ unit: fc.constantFrom(...'0123af:::.%xg') }),
  )
  const family = (text: string) => {
    if (ipaddr.IPv4.isValidFourPartDecimal(text)) return 'ipv4'
    if (!ipaddr.IPv6.isValid(text)) return 'none'
    return ipaddr.IPv6.parse(text).isIPv4MappedAddress() ? 'both' : 'ipv6'
  }
  const network = fc.oneof(
    fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })),
    fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })),
  )
  fc.assert(
    fc.property(address, fc.array(network, { minLength: 1, maxLength: 6 }), (text, networks) => {
      const conditions = networks.map(([base, bits]) => ({ cidr: `${base}/${bits}` }))
      const all = [matches([{ cidr: '0.0.0.0/0' }], text), matches([{ cidr: '::/0' }], text)]
      const expected = { ipv4: [true, false], ipv6: [false, true], both: [true, true], none: [false, false] }[
        family(text)
      ]
      const inOne = networks.some(([base, bits]) => {
        if (family(text) === 'none') return false
        const [ip, range] = [ipaddr.parse(text), ipaddr.parse(base)]
        const mapped = family(text) === 'both' && range.kind() === 'ipv4' ? (ip as ipaddr.IPv6).toIPv4Address() : ip
        return mapped.kind() === range.kind() && mapped.match(range, bits)
      })
      return String(all) === String(expected) && matches(conditions, text) === inOne
    }),
    { numRuns: 5000 },
  )
})

t.test('a wildcard with a long literal matches like one with a short one', async () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 4 })
  const long = fc.tuple(word, fc.integer({ min: 1, max: 300 })).map(([text, times]) => text.repeat(times).slice(0, 700))
  fc.assert(
    fc.property(long, long, long, (before, literal, after) => {
      const value = before + literal + after
      return (
        matches([{ wildcard: `*${literal}*${after}` }], value) &&
        matches([{ wildcard: `*${literal}c*` }], value) === value.includes(`${literal}c`) &&
        matches([{ wildcard: `*${after}${literal}*` }], value) === value.includes(after + literal)
      )
    }),
    { numRuns: 500 },
  )
})

t.test('a long list matches like its elements, in lists of any depth', async () => {
  const element = fc.constantFrom<Json>(1, 2, 'a', null, {}, [], { x: 1 }, { x: 2, y: 1 }, { x: {} }, [[1]], [{ x: 1 }])
  const condition = fc.constantFrom<Json>(1, 'b', { exists: true }, { exists: false }, { 'anything-but': 1 })
  const policy = fc.oneof(
    condition.map((one) => ({ a: [one] })),
    condition.map((one) => ({ a: { x: [one] } })),
    fc.tuple(condition, condition).map(([x, y]) => ({ a: { x: [x], y: [y] } })),
  )
  fc.assert(
    fc.property(policy, fc.array(element, { minLength: 1, maxLength: 5 }), (given, list) => {
      const parsed = parseFilterPolicy(given)
      const long = Array.from({ length: 30 }, (_, i) => list[i % list.length]!)
      return matchesPolicy(parsed, { a: list }) === matchesPolicy(parsed, { a: [long, ...list] })
    }),
    { numRuns: 2000 },
  )
})

const refusal = (policy: unknown) => {
  try {
    assertAffordable(parseFilterPolicy(policy))
  } catch (error) {
    if (error instanceof FilterPolicyError) return error
    throw error
  }
  return { path: '', reason: 'taken' }
}
const many = <T>(count: number, of: (index: number) => T) => Array.from({ length: count }, (_, index) => of(index))

t.test('a field is compared at most 50 times, in all alternatives together', async (t) => {
  t.equal(
    refusal({ a: many(500, (i) => ({ prefix: `p${i}` })), b: many(400, (i) => ({ cidr: `10.0.${i % 256}.0/24` })) })
      .reason,
    'taken',
  )
  t.equal(refusal({ a: many(49, (i) => ({ wildcard: `*${i}*` })) }).reason, 'taken')
  t.match(refusal({ a: many(50, (i) => ({ wildcard: `*${i}*` })) }), {
    path: '/a',
    reason: /compares \/a more than 50 times/,
  })
  t.equal(refusal({ a: many(500, (i) => ({ wildcard: `${i}*` })) }).reason, 'taken', 'a prefix')
  t.match(refusal({ a: [{ 'anything-but': { wildcard: many(50, (i) => `*${i}*`) } }] }), { path: '/a' })
  t.match(refusal({ $or: many(60, (i) => ({ 'a.b': [i] })) }), { path: '/$or/25/a.b', reason: /compares \/a more/ })
  t.match(refusal({ $or: many(60, (i) => ({ a: [i], x: ['y'] })) }), { path: '/$or/50/a' })
  t.equal(refusal({ $or: many(200, (i) => ({ [`a${i}`]: [i] })) }).reason, 'taken', 'different fields')
  t.match(refusal({ a: { $or: many(30, (i) => ({ [`x${i}`]: ['y'] })) } }), { path: '/a/$or/0/x0' })
})

t.test('a filter that was stored before the bound goes on working, and blocks no other change', async (t) => {
  const a = many(60, (i) => ({ wildcard: `*${i}*` }))
  t.match(filterErrors({ a }, '/filter'), [{ path: '/filter/a', detail: /more than 50 times/ }])
  t.same(filterErrors({ a }, '/filter', false), [])
  t.ok(matches(a, 'x59x'))
})
