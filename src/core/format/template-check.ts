/** Whether a template can be read. Pure: it is parsed, never run. */
import jsonata from 'jsonata'
import { messageOf } from '../platform/errors.js'

/** Characters of a template: a message for a person needs a few hundred. */
export const MAX_TEMPLATE_LENGTH = 16_384

/**
 * Parses a template (JSONata 2).
 * @returns what is wrong with it and where, for the person who wrote it; undefined when it is well-formed
 */
export function checkTemplate(text: string): string | undefined {
  if (text.length > MAX_TEMPLATE_LENGTH) return `is longer than ${MAX_TEMPLATE_LENGTH} characters`
  try {
    jsonata(text)
    return undefined
  } catch (error) {
    if (error instanceof RangeError) return 'is no JSONata: it nests too deep'
    return `is no JSONata: ${problemOf(error)}`
  }
}

/** JSONata throws objects that are no Errors. */
function problemOf(error: unknown): string {
  const { message, position } = error as { message?: unknown; position?: unknown }
  const text = typeof message === 'string' ? messageOf(message) : messageOf(error)
  return typeof position === 'number' ? `${text} (at character ${position})` : text
}
