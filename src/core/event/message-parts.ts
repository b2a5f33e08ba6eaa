/**
 * What a message becomes: an alert change as Matano publishes it, else the findings of a source, else a notification. Pure.
 *
 * Guarantee: it has at least one part, and no two parts change the same alert.
 */
import { hash } from 'node:crypto'
import { stringifyJson } from '../platform/json.js'
import { envelopeIdOf, recognise } from '../source/recognise.js'
import type { SourceSettings } from '../source/settings.js'
import type { IncomingMessage } from './event.js'
import { changeOfFinding } from './finding-change.js'
import { readMessage, type MessageContent } from './reading.js'

export interface MessageParts {
  parts: readonly [MessageContent, ...MessageContent[]]
  /** The same for every message that repeats an EventBridge event to one topic; null when it does not hold one. */
  originId: string | null
}

/** @param now when it was received: times after it are not believed */
export function readParts(message: IncomingMessage, sources: SourceSettings, now: Date): MessageParts {
  const { document, ...content } = readMessage(message.message)
  if (content.change || content.unread) return { parts: [content], originId: null }
  const { topicArn } = message
  // a topic of its own may have subscribers of its own: the same event in two topics is stored for each
  const originOf = (envelopeId: string | undefined, source: string | null) =>
    envelopeId === undefined ? null : hash('sha256', JSON.stringify([topicArn, source, envelopeId]))
  const found = recognise(document, { ...sources, topicArn })
  if (!found) return { parts: [content], originId: originOf(envelopeIdOf(document), null) }
  const { source, unread } = found
  const leftOut = unread === undefined ? undefined : ({ reason: 'finding', detail: unread } as const)
  if (!('changes' in found)) {
    return { parts: [{ ...content, source, unread: leftOut }], originId: originOf(envelopeIdOf(document), source) }
  }
  const { changes, messages, envelopeId } = found
  const payloads = messages.length === 1 ? [content.payload] : messages.map(stringifyJson)
  const parts = payloads.map((payload, part): MessageContent => {
    const finding = changes[part]
    if (!finding) return { payload, source, change: undefined, unread: leftOut }
    return { payload, source, change: changeOfFinding(finding, message.sentAt, now), unread: undefined }
  })
  return { parts: [parts[0]!, ...parts.slice(1)], originId: originOf(envelopeId, source) }
}
