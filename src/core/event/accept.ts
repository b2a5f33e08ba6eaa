/**
 * Accepting a message: the step between its verification and the answer 200.
 *
 * Guarantee: when `accept` returns, the event and its alert's values are committed together and this process dispatches it, or the
 * dispatch job is queued. A repeated MessageId or EventBridge event changes nothing, also when repeats arrive concurrently. A message of several
 * findings is stored as a whole or not at all. When it throws, SNS is answered
 * 503 and repeats the message: it is stored at most once, and upkeep dispatches what was committed but not queued.
 */
import { createBatcher } from '../platform/batcher.js'
import type { Database } from '../platform/database.js'
import { newId } from '../platform/id.js'
import { labelOf, storable } from '../platform/text.js'
import { activeTraceparent, inSpan } from '../platform/tracing.js'
import type { OwnSources } from '../source/own-sources.js'
import { DEFAULT_SOURCES, type SourceSettings } from '../source/settings.js'
import type { AudienceSource } from './audience.js'
import type { Claim } from './claims.js'
import { NO_FINDING, type CountEvent, type IncomingMessage, type StoredEvent } from './event.js'
import { handOver, type HandOverOptions } from './hand-over.js'
import { createKnownValues, type KnownValues } from './known-values.js'
import { partsOf, readParts, type MessageParts } from './message-parts.js'
import { addValues, storeMessages, type NewMessage, type StoredBatch, type StoredMessage } from './message-store.js'
import { findOwn } from './own.js'
import { readMessage, type MessageContent } from './reading.js'
import { checkHops, readMarked } from './relay-mark.js'

/** A message that is stored: its first event, and all of them. */
export interface Accepted extends StoredMessage {
  eventIds: string[]
}

/**
 * @throws Refusal 'too_many_hops' for a message that goes round through several relays; 'undecided' when it cannot be read or
 *   stored now
 */
export type Accept = (message: IncomingMessage) => Promise<Accepted>

export interface AcceptOptions extends HandOverOptions {
  database: Database
  /** Without it every event is dispatched, also those that no webhook wants. */
  audience?: AudienceSource
  sources?: SourceSettings
  /** Read what the built-in sources do not know. */
  ownSources?: Pick<OwnSources, 'read'>
  countEvent?: CountEvent
  now?: () => Date
}

/** The source of a change that is not a finding, and not of this relay's own engine. */
const MATANO = 'matano'

/**
 * Messages that arrive during a commit share the next one: one statement, one fsync, one job. One commit at a time
 * makes the batches large, and so the cost of each message small. Two changes of one alert are never in one batch, nor
 * are two copies of one message. All parts of a message are in one.
 */
const BATCHES = { maxWeight: 64, concurrency: 1 }

export function createAccept(options: AcceptOptions): Accept {
  const { database, sources = DEFAULT_SOURCES, ownSources } = options
  const { countEvent, now = () => new Date() } = options
  const known = createKnownValues()
  const store = createBatcher(
    async (groups: NewMessage[][]) => {
      const messages = groups.flat()
      const { messages: stored, queued } = await handOver(options, sizeOf(messages), (claim) =>
        storeBatch(options, known, { messages, claim }),
      )
      for (const { result, event } of stored) {
        if (result === 'stored') {
          countEvent?.({ type: event.type, source: event.topicArn === null ? 'messages' : 'sns' })
        }
      }
      const rest = [...stored]
      return groups.map((parts) => ({ message: acceptedOf(rest.splice(0, parts.length)), queued }))
    },
    {
      ...BATCHES,
      weightOf: (parts) => parts.length,
      keyOf: (parts) =>
        parts.flatMap(({ event: { messageId, originId }, change }) =>
          [change?.alertId ?? messageId ?? [], originId ?? []].flat(),
        ),
    },
  )
  return async (message) => {
    const { message: stored, queued } = await inSpan({ name: 'store event' }, async (span) => {
      const receivedAt = now()
      const read = readParts(message, sources, receivedAt)
      const asked = read.unknown === undefined ? undefined : ownSources?.read(read.unknown, message)
      const found = asked && (await asked)
      const parts = found ? partsOf(message, read, { ...found, reason: 'source' }, receivedAt) : read
      const given = newMessages(message, receivedAt, parts)
      const own = await findReturned(database, given[0]!)
      const taken = own ? { message: own, queued: undefined } : await store(given)
      span.set({ 'alert_relay.event.id': taken.message.event.id, 'alert_relay.result': taken.message.result })
      return taken
    })
    await queued
    return stored
  }
}

/**
 * The event of this relay that a message brings back; undefined for any other message.
 * @throws Refusal 'too_many_hops'
 */
async function findReturned(database: Database, { event }: NewMessage): Promise<Accepted | undefined> {
  const marked = readMarked(event.payload)
  if (!marked) return undefined
  const own = await findOwn(database, marked)
  if (own) return { result: 'own', event: own, newValues: 0, eventIds: [own.id] }
  checkHops(marked.mark)
  return undefined
}

function acceptedOf(parts: readonly StoredMessage[]): Accepted {
  return {
    ...parts[0]!,
    newValues: parts.reduce((sum, { newValues }) => sum + newValues, 0),
    unread: parts.find(({ unread }) => unread)?.unread,
    eventIds: [...new Set(parts.map(({ event }) => event.id))],
  }
}

/** Stores messages, each with those of its values that are not known to be stored. */
async function storeBatch(
  { database: db, audience: source }: Pick<AcceptOptions, 'database' | 'audience'>,
  known: KnownValues,
  { messages, claim }: { messages: readonly NewMessage[]; claim: Claim | undefined },
): Promise<StoredBatch> {
  try {
    const audience = source?.audience()
    const batch = await storeMessages(
      db,
      messages.map(({ event, change, unread }) => ({
        event,
        unread,
        change: change && { ...change, values: known.unknown(change.alertId, change.values) },
      })),
      { audience, claim },
    )
    // Refreshed for the next batch; while it cannot be read, every event is dispatched.
    if (batch.registry?.version !== audience?.version) source?.current().catch(() => {})
    for (const [i, { change }] of messages.entries()) {
      const { result, event } = batch.messages[i]!
      if (result === 'duplicate' || !change || event.sequence === null) continue
      const { alertId, values } = change
      // The alert was deleted by hand: values that were left out as known are stored again.
      if (!known.learn(alertId, event.sequence, values)) {
        await addValues(db, { alertId, sequence: event.sequence }, values)
      }
    }
    return batch
  } catch (error) {
    known.clear()
    throw error
  }
}

function sizeOf(messages: readonly NewMessage[]) {
  return { events: messages.length, bytes: messages.reduce((sum, { event }) => sum + event.payload.length, 0) }
}

/** Makes the event of a message. @param content what was read of it */
export function newMessage(
  message: IncomingMessage,
  receivedAt: Date,
  content: MessageContent = readMessage(message.message),
): NewMessage {
  const { change, unread } = content
  return { event: newEvent(message, content, receivedAt), change, unread }
}

/** Makes the events of a message: several where it holds several findings. */
function newMessages(message: IncomingMessage, receivedAt: Date, { parts, originId }: MessageParts): NewMessage[] {
  return parts.map((content, part) => {
    const made = newMessage(message, receivedAt, content)
    const source = made.event.source ?? (made.change ? MATANO : null)
    return { ...made, event: { ...made.event, source, part, originId } }
  })
}

function newEvent(message: IncomingMessage, content: MessageContent, receivedAt: Date): StoredEvent {
  const { payload, change, unread, source } = content
  const id = newId('evt')
  return {
    id,
    batchId: id,
    type: change ? 'alert.updated' : 'sns.notification',
    messageId: message.messageId,
    topicArn: message.topicArn,
    alertId: change?.alertId ?? null,
    sequence: null,
    severity: change ? labelOf(change.severity) : null,
    previousSeverity: message.previousSeverity ?? null,
    title: change ? labelOf(change.title) : null,
    subject: message.subject === undefined ? null : storable(message.subject),
    webhookId: null,
    traceparent: activeTraceparent(),
    matchCount: null,
    updateCount: null,
    heldBytes: 0,
    ...NO_FINDING,
    source: source ?? null,
    change: change?.finding?.document ?? null,
    // of any other reason the payload alone says it again
    unread: unread?.reason === 'finding' || unread?.reason === 'source' ? unread.detail : null,
    payload,
    sentAt: message.sentAt,
    receivedAt,
    dispatchedAt: null,
  }
}
