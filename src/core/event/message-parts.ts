/**
 * What a message becomes: an alert change as Matano publishes it, else the findings of a source, else a notification. Pure.
 *
 * Guarantee: it has at least one part, and no two parts change the same alert.
 */
import { hash } from 'node:crypto'
import type { UnreadReason } from '../alert/change.js'
import { stringifyJson, type Json } from '../platform/json.js'
import { envelopeIdOf, recognise, type Recognised, type UnreadMessage } from '../source/recognise.js'
import type { SourceSettings } from '../source/settings.js'
import type { IncomingMessage } from './event.js'
import { changeOfFinding } from './finding-change.js'
import { readMessage, type MessageContent } from './reading.js'

export interface MessageParts {
  parts: readonly [MessageContent, ...MessageContent[]]
  /** The same for every message that repeats an EventBridge event to one topic; null when it does not hold one. */
  originId: string | null
}

/** A message as the relay itself reads it. */
export interface ReadParts extends MessageParts {
  /** The document of a message that is neither Matano's nor a built-in source's: own sources may read it. */
  unknown: Json | undefined
}

/** What a source says of a message, and why where it could not read it. */
export type Found = (Recognised | UnreadMessage) & { reason: Extract<UnreadReason, 'finding' | 'source'> }

/** @param now when it was received: times after it are not believed */
export function readParts(message: IncomingMessage, sources: SourceSettings, now: Date): ReadParts {
  const { document, ...content } = readMessage(message.message)
  if (content.change || content.unread) return { parts: [content], originId: null, unknown: undefined }
  const whole: MessageParts = { parts: [content], originId: originOf(message, envelopeIdOf(document), null) }
  const found = recognise(document, { ...sources, topicArn: message.topicArn })
  if (!found) return { ...whole, unknown: document }
  return { ...partsOf(message, whole, { ...found, reason: 'finding' }, now), unknown: undefined }
}

/** The parts of a message in which a source found something. @param whole the message as a notification */
export function partsOf(message: IncomingMessage, whole: MessageParts, found: Found, now: Date): MessageParts {
  const { source, reason, unread } = found
  const [content] = whole.parts
  const leftOut = unread === undefined ? undefined : { reason, detail: unread }
  if (!('changes' in found)) return { ...whole, parts: [{ ...content, source, unread: leftOut }] }
  const { changes, messages, envelopeId } = found
  // the first message of an own source is the whole, and others may be
  const isWhole = (read: Json) => messages.length === 1 || (reason === 'source' && read === messages[0])
  const payloads = messages.map((read) => (isWhole(read) ? content.payload : stringifyJson(read)))
  const parts = payloads.map((payload, part): MessageContent => {
    const finding = changes[part]
    if (!finding) return { payload, source, change: undefined, unread: leftOut }
    return { payload, source, change: changeOfFinding(finding, message.sentAt, now), unread: undefined }
  })
  return { parts: [parts[0]!, ...parts.slice(1)], originId: originOf(message, envelopeId, source) }
}

/** A topic of its own may have subscribers of its own: the same event in two topics is stored for each. */
function originOf({ topicArn }: IncomingMessage, envelopeId: string | undefined, source: string | null): string | null {
  return envelopeId === undefined ? null : hash('sha256', JSON.stringify([topicArn, source, envelopeId]))
}
