/**
 * What a message becomes: an alert change as Matano publishes it, else the findings of a source, else a notification. Pure.
 *
 * Guarantee: it has at least one part, and no two parts change the same alert.
 */
import { hash } from 'node:crypto'
import type { UnreadReason } from '../alert/change.js'
import { stringifyJson, type Json } from '../platform/json.js'
import { recognise, type Recognised, type UnreadMessage } from '../source/recognise.js'
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
  const whole = { parts: [content], originId: null } as const
  if (content.change || content.unread) return { ...whole, unknown: undefined }
  const found = recognise(document, { ...sources, topicArn: message.topicArn })
  if (!found) return { ...whole, unknown: document }
  return { ...partsOf(message, content, { ...found, reason: 'finding' }, now), unknown: undefined }
}

/** The parts of a message in which a source found something. @param content the message as a whole */
export function partsOf(message: IncomingMessage, content: MessageContent, found: Found, now: Date): MessageParts {
  const { source, reason, unread } = found
  const leftOut = unread === undefined ? undefined : { reason, detail: unread }
  if (!('changes' in found)) return { parts: [{ ...content, source, unread: leftOut }], originId: null }
  const { changes, messages, envelopeId } = found
  // the first message of an own source is the whole, and others may be
  const isWhole = (read: Json) => messages.length === 1 || (reason === 'source' && read === messages[0])
  const payloads = messages.map((read) => (isWhole(read) ? content.payload : stringifyJson(read)))
  const parts = payloads.map((payload, part): MessageContent => {
    const finding = changes[part]
    if (!finding) return { payload, source, change: undefined, unread: leftOut }
    return { payload, source, change: changeOfFinding(finding, message.sentAt, now), unread: undefined }
  })
  // a topic of its own may have subscribers of its own: the same event in two topics is stored for each
  const identity = JSON.stringify([message.topicArn, source, envelopeId])
  const originId = envelopeId === undefined ? null : hash('sha256', identity)
  return { parts: [parts[0]!, ...parts.slice(1)], originId }
}
