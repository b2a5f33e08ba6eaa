/** What the document says of a success. */
import type { TSchema } from 'typebox'

/**
 * The response schema of an answer in JSON.
 * @param description what it means that this is the answer
 * @param example an answer of a real run
 */
export function answer<T extends TSchema>(description: string, schema: T, example?: object) {
  return {
    description,
    content: { 'application/json': { schema, ...(example === undefined ? {} : { example }) } },
  }
}
