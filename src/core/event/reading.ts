/**
 * Reading SNS's Message: which document is stored, what it means, and whether it is an alert change as Matano publishes it
 * (message-parts.ts reads all else). Pure.
 *
 * Guarantee: what is stored is the message as it was received; what it means follows from that alone, so that every
 * attempt has the same body. A message that is plainly meant as a change is read as one: with a byte order mark, with
 * NaN or Infinity, as JSON inside a JSON string, with an integer as its alert's id, as a list of one. One that is meant
 * as a change and cannot be read has its reason.
 */
import { changeMessageOf, parseAlertChange, unreadOf, type AlertChange, type Unread } from '../alert/change.js'
import {
  isJsonObject,
  MAX_DEPTH,
  parseJson,
  parseStoredJson,
  stringifyJson,
  TooDeepError,
  type Json,
  type JsonObject,
} from '../platform/json.js'
import { parseLenientJson } from '../platform/lenient-json.js'

/** A message's content: the document that is stored, and the alert change in it, if it is one. */
export interface MessageContent {
  payload: string
  change: AlertChange | undefined
  /** Why it is no change, if it was meant as one. */
  unread: Unread | undefined
  /** The source that knows the message; undefined where none of the built-in ones does. */
  source?: string
}

/** What a payload means. */
export interface Reading {
  /** The object or list in the message; otherwise its text. */
  document: Json
  unread: Unread | undefined
}

/** How often JSON may be wrapped in a JSON string; each serialiser too many on its way wraps it once. */
const MAX_WRAPS = 3

/**
 * Reads SNS's Message. A JSON object or array is stored byte for byte. Anything else (plain text, a number, JSON that
 * nests too deep) is stored as a JSON string, so that a payload is always one JSON document.
 */
export function readMessage(message: string): MessageContent & { document: Json } {
  const json = parseOrUndefined(message)
  if (!isDocument(json)) {
    const { document, unread } = read(message)
    return { payload: JSON.stringify(message), document, change: parseAlertChange(document), unread }
  }
  const payload = message.isWellFormed() ? message : stringifyJson(json)
  return { payload, document: json, change: parseAlertChange(json), unread: unreadOf(json) }
}

/** Reads what is stored of a message. */
export function readPayload(payload: string): Reading {
  const stored = parseStoredJson(payload)
  return typeof stored === 'string' ? read(stored) : { document: stored, unread: unreadOf(stored) }
}

/** The alert change that is stored as this text, a payload or a finding's change; undefined when it is something else. */
export function storedChange(text: string): JsonObject | undefined {
  const message = changeMessageOf(readPayload(text).document)
  return message && isJsonObject(message.updated_alert) ? message : undefined
}

function parseOrUndefined(text: string): Json | undefined {
  try {
    return parseJson(text)
  } catch {
    return undefined
  }
}

function isDocument(json: Json | undefined): json is JsonObject | Json[] {
  return isJsonObject(json) || Array.isArray(json)
}

function read(message: string): Reading {
  let text = message
  try {
    for (let wraps = 0; wraps <= MAX_WRAPS; wraps++) {
      const json = parseLenientJson(text)
      if (isDocument(json)) return { document: json, unread: unreadOf(json) }
      if (typeof json !== 'string') break
      text = json
    }
    return { document: message, unread: undefined }
  } catch (error) {
    return { document: message, unread: isMeantAsJson(text) ? whyNoJson(error) : undefined }
  }
}

/** Prose may name the field too. */
function isMeantAsJson(text: string): boolean {
  return /^\s*[{["]/.test(text) && text.includes('updated_alert')
}

function whyNoJson(error: unknown): Unread {
  if (error instanceof TooDeepError) return { reason: 'too_deep', detail: `it nests deeper than ${MAX_DEPTH} levels` }
  // the engine quotes the text after a comma; it may be secret
  const [why] = error instanceof Error ? error.message.split(/, (?:\.\.\.)?"/) : []
  return { reason: 'not_json', detail: `it is no JSON: ${why ?? 'it cannot be parsed'}` }
}
