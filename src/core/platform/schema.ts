/** Schemas that several resources share. */
import { Type, type Static, type TSchema } from 'typebox'

/** A reference to a schema that is registered under its `$id`; the TypeScript type is that of the schema. */
export function refTo<T extends TSchema>(schema: T & { $id?: string }) {
  return Type.Unsafe<Static<T>>({ $ref: `${schema.$id}#` })
}

/** A string, or null. */
export function nullableText(description: string) {
  return Type.Unsafe<string | null>({ type: ['string', 'null'], description })
}

/** A time (RFC 3339, UTC), or null. */
export function nullableTime(description: string) {
  return Type.Unsafe<string | null>({ type: ['string', 'null'], format: 'date-time', description })
}

/**
 * A pattern, and what it asks for in words: `must be` and these words is what a request that does not match it is told. The document
 * has them as `x-pattern`.
 */
export function patterned(pattern: string, words: string) {
  return { pattern, 'x-pattern': words }
}

/** The names by which `alert-relay apply` knows things. */
export const NAME = patterned(
  '^[A-Za-z0-9][A-Za-z0-9._ -]{0,98}[A-Za-z0-9]$',
  '2 to 100 letters, digits, dots, underscores, hyphens and spaces, the first and the last a letter or digit',
)
export const WITHOUT_NUL = patterned('^[^\\u0000]*$', 'without NUL')

/** One of several strings. */
export function oneOf<const T extends string>(
  values: readonly T[],
  options: { description?: string; default?: T } = {},
) {
  return Type.Unsafe<T>({ type: 'string', enum: [...values], ...options })
}

/** A time (RFC 3339, UTC). */
export const Time = Type.String({ format: 'date-time' })
