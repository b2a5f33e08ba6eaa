/** Response schemas of successful answers, for the OpenAPI document. */
import type { TSchema } from 'typebox'

/**
 * The response schema of a JSON answer.
 * @param description what the answer means
 * @param example an answer from a real run
 */
export function answer<T extends TSchema>(description: string, schema: T, example?: object) {
  return {
    description,
    content: { 'application/json': { schema, ...(example === undefined ? {} : { example }) } },
  }
}
