/**
 * The format `raw`: the message as published to SNS, without an envelope. Pure.
 *
 * Guarantee: the body is the Message of the notification byte for byte, except that a lone surrogate, which UTF-8 cannot
 * encode, is replaced by U+FFFD.
 */
import { parseJson } from '../../platform/json.js'
import type { FormatInput, Rendered } from '../input.js'

/** The message, as JSON or plain text. For an event that the relay made (such as a notice) this is its payload. */
export function rawMessage({ event }: FormatInput): Rendered {
  const { payload } = event
  // an object or list is stored as received, any other message as one JSON string
  const message = payload.startsWith('"') ? parseJson(payload) : undefined
  return typeof message === 'string'
    ? { contentType: 'text/plain; charset=utf-8', text: message.toWellFormed() }
    : { contentType: 'application/json', text: payload }
}
