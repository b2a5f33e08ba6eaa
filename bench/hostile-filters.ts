/**
 * Filter policies and bodies that are made to be slow: every operator as often as it is accepted, in all combinations, with
 * bodies whose values are many, long, or all but equal to what they are compared with.
 */
import { assertAffordable } from '../src/core/filter/complexity.js'
import { parseFilterPolicy, type FilterPolicy } from '../src/core/filter/policy.js'
import { parseJson, type Json } from '../src/core/platform/json.js'

type Random = () => number

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function createRandom(seed: number): Random {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The size of an event that SNS sends at most. */
const BODY_BYTES = 256 * 1024

/** A body of that size whose field `a` has this value as often as it fits. */
function filled(element: string | ((index: number) => string)): string {
  const [open, close] = ['{"a":[', ']}']
  const elements: string[] = []
  let bytes = open.length + close.length
  for (let index = 0; ; index++) {
    const text = typeof element === 'string' ? element : element(index)
    bytes += Buffer.byteLength(text) + 1
    if (bytes > BODY_BYTES) break
    elements.push(text)
  }
  return `${open}${elements.join()}${close}`
}

const quoted = (text: string) => JSON.stringify(text)
const chain = (names: number) => Array.from({ length: names }, () => 'a').join('.')

const BODIES: Readonly<Record<string, string>> = {
  zeros: filled('0'),
  'empty strings': filled('""'),
  'empty objects': filled('{}'),
  'empty lists': filled('[]'),
  'lists of one': filled('[0]'),
  'objects of one': filled('{"x":0}'),
  'objects of two': filled('{"x":"a","y":"a"}'),
  'lists of objects': filled('[{"x":"a"}]'),
  letters: filled('"a"'),
  'short texts': filled(quoted('a'.repeat(20))),
  'texts of 300': filled(quoted('a'.repeat(300))),
  'texts of 2,100': filled(quoted('a'.repeat(2100))),
  'one text': filled(quoted('a'.repeat(BODY_BYTES - 20))),
  'one text of two letters': filled(quoted('ab'.repeat(BODY_BYTES / 2 - 20))),
  'different texts': filled((index) => quoted(index.toString(36))),
  'texts not of ASCII': filled(quoted('Ä')),
  'one text not of ASCII': filled(quoted('Ä'.repeat(BODY_BYTES / 2 - 20))),
  'different characters': filled((index) => quoted(String.fromCodePoint(0x4e00 + (index % 20_000)))),
  addresses: filled((index) => quoted(`1.1.${index % 10}.${index % 7}`)),
  'IPv6 addresses': filled(quoted('::')),
  'IPv6 addresses in full': filled(quoted('1:2:3:4:5:6:7:8')),
  'addresses of both kinds': filled(quoted('::1.1.1.1')),
  'addresses in zones': filled(quoted('::%a')),
  'long numbers': filled('1234567890123456'),
  'one long number': filled('1'.repeat(BODY_BYTES - 20)),
  'dotted keys': filled(`{"${chain(31)}":0}`),
  'dotted and empty': filled((index) => (index === 0 ? '{"x.x":0}' : '{}')),
  'dotted and not': filled((index) => (index === 0 ? '{"x.x":0}' : '{"x":0}')),
  'one object of dotted keys': `{${filled((index) => quoted(`${chain(25)}.${index.toString(36)}`) + ':0').slice(6, -2)}}`,
  'deep lists': filled('['.repeat(100) + ']'.repeat(100)),
  'deep objects': filled('{"a":'.repeat(30) + '{}' + '}'.repeat(30)),
  'deep and long': '{"a":'.repeat(30) + filled('[]').slice(5, -1) + '}'.repeat(30),
}

const LETTERS = ['a', 'b', 'ab', 'aa', 'x', '0', '']
const many = <T>(count: number, text: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => text(i))

/** Lists of conditions, each the costly form of an operator. */
const CONDITIONS: ((random: Random) => Json[])[] = [
  () => ['v'],
  () => many(300, (i) => `v${i}`),
  () => [{ exists: true }],
  () => [{ exists: false }],
  () => [1, 2, 3],
  () => [parseJson('1234567890123457')],
  (random) => [{ wildcard: `*${pick(LETTERS.slice(0, 4), random)}*b*` }],
  () => [{ wildcard: 'a*b' }],
  () => [{ wildcard: `*${'a'.repeat(240)}b*` }],
  () => [{ wildcard: `*b${'a'.repeat(240)}*` }],
  () => [{ wildcard: `*b${'a'.repeat(2000)}*` }],
  () => [{ wildcard: `*${'a'.repeat(2000)}b*` }],
  () => [{ wildcard: `${'a*'.repeat(1000)}b` }],
  () => [{ wildcard: `*${'aab*'.repeat(400)}c` }],
  () => [{ wildcard: `*aaab${'a'.repeat(5)}*` }],
  () => [{ 'anything-but': many(300, () => 'a') }],
  () => [{ 'anything-but': [0] }],
  () => [{ 'anything-but': { wildcard: ['*a*', '*', 'a*a'] } }],
  () => [{ 'anything-but': { prefix: ['a', 'A', 'Ä'] } }],
  () => [{ 'anything-but': { 'equals-ignore-case': ['a', 'Ä'] } }],
  () => [{ numeric: ['>', 5] }],
  () => [{ numeric: ['>', parseJson('1234567890123457')] }],
  () => [{ numeric: ['>', 0, '<', parseJson('0.00000000000000000000001')] }],
  () => many(300, (i) => ({ prefix: 'a'.repeat(i) + 'b' })),
  () => many(300, (i) => ({ suffix: 'b' + 'a'.repeat(i) })),
  () => many(300, (i) => ({ prefix: { 'equals-ignore-case': 'Ä'.repeat(i) + 'b' } })),
  () => [{ 'equals-ignore-case': 'B' }],
  () => [{ suffix: { 'equals-ignore-case': 'ß' } }],
  () => [{ cidr: '10.0.0.0/8' }],
  () => many(300, (i) => ({ cidr: `${i % 256}.2.0.0/16` })),
  () => many(300, (i) => ({ cidr: `${i}::/64` })),
]

/** Where the conditions stand: on the field, on a field of its elements, or deeper. */
const PLACES: ((conditions: Json[], index: number) => Json)[] = [
  (conditions) => ({ a: conditions }),
  (conditions) => ({ a: { x: conditions } }),
  (conditions) => ({ 'a.x': conditions, 'a.y': conditions }),
  (conditions, index) => ({ a: { [`x${index}`]: conditions } }),
  (conditions) => ({ a: { x: { y: conditions } } }),
  (conditions, index) => ({ [chain(1 + (index % 31))]: conditions }),
]

const pick = <T>(list: readonly T[], random: Random): T => list[Math.floor(random() * list.length)]!

export interface Hostile {
  name: string
  policy: FilterPolicy
  body: string
}

/** As many alternatives as are accepted, each of a few lists of conditions on one field, and a body. */
export function hostileFilter(random: Random): Hostile {
  const kinds = Array.from({ length: 1 + Math.floor(random() * 3) }, () => Math.floor(random() * CONDITIONS.length))
  const place = Math.floor(random() * PLACES.length)
  const inOneList = random() < 0.3
  const lists: Json[][] = []
  let accepted: FilterPolicy | undefined
  for (let index = 0; index < 200; index++) {
    lists.push(CONDITIONS[kinds[index % kinds.length]!]!(random))
    const alternatives = (inOneList ? [lists.flat()] : lists).map((list, i) => PLACES[place]!(list, i))
    const policy = acceptedPolicy(alternatives.length > 1 ? { $or: alternatives } : alternatives[0]!)
    if (policy) accepted = policy
    else lists.pop()
    if (!policy && index >= kinds.length) break
  }
  const [bodyName, body] = pick(Object.entries(BODIES), random)
  const name = `${lists.length} x conditions ${kinds.join('+')} at ${place}${inOneList ? ' in one list' : ''}, ${bodyName}`
  return { name, policy: accepted ?? parseFilterPolicy({ a: ['v'] }), body }
}

function acceptedPolicy(policy: Json): FilterPolicy | undefined {
  try {
    const parsed = parseFilterPolicy(policy)
    assertAffordable(parsed)
    return parsed
  } catch {
    return undefined
  }
}
