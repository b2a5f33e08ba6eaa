/** The syntax check of JSONata expressions. Pure: an expression is parsed, never run. */
import jsonata from 'jsonata'
import { messageOf } from './errors.js'

/** Characters of an expression; a message for people needs a few hundred. */
export const MAX_EXPRESSION_LENGTH = 16_384

/**
 * Parses an expression (JSONata 2).
 * @returns the error and its position, for the author; undefined for a valid expression
 */
export function checkExpression(text: string): string | undefined {
  if (text.length > MAX_EXPRESSION_LENGTH) return `is longer than ${MAX_EXPRESSION_LENGTH} characters`
  try {
    jsonata(text)
    return undefined
  } catch (error) {
    if (error instanceof RangeError) return 'is no JSONata: it nests too deep'
    return `is no JSONata: ${problemOf(error)}`
  }
}

/** JSONata throws objects that are not Errors. */
function problemOf(error: unknown): string {
  const { message, position } = error as { message?: unknown; position?: unknown }
  const text = typeof message === 'string' ? messageOf(message) : messageOf(error)
  return typeof position === 'number' ? `${text} (at character ${position})` : text
}
