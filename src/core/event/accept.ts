/**
 * Accepting a message: the step between "verified" and "200".
 *
 * Promise: when `accept` returns, the event and the alert's memory are committed together and the dispatch is queued. A
 * repeated MessageId changes nothing, however many arrive at once. When it throws, SNS is told to come again: the message
 * is stored at most once all the same, and upkeep dispatches what was committed but not queued.
 */
import { rememberChange } from '../alert/alert-store.js'
import type { AlertChange } from '../alert/change.js'
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

export function createAccept({
  database,
  queues,
  now = () => new Date(),
}: {
  database: Database
  queues: Pick<Queues, 'addDispatches'>
  now?: () => Date
}): Accept {
  return async (message) => {
    const content = readMessage(message.message)
    const event = newEvent(message, content, now())
    const accepted = await database.transaction((tx) => store(tx, event, content.change))
    if (accepted.event.dispatchedAt === null) await queues.addDispatches([accepted.event.id])
    return accepted
  }
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

async function store(tx: Queryable, event: StoredEvent, change: AlertChange | undefined): Promise<Accepted> {
  if (!(await insertEvent(tx, event))) {
    const stored = await findEventByMessageId(tx, event.messageId!)
    if (!stored) throw new Error(`event of message ${event.messageId} was deleted while it was being repeated`)
    return { result: 'duplicate', event: stored, newValues: 0 }
  }
  if (!change) return { result: 'stored', event, newValues: 0 }
  const { newValues, ...moment } = await rememberChange(tx, change, event.receivedAt)
  const changed: StoredEvent = {
    ...event,
    ...moment,
    type: moment.sequence === 1n ? 'alert.created' : 'alert.updated',
  }
  await setAlertMoment(tx, changed)
  return { result: 'stored', event: changed, newValues }
}
