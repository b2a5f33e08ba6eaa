/**
 * Messages on their way into the database: the event, and what its change brings to its alert's memory.
 *
 * Promise: a batch of messages is one statement, so it is stored as a whole or not at all, at the cost of one commit. A
 * MessageId is stored once; two changes of one alert get different sequences in the order of their commits, and each value
 * is given to exactly one of them, on any number of processes: the alert's row is locked from its change to the commit.
 * Whoever is in the registry when the statement begins is asked whether an event is wanted, or the event waits to be dispatched.
 */
import { keyOfIdentity, type ContextValues } from '../alert/context.js'
import type { AlertChange } from '../alert/change.js'
import type { Queryable } from '../platform/database.js'
import { stringifyJson } from '../platform/json.js'
import { labelOf } from '../platform/text.js'
import type { Audience } from './audience.js'
import type { StoredEvent } from './event.js'
import { findEventsByMessageId } from './event-store.js'

/** An event that is to be stored; with the change that it brings, its type and its place in the alert follow from that. */
export interface NewMessage {
  event: StoredEvent
  change: AlertChange | undefined
}

export interface StoredMessage {
  result: 'stored' | 'duplicate'
  event: StoredEvent
  /** How many values the change brought that its alert never held; 0 for what is no alert change. */
  newValues: number
}

export interface StoredBatch {
  /** What became of each message, in their order. */
  messages: StoredMessage[]
  /** The registry's version when they were stored; undefined when nothing was. */
  registryVersion: bigint | undefined
}

/** Somebody else stored one of the messages meanwhile: the next try finds it. */
const MOST_TRIES = 3
const UNIQUE_VIOLATION = '23505'
/** More than the values of any message. */
const AFTER_ALL = 1_000_000

/**
 * Stores messages of which no two have the same MessageId or the same alert; those that are new are a batch.
 * @param audience who may want them; without it all wait to be dispatched
 */
export async function storeMessages(
  db: Queryable,
  messages: readonly NewMessage[],
  audience?: Audience,
): Promise<StoredBatch> {
  const batchId = messages[0]!.event.id
  for (let tries = 1; ; tries++) {
    try {
      const moments = await insertMessages(db, messages, batchId, audience)
      const repeated = messages.filter(({ event: { id } }) => !moments.has(id))
      const known = await findKnown(db, repeated)
      const stored = messages.map((message): StoredMessage => {
        const { id, messageId } = message.event
        const moment = moments.get(id)
        if (moment) return storedOf(message, batchId, moment)
        return { result: 'duplicate', event: known.get(messageId!)!, newValues: 0 }
      })
      const [first] = moments.values()
      return { messages: stored, registryVersion: first?.registry_version }
    } catch (error) {
      const isRepeated = (error as { code?: unknown }).code === UNIQUE_VIOLATION
      if (!isRepeated || tries === MOST_TRIES) throw error
    }
  }
}

async function findKnown(db: Queryable, messages: readonly NewMessage[]): Promise<Map<string, StoredEvent>> {
  const ids = messages.flatMap(({ event: { messageId } }) => messageId ?? [])
  return ids.length === 0 ? new Map() : findEventsByMessageId(db, ids)
}

/** An event that was stored, and what its alert was right after it; nulls for what is no change of one. */
interface Moment {
  event_id: string
  sequence: bigint | null
  match_count: bigint | null
  update_count: bigint | null
  new_values: bigint
  is_waiting: boolean
  registry_version: bigint
}

function storedOf({ event: given, change }: NewMessage, batchId: string, moment: Moment): StoredMessage {
  const event = { ...given, batchId, dispatchedAt: moment.is_waiting ? null : given.receivedAt }
  if (!change) return { result: 'stored', event, newValues: 0 }
  const { sequence, match_count: matchCount, update_count: updateCount, new_values: newValues } = moment
  const type = sequence === 1n ? 'alert.created' : 'alert.updated'
  return {
    result: 'stored',
    event: { ...event, type, sequence, matchCount, updateCount },
    newValues: Number(newValues),
  }
}

/** Stores those messages that are not stored yet. @returns the moment of each, by the event's id */
async function insertMessages(
  db: Queryable,
  messages: readonly NewMessage[],
  batchId: string,
  audience: Audience | undefined,
): Promise<Map<string, Moment>> {
  // Alerts are locked in one order, so that batches that share some wait for each other and never for ever.
  const changes = messages
    .flatMap(({ change, event: { id } }) => (change ? [{ ...change, eventId: id }] : []))
    .sort((a, b) => (a.alertId < b.alertId ? -1 : 1))
  const values = changes.flatMap(({ alertId, values }) =>
    [...values].map(([identity, held], i) => ({ alertId, ordinal: i + 1, identity, held })),
  )
  const events = messages.map(({ event }) => event)
  const { rows } = await db.query<Moment>(STORE, [
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
    values.map(({ held: { path } }) => JSON.stringify(path)),
    values.map(({ held: { value } }) => stringifyJson(value)),
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
    // one text: an array's elements would each be escaped and read twice
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

/** Adds values to the memory of an alert as news of a change that is stored, after those that it brought. */
export async function rememberValues(
  db: Queryable,
  { alertId, sequence }: { alertId: string; sequence: bigint },
  values: ContextValues,
): Promise<void> {
  const held = [...values.values()]
  await db.query(
    `insert into alert_values (alert_id, sequence, ordinal, key, path, value)
     select $1, $2, ${AFTER_ALL} + ordinal, key, path, value
     from unnest($3::bytea[], $4::text[], $5::text[]) with ordinality as v (key, path, value, ordinal)
     on conflict (alert_id, key) do nothing`,
    [
      alertId,
      sequence,
      [...values.keys()].map(keyOfIdentity),
      held.map(({ path }) => JSON.stringify(path)),
      held.map(({ value }) => stringifyJson(value)),
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
  where not exists (select from events e where e.message_id = m.message_id offset 0) -- one by one, never all events
), given as (
  select * from unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $27::text[])
    with ordinality as g (id, title, severity, match_count, update_count, tables, event_id, place)
  where event_id in (select id from message)
), changed as (
  insert into alerts as a (id, sequence, title, severity, match_count, update_count, first_seen_at, last_seen_at, tables)
  select id, 1, title, severity, match_count, update_count, $1, $1,
    array(select json_array_elements_text(given.tables::json))
  from given order by place
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
), remembered as (
  insert into alert_values (alert_id, sequence, ordinal, key, path, value)
  select v.alert_id, changed.sequence, v.ordinal, v.key, v.path, v.value
  from unnest($8::text[], $9::int[], $10::bytea[], $11::text[], $12::text[]) as v (alert_id, ordinal, key, path, value)
  join changed on changed.id = v.alert_id
  on conflict (alert_id, key) do nothing
  returning alert_id
), stored as (
  insert into events (id, type, message_id, topic_arn, alert_id, severity, previous_severity, title, subject, traceparent,
    payload, sent_at, received_at, batch_id, sequence, match_count, update_count)
  select m.id,
    case when changed.id is null then m.type when changed.sequence = 1 then 'alert.created' else 'alert.updated' end,
    m.message_id, m.topic_arn, m.alert_id, m.severity, m.previous_severity, m.title, m.subject, m.traceparent,
    m.payload, m.sent_at, m.received_at, $26, changed.sequence, changed.match_count, changed.update_count
  from message m left join changed on changed.id = m.alert_id
  returning id, alert_id, sequence, match_count, update_count, received_at
), waiting as (
  insert into undispatched (batch_id, event_id, alert_id, sequence, received_at)
  select $26, stored.id, stored.alert_id, stored.sequence, stored.received_at from stored join message m on m.id = stored.id
  where m.is_wanted or $28::bigint is distinct from (select version from registry)
  returning event_id
)
select id as event_id, sequence, match_count, update_count,
  (select count(*) from remembered r where r.alert_id = stored.alert_id) as new_values,
  id in (select event_id from waiting) as is_waiting,
  (select version from registry) as registry_version
from stored`
