/**
 * Accepting a message: the step between "verified" and "200".
 *
 * Promise: when `accept` returns, the event and the alert's memory are committed together and the dispatch is queued. A
 * repeated MessageId changes nothing, however many arrive at once. When it throws, SNS is told to come again: the message
 * is stored at most once all the same, and upkeep dispatches what was committed but not queued.
 */
import { rememberChange } from '../alert/alert-store.js'
import type { Database, Queryable } from '../platform/database.js'
import { newId } from '../platform/id.js'
import type { Queues } from '../platform/queues.js'
import { labelOf, storable } from '../platform/text.js'
import { readMessage, type IncomingMessage, type MessageContent, type StoredEvent } from './event.js'
import { findEventByMessageId, insertEvent, setAlertMoment } from './event-store.js'

export interface Accepted {
  result: 'stored' | 'duplicate'
  event: StoredEvent
  /** How many values the change brought that its alert never held; 0 for what is no alert change. */
  newValues: number
}

export type Accept = (message: IncomingMessage) => Promise<Accepted>

export interface AcceptOptions {
  database: Database
  queues: Pick<Queues, 'addDispatches'>
  now?: () => Date
}

export function createAccept({ database, queues, now = () => new Date() }: AcceptOptions): Accept {
  return async (message) => {
    const content = readMessage(message.message)
    const receivedAt = now()
    const accepted = await database.transaction((tx) => storeMessage(tx, message, content, receivedAt))
    if (accepted.event.dispatchedAt === null) await queues.addDispatches([accepted.event.id])
    return accepted
  }
}

/** Stores a message as an event, and its change in its alert's memory; the dispatch is queued after the commit. */
export async function storeMessage(
  tx: Queryable,
  message: IncomingMessage,
  content: MessageContent,
  receivedAt: Date,
): Promise<Accepted> {
  const event = newEvent(message, content, receivedAt)
  if (!(await insertEvent(tx, event))) {
    return { result: 'duplicate', event: await findRepeated(tx, event), newValues: 0 }
  }
  if (!content.change) return { result: 'stored', event, newValues: 0 }
  const { newValues, ...moment } = await rememberChange(tx, content.change, receivedAt)
  const type = moment.sequence === 1n ? 'alert.created' : 'alert.updated'
  const changed: StoredEvent = { ...event, ...moment, type }
  await setAlertMoment(tx, changed)
  return { result: 'stored', event: changed, newValues }
}

async function findRepeated(tx: Queryable, { messageId }: StoredEvent): Promise<StoredEvent> {
  const stored = messageId === null ? undefined : await findEventByMessageId(tx, messageId)
  if (!stored) throw new Error(`the event of message ${messageId} was deleted while it was being repeated`)
  return stored
}

function newEvent(message: IncomingMessage, { payload, change }: MessageContent, receivedAt: Date): StoredEvent {
  return {
    id: newId('evt'),
    type: change ? 'alert.updated' : 'sns.notification',
    messageId: message.messageId,
    topicArn: message.topicArn,
    alertId: change?.alertId ?? null,
    sequence: null,
    severity: change ? labelOf(change.severity) : null,
    previousSeverity: message.previousSeverity ?? null,
    title: change ? labelOf(change.title) : null,
    subject: message.subject === undefined ? null : storable(message.subject),
    matchCount: null,
    updateCount: null,
    payload,
    sentAt: message.sentAt,
    receivedAt,
    dispatchedAt: null,
  }
}
