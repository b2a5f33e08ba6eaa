/**
 * Storing messages: the event, and the new values of its alert.
 *
 * Guarantee: a batch of messages is one statement, so it is stored as a whole or not at all, at the cost of one commit.
 * A MessageId is stored once, with all of its parts, and so is an EventBridge event. Changes of one alert get different sequences in the order of their commits, and each
 * value belongs to exactly one of them, with any number of processes: the alert's row is locked from its change to the
 * commit. An event is stored as dispatched only if `audience` has the registry's current version; otherwise it is
 * stored as undispatched.
 */
import { keyOfIdentity, type ContextValues } from '../alert/context.js'
import type { AlertChange, Unread } from '../alert/change.js'
import { rankOf } from '../alert/rule-match.js'
import { valueKey } from '../alert/value-key.js'
import type { Queryable } from '../platform/database.js'
import { stringifyJson } from '../platform/json.js'
import { labelOf } from '../platform/text.js'
import type { Audience, RegistryVersion } from './audience.js'
import type { EventType, StoredEvent } from './event.js'
import { findRepeated, type RepeatedEvent } from './event-store.js'
import { STORE } from './store-statement.js'

/** An event to be stored, and the change in it; the statement sets the type, sequence and counts of an alert change. */
export interface NewMessage {
  event: StoredEvent
  change: AlertChange | undefined
  /** Why it is no change, if it was meant as one. */
  unread?: Unread | undefined
}

export interface StoredMessage {
  /** `own`: it is an event of this relay that came back. */
  result: 'stored' | 'duplicate' | 'own'
  event: StoredEvent
  /** How many values of the change were new to its alert; 0 for an event that is no alert change. */
  newValues: number
  /** Of an undispatched duplicate: milliseconds before which no job works it. */
  waitMs?: number
  /** Why it is no change, if it was meant as one and is stored now. */
  unread?: Unread | undefined
}

export interface StoredBatch {
  /** The result of each message, in the order of the input. */
  messages: StoredMessage[]
  /** The registry's version when they were stored; undefined when nothing was. */
  registry: RegistryVersion | undefined
}

/** A claim of the process that stores a batch: until its term is over no job works the batch. */
export interface BatchClaim {
  /** Seconds, from when the database begins to store. */
  readonly termS: number
  /** Called before the statement is sent. */
  cover(batchId: string): void
}

/**
 * A statement fails when another process stores one of its messages at the same time; the next try finds that message.
 */
const MAX_TRIES = 3
const UNIQUE_VIOLATION = '23505'
/**
 * Added to the ordinals of values that are stored after their change; higher than the number of values of any message.
 */
const LATER_ORDINALS = 1_000_000

/**
 * Stores messages, of which no two may be the same part of a message or have the same alert; the parts of a message come
 * together. The new ones are a batch.
 * @param audience what webhooks want; without it every event is stored as undispatched
 */
export async function storeMessages(
  db: Queryable,
  messages: readonly NewMessage[],
  { audience, claim }: { audience?: Audience | undefined; claim?: BatchClaim | undefined } = {},
): Promise<StoredBatch> {
  const batchId = messages[0]!.event.id
  claim?.cover(batchId)
  for (let tries = 1; ; tries++) {
    try {
      const rows = await insertMessages(db, messages, { batchId, audience, termS: claim?.termS })
      const repeated = messages.flatMap(({ event }) => (rows.has(event.id) ? [] : [event]))
      const known = await findRepeated(db, repeated)
      const stored = messages.map((message): StoredMessage => {
        const row = rows.get(message.event.id)
        if (row) return storedOf(message, batchId, row)
        return { result: 'duplicate', ...repeatedOf(message.event, known), newValues: 0 }
      })
      const [first] = rows.values()
      const registry = first && { version: first.registry_version, health: first.registry_health }
      return { messages: stored, registry }
    } catch (error) {
      const isRepeated = (error as { code?: unknown }).code === UNIQUE_VIOLATION
      if (!isRepeated || tries === MAX_TRIES) throw error
    }
  }
}

/** The stored event of a repeated one: the same part, or the first where an earlier release read the message as a whole. */
function repeatedOf({ messageId, originId, part }: StoredEvent, known: readonly RepeatedEvent[]): RepeatedEvent {
  const parts = known.filter(
    ({ event }) => event.messageId === messageId || (originId !== null && event.originId === originId),
  )
  return parts.find(({ event }) => event.part === part) ?? parts[0]!
}

/**
 * A row of the result of STORE: a stored event, and its alert after the change; nulls for an event that is no alert
 * change.
 */
interface StoredRow {
  event_id: string
  type: EventType
  sequence: bigint | null
  severity: string | null
  previous_severity: string | null
  title: string | null
  state: 'active' | 'resolved' | null
  unannounced: boolean
  match_count: bigint | null
  update_count: bigint | null
  held_bytes: bigint | null
  new_values: bigint
  is_waiting: boolean
  registry_version: bigint
  registry_health: bigint
}

function storedOf({ event: given, change, unread }: NewMessage, batchId: string, row: StoredRow): StoredMessage {
  const event = { ...given, batchId, dispatchedAt: row.is_waiting ? null : given.receivedAt }
  if (!change) return { result: 'stored', event, newValues: 0, unread }
  const { type, sequence, severity, title, state, unannounced } = row
  const { previous_severity: previousSeverity, match_count: matchCount, update_count: updateCount } = row
  const heldBytes = Number(row.held_bytes ?? 0)
  const after = { severity, previousSeverity, title, state, unannounced }
  return {
    result: 'stored',
    event: { ...event, type, sequence, matchCount, updateCount, heldBytes, ...after },
    newValues: Number(row.new_values),
  }
}

/** Stores the messages that are not stored yet. @returns their rows, by the event's id */
async function insertMessages(
  db: Queryable,
  messages: readonly NewMessage[],
  { batchId, audience, termS }: { batchId: string; audience: Audience | undefined; termS: number | undefined },
): Promise<Map<string, StoredRow>> {
  // Lock order: alerts are locked in the order of their ids, so that batches that share alerts do not deadlock.
  const changes = messages
    .flatMap(({ change, event: { id } }) => (change ? [{ ...change, eventId: id }] : []))
    .sort((a, b) => (a.alertId < b.alertId ? -1 : 1))
  const values = changes.flatMap(({ alertId, values }) =>
    [...values].map(([identity, { path, value }], i) => ({ alertId, ordinal: i + 1, identity, path, value })),
  )
  const events = messages.map(({ event }) => event)
  const { rows } = await db.query<StoredRow>(STORE, [
    events[0]!.receivedAt,
    changes.map(({ alertId }) => alertId),
    changes.map(({ title }) => labelOf(title)),
    changes.map(({ severity }) => labelOf(severity)),
    changes.map(({ matchCount }) => matchCount ?? null),
    changes.map(({ updateCount }) => updateCount ?? null),
    changes.map(({ tables }) => JSON.stringify(tables.map(labelOf))),
    values.map(({ alertId }) => alertId),
    values.map(({ ordinal }) => ordinal),
    values.map(({ identity }) => keyOfIdentity(identity)),
    values.map(({ path }) => JSON.stringify(path)),
    values.map(({ value }) => stringifyJson(value)),
    events.map(({ id }) => id),
    events.map(({ type }) => type),
    events.map(({ messageId }) => messageId),
    events.map(({ topicArn }) => topicArn),
    events.map(({ alertId }) => alertId),
    events.map(({ severity }) => severity),
    events.map(({ previousSeverity }) => previousSeverity),
    events.map(({ title }) => title),
    events.map(({ subject }) => subject),
    events.map(({ traceparent }) => traceparent),
    // One JSON text: the elements of a text[] would each be escaped and parsed once more.
    JSON.stringify(events.map(({ payload }) => payload)),
    events.map(({ sentAt }) => sentAt),
    events.map(({ receivedAt }) => receivedAt),
    batchId,
    changes.map(({ eventId }) => eventId),
    audience?.version,
    events.map((event) => audience?.mayWant(event) ?? true),
    events.map(({ part }) => part),
    events.map(({ originId }) => originId),
    events.map(({ source }) => source),
    // Of a message without findings, which most are, no text of theirs is sent.
    JSON.stringify(events.map(({ change }) => change)),
    events.map(({ unread }) => unread),
    changes.map(({ finding }) => finding?.source),
    changes.map(({ finding }) => (finding?.state === undefined ? null : finding.state === 'resolved')),
    changes.map(({ finding }) => finding !== undefined && finding.state === undefined),
    changes.map(({ finding }) => finding?.updatedAt),
    changes.map(({ finding }) => (finding?.reason === undefined ? null : labelOf(finding.reason))),
    changes.map(({ finding, severity }) => finding?.rank ?? rankOf(severity)),
    values.map(valueKey),
    termS,
  ])
  return new Map(rows.map((row) => [row.event_id, row]))
}

/** Adds values to a change that is stored, after the values that it has. */
export async function addValues(
  db: Queryable,
  { alertId, sequence }: { alertId: string; sequence: bigint },
  values: ContextValues,
): Promise<void> {
  const entries = [...values.values()]
  await db.query(
    `with added as (
       insert into alert_values (alert_id, sequence, ordinal, key, path, value, value_key)
       select $1, $2, ${LATER_ORDINALS} + ordinal, key, path, value, value_key
       from unnest($3::bytea[], $4::text[], $5::text[], $6::bigint[]) with ordinality
         as v (key, path, value, value_key, ordinal)
       on conflict (alert_id, key) do nothing
       returning octet_length(value) as bytes
     )
     insert into alert_sizes as s (alert_id, value_count, value_bytes)
     select $1, count(*), sum(bytes) from added having count(*) > 0
     on conflict (alert_id) do update set
       value_count = s.value_count + excluded.value_count, value_bytes = s.value_bytes + excluded.value_bytes`,
    [
      alertId,
      sequence,
      [...values.keys()].map(keyOfIdentity),
      entries.map(({ path }) => JSON.stringify(path)),
      entries.map(({ value }) => stringifyJson(value)),
      entries.map(valueKey),
    ],
  )
}
