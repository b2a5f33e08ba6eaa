/** Generated bodies and policies. They have few keys and values, so that policies often match. */
import fc from 'fast-check'
import type { Json, JsonObject } from '../../../src/core/platform/json.js'

export const scalar = fc.oneof(
  fc.constantFrom<Json>('a', 'b', 'ab', '', null, true, false, 0, 1, 2.5),
  fc.string(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
)
export const plainBody = fc.letrec<{ node: Json; body: JsonObject }>((tie) => ({
  node: fc.oneof({ maxDepth: 3 }, scalar, fc.array(scalar, { maxLength: 3 }), tie('body')),
  body: fc.dictionary(fc.constantFrom('a', 'b', 'c', '__proto__', '$', '/~'), tie('node'), { maxKeys: 4 }),
})).body

const condition = fc.constantFrom<Json>(
  'a',
  1,
  null,
  { exists: false },
  { exists: true },
  { 'anything-but': 'a' },
  { prefix: 'a' },
)
const conditions = fc.array(condition, { minLength: 1, maxLength: 2 })
export const simplePolicy = fc.dictionary(
  fc.constantFrom('a', 'b', 'c', 'a.b'),
  fc.oneof(conditions, fc.dictionary(fc.constantFrom('a', 'b', 'b.a'), conditions, { minKeys: 1 })),
  { minKeys: 1, maxKeys: 2 },
)

export const value = fc.constantFrom<Json>(1, 2)
/** Conditions for the bodies below. */
export const valueConditions = fc.array(
  fc.oneof({ weight: 3, arbitrary: value }, fc.constantFrom<Json>({ exists: true }, { exists: false })),
  { minLength: 1, maxLength: 2 },
)
/** Bodies with lists of objects and lists of lists, whose objects have these keys. */
function nestedBody(...keys: string[]) {
  return fc.letrec<{ node: Json; list: Json[]; body: JsonObject }>((tie) => ({
    node: fc.oneof({ maxDepth: 4 }, value, tie('list'), tie('body')),
    list: fc.array(tie('node'), { maxLength: 3 }),
    body: fc.dictionary(fc.constantFrom(...keys), tie('node'), { maxKeys: 3 }),
  })).body
}

export const listBody = nestedBody('a', 'b', 'c')
/** Some have the same field in several ways. */
export const dottedBody = nestedBody('a', 'b', 'a.b', 'a.b.c')
