/**
 * Storing messages: the event, and the new values of its alert.
 *
 * Guarantee: a batch of messages is one statement, so it is stored as a whole or not at all, at the cost of one commit.
 * A MessageId is stored once. Changes of one alert get different sequences in the order of their commits, and each
 * value belongs to exactly one of them, with any number of processes: the alert's row is locked from its change to the
 * commit. An event is stored as dispatched only if `audience` has the registry's current version; otherwise it is
 * stored as undispatched.
 */
import { keyOfIdentity, type ContextValues } from '../alert/context.js'
import type { AlertChange, Unread } from '../alert/change.js'
import type { Queryable } from '../platform/database.js'
import { stringifyJson } from '../platform/json.js'
import { labelOf } from '../platform/text.js'
import type { Audience } from './audience.js'
import type { StoredEvent } from './event.js'
import { findEventsByMessageId } from './event-store.js'

/** An event to be stored, and the change in it; the statement sets the type, sequence and counts of an alert change. */
export interface NewMessage {
  event: StoredEvent
  change: AlertChange | undefined
  /** Why it is no change, if it was meant as one. */
  unread?: Unread
}

export interface StoredMessage {
  /** `own`: it is an event of this relay that came back. */
  result: 'stored' | 'duplicate' | 'own'
  event: StoredEvent
  /** How many values of the change were new to its alert; 0 for an event that is no alert change. */
  newValues: number
  /** Why it is no change, if it was meant as one and is stored now. */
  unread?: Unread
}

export interface StoredBatch {
  /** The result of each message, in the order of the input. */
  messages: StoredMessage[]
  /** The registry's version when they were stored; undefined when nothing was. */
  registryVersion: bigint | undefined
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
 * Stores messages, of which no two may have the same MessageId or the same alert. The new ones are a batch.
 * @param audience what webhooks want; without it every event is stored as undispatched
 */
export async function storeMessages(
  db: Queryable,
  messages: readonly NewMessage[],
  audience?: Audience,
): Promise<StoredBatch> {
  const batchId = messages[0]!.event.id
  for (let tries = 1; ; tries++) {
    try {
      const rows = await insertMessages(db, messages, batchId, audience)
      const repeated = messages.filter(({ event: { id } }) => !rows.has(id))
      const known = await findKnown(db, repeated)
      const stored = messages.map((message): StoredMessage => {
        const { id, messageId } = message.event
        const row = rows.get(id)
        if (row) return storedOf(message, batchId, row)
        return { result: 'duplicate', event: known.get(messageId!)!, newValues: 0 }
      })
      const [first] = rows.values()
      return { messages: stored, registryVersion: first?.registry_version }
    } catch (error) {
      const isRepeated = (error as { code?: unknown }).code === UNIQUE_VIOLATION
      if (!isRepeated || tries === MAX_TRIES) throw error
    }
  }
}

async function findKnown(db: Queryable, messages: readonly NewMessage[]): Promise<Map<string, StoredEvent>> {
  const ids = messages.flatMap(({ event: { messageId } }) => messageId ?? [])
  return ids.length === 0 ? new Map() : findEventsByMessageId(db, ids)
}

/**
 * A row of the result of STORE: a stored event, and its alert after the change; nulls for an event that is no alert
 * change.
 */
interface StoredRow {
  event_id: string
  sequence: bigint | null
  match_count: bigint | null
  update_count: bigint | null
  held_bytes: bigint | null
  new_values: bigint
  is_waiting: boolean
  registry_version: bigint
}

function storedOf({ event: given, change, unread }: NewMessage, batchId: string, row: StoredRow): StoredMessage {
  const event = { ...given, batchId, dispatchedAt: row.is_waiting ? null : given.receivedAt }
  if (!change) return { result: 'stored', event, newValues: 0, unread }
  const { sequence, match_count: matchCount, update_count: updateCount, new_values: newValues } = row
  const heldBytes = Number(row.held_bytes ?? 0)
  const type = sequence === 1n ? 'alert.created' : 'alert.updated'
  return {
    result: 'stored',
    event: { ...event, type, sequence, matchCount, updateCount, heldBytes },
    newValues: Number(newValues),
  }
}

/** Stores the messages that are not stored yet. @returns their rows, by the event's id */
async function insertMessages(
  db: Queryable,
  messages: readonly NewMessage[],
  batchId: string,
  audience: Audience | undefined,
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
       insert into alert_values (alert_id, sequence, ordinal, key, path, value)
       select $1, $2, ${LATER_ORDINALS} + ordinal, key, path, value
       from unnest($3::bytea[], $4::text[], $5::text[]) with ordinality as v (key, path, value, ordinal)
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
    ],
  )
}

const STORE = `
with message as (
  select * from rows from (
    unnest($13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::text[], $20::text[],
      $21::text[], $22::text[], $24::timestamptz[], $25::timestamptz[], $29::boolean[]),
    json_array_elements_text($23::json)
  ) as m (id, type, message_id, topic_arn, alert_id, severity, previous_severity, title, subject, traceparent, sent_at,
    received_at, is_wanted, payload)
  where not exists (select from events e where e.message_id = m.message_id offset 0) -- looks up each id
), given as (
  select * from unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $27::text[])
    with ordinality as g (id, title, severity, match_count, update_count, tables, event_id, position)
  where event_id in (select id from message)
), changed as (
  insert into alerts as a (id, sequence, title, severity, match_count, update_count, first_seen_at, last_seen_at, tables)
  select id, 1, title, severity, match_count, update_count, $1, $1,
    array(select json_array_elements_text(given.tables::json))
  from given order by position
  on conflict (id) do update set
    sequence = a.sequence + 1,
    title = excluded.title,
    severity = excluded.severity,
    match_count = greatest(a.match_count, excluded.match_count),
    update_count = greatest(a.update_count, excluded.update_count),
    last_seen_at = greatest(a.last_seen_at, excluded.last_seen_at),
    tables = excluded.tables,
    quiet_at = null
  returning id, sequence, match_count, update_count
), added as (
  insert into alert_values (alert_id, sequence, ordinal, key, path, value)
  select v.alert_id, changed.sequence, v.ordinal, v.key, v.path, v.value
  from unnest($8::text[], $9::int[], $10::bytea[], $11::text[], $12::text[]) as v (alert_id, ordinal, key, path, value)
  join changed on changed.id = v.alert_id
  on conflict (alert_id, key) do nothing
  returning alert_id, octet_length(value) as bytes
), sized as (
  insert into alert_sizes as s (alert_id, value_count, value_bytes)
  select alert_id, count(*), sum(bytes) from added group by alert_id
  on conflict (alert_id) do update set
    value_count = s.value_count + excluded.value_count, value_bytes = s.value_bytes + excluded.value_bytes
  returning alert_id, value_bytes
), stored as (
  insert into events (id, type, message_id, topic_arn, alert_id, severity, previous_severity, title, subject, traceparent,
    payload, sent_at, received_at, batch_id, sequence, match_count, update_count, held_bytes)
  select m.id,
    case when changed.id is null then m.type when changed.sequence = 1 then 'alert.created' else 'alert.updated' end,
    m.message_id, m.topic_arn, m.alert_id, m.severity, m.previous_severity, m.title, m.subject, m.traceparent,
    m.payload, m.sent_at, m.received_at, $26, changed.sequence, changed.match_count, changed.update_count,
    coalesce(sized.value_bytes, (select s.value_bytes from alert_sizes s where s.alert_id = changed.id))
  from message m left join changed on changed.id = m.alert_id left join sized on sized.alert_id = m.alert_id
  returning id, alert_id, sequence, match_count, update_count, held_bytes, received_at
), waiting as (
  insert into undispatched (batch_id, event_id, alert_id, sequence, received_at)
  select $26, stored.id, stored.alert_id, stored.sequence, stored.received_at from stored join message m on m.id = stored.id
  where m.is_wanted or $28::bigint is distinct from (select version from registry)
  returning event_id
)
select id as event_id, sequence, match_count, update_count, held_bytes,
  (select count(*) from added a where a.alert_id = stored.alert_id) as new_values,
  id in (select event_id from waiting) as is_waiting,
  (select version from registry) as registry_version
from stored`
