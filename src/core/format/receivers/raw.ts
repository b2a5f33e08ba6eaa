/**
 * The format `raw`: what SNS was given to publish, without an envelope. Pure.
 *
 * Promise: byte for byte the Message of the notification; only a lone surrogate, which UTF-8 cannot carry, is U+FFFD.
 */
import { parseJson } from '../../platform/json.js'
import type { FormatInput, Rendered } from '../input.js'

/** JSON as it was, or plain text; of an event made here (rule matches, quiet alerts, notices, tests) its payload. */
export function rawMessage({ event }: FormatInput): Rendered {
  const { payload } = event
  // An object or a list is stored as it came in, any other message as one JSON string.
  const message = payload.startsWith('"') ? parseJson(payload) : undefined
  return typeof message === 'string'
    ? { contentType: 'text/plain; charset=utf-8', text: message.toWellFormed() }
    : { contentType: 'application/json', text: payload }
}
