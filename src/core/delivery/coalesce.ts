/**
 * Coalescing: the pending changes of one alert become one delivery, the carrier of the others. Theirs have the status
 * `folded`.
 *
 * Guarantee: it loses no new value and calls none new in two event ids. The carrier is the latest delivery that was never
 * attempted (`sealed` is false), since a receiver ignores an event id that it has seen. Deliveries that were attempted may
 * be coalesced into it if each attempt was refused for certain. One that the receiver may have taken is never coalesced: its
 * answer was lost, or a process died with an attempt under way. So attempts are counted before they start
 * (`unrefused_attempts`), and those that were refused are subtracted when they are recorded. All this is committed before
 * anything is sent.
 */
import { flattenContext, uniqueValues, type ContextValue } from '../alert/context.js'
import { eventOf, type EventRow } from '../event/event-store.js'
import { storedChange } from '../event/reading.js'
import type { Database, Queryable } from '../platform/database.js'
import { isJsonObject } from '../platform/json.js'
import type { Coalesced } from '../format/body.js'
import type { HealthState } from '../circuit/health.js'
import type { Webhook } from '../webhook/webhook.js'
import { listDue, type DueDelivery, type DuePosition } from './delivery-queue-store.js'
import { findProbe, markProbed } from './probe-store.js'

/** Changes of one delivery, its own included. */
const MAX_CHANGES = 1000
/** The part of a body that the values may fill that its changes brought: a larger body would be cut, and lose them. */
const VALUES_SHARE = 1 / 2
/** Events that one query reads. */
const PAGE = 50

interface PendingRow {
  id: string
  event_id: string
  sequence: bigint
  sealed: boolean
  /** How many changes are coalesced into it. */
  carried: bigint
  /** Of the values that it and these changes brought. */
  bytes: bigint
}

export interface TakeOptions {
  state: HealthState
  isProbe: boolean
  skip: readonly string[]
  limit: number
  now: Date
  after?: DuePosition
}

/**
 * The deliveries that are due at a webhook, for attempts that start now. While a webhook with `coalesce` is not healthy,
 * its pending changes are coalesced first. With `coalesce`, the deliveries that are returned are sealed, and an attempt at each
 * is counted as started: `uncountAttempts` takes back those that are not started after all.
 * @param options.state the webhook's health
 * @param options.isProbe true: one delivery, another than the last probe where there is one (probe-store.ts)
 * @param options.skip ids of deliveries in flight
 * @param options.after the last of the page before
 */
export async function takeDue(
  database: Database,
  {
    id: webhookId,
    order,
    coalesce,
    max_body_bytes: maxBodyBytes,
  }: Pick<Webhook, 'id' | 'order' | 'coalesce' | 'max_body_bytes'>,
  { state, isProbe, skip, limit, now, after }: TakeOptions,
): Promise<DueDelivery[]> {
  const inOrder = order === 'alert'
  const list = async () => {
    if (!isProbe) return listDue(database, webhookId, { now, skip, limit, inOrder, after })
    const only = await findProbe(database, webhookId, { now, skip, inOrder })
    return only === undefined ? [] : listDue(database, webhookId, { now, skip, limit, inOrder, only })
  }
  let due = await list()
  if (coalesce && state !== 'healthy' && due.length > 0) {
    const alerts = new Set(due.flatMap(({ event: { alertId } }) => (alertId === null ? [] : [alertId])))
    let isChanged = false
    for (const alertId of alerts) {
      const options = { skip, inOrder, maxBodyBytes, now }
      if (await coalesceWaiting(database, { webhookId, alertId }, options)) isChanged = true
    }
    if (isChanged) due = await list()
  }
  const ids = due.map(({ id }) => id)
  if (isProbe && ids[0] !== undefined) await markProbed(database, webhookId, ids[0])
  if (coalesce && ids.length > 0) await countAttempts(database, ids)
  return due
}

/**
 * Coalesces the pending changes of one alert at one webhook.
 * @param options.skip ids of deliveries in flight
 * @param options.inOrder true: only changes before the first that is not dispatched yet
 * @param options.maxBodyBytes of the webhook: values that do not fit into one body stay in several deliveries
 * @returns true when deliveries were coalesced
 */
export async function coalesceWaiting(
  database: Database,
  { webhookId, alertId }: { webhookId: string; alertId: string },
  { skip, inOrder, maxBodyBytes, now }: { skip: readonly string[]; inOrder: boolean; maxBodyBytes: number; now: Date },
): Promise<boolean> {
  return database.transaction(async (tx) => {
    const { rows } = await tx.query<PendingRow>(
      `select d.id, d.event_id, d.sequence, d.sealed,
         (select count(*) from deliveries f where f.folded_into = d.id) as carried,
         (select coalesce(sum(octet_length(v.path) + octet_length(v.value)), 0)::bigint
          from (select d.sequence union all select f.sequence from deliveries f where f.folded_into = d.id) c
          join alert_values v on v.alert_id = d.alert_id and v.sequence = c.sequence) as bytes
       from deliveries d
       where d.webhook_id = $1 and d.alert_id = $2 and d.status = 'pending' and d.id <> all($3)
         and not d.replay and d.folded_into is null and (not d.sealed or d.unrefused_attempts = 0)
         and (not $4 or not exists (
           select from undispatched u where u.alert_id = $2 and u.sequence < d.sequence))
       order by d.sequence limit ${MAX_CHANGES} for update of d`,
      [webhookId, alertId, skip, inOrder],
    )
    const carrier = rows.findLast(({ sealed }) => !sealed)
    const maxBytes = maxBodyBytes * VALUES_SHARE
    const others = carrier ? fitting(carrier, rows.slice(0, rows.indexOf(carrier)), maxBytes) : []
    if (!carrier || others.length === 0) return false
    await merge(tx, { webhookId, carrier, others }, now)
    return true
  })
}

/** The latest of these rows that fit into one delivery, together with the carrier and with what each carries already. */
function fitting(carrier: PendingRow, rows: readonly PendingRow[], maxBytes: number): PendingRow[] {
  let changes = 1 + Number(carrier.carried)
  let bytes = Number(carrier.bytes)
  const first = rows.findLastIndex((row) => {
    changes += 1 + Number(row.carried)
    bytes += Number(row.bytes)
    return changes > MAX_CHANGES || bytes > maxBytes
  })
  return rows.slice(first + 1)
}

/** Marks the others, and what they carry, as carried by the carrier, makes it due, and gives it their indicators. */
async function merge(
  tx: Queryable,
  { webhookId, carrier, others }: { webhookId: string; carrier: PendingRow; others: readonly PendingRow[] },
  now: Date,
): Promise<void> {
  const ids = others.map(({ id }) => id)
  await tx.query(
    `update deliveries set status = 'folded', folded_into = $2, reason = 'sent with a later change', next_attempt_at = null,
       updated_at = $3
     where id = any($1) or folded_into = any($1)`,
    [ids, carrier.id, now],
  )
  await tx.query('update deliveries set next_attempt_at = $2, updated_at = $2 where id = $1', [carrier.id, now])
  await tx.query('update indicators set event_id = $3 where webhook_id = $1 and event_id = any($2)', [
    webhookId,
    others.map(({ event_id: eventId }) => eventId),
    carrier.event_id,
  ])
}

/** Counts an attempt at each of these as started: what they carry is final. */
async function countAttempts(db: Queryable, ids: readonly string[]): Promise<void> {
  await db.query(
    `update deliveries set sealed = true, unrefused_attempts = case when sealed then unrefused_attempts + 1 else 1 end
     where id = any($1)`,
    [ids],
  )
}

/** Takes back the attempts that were counted and not started. */
export async function uncountAttempts(db: Queryable, ids: readonly string[]): Promise<void> {
  await db.query('update deliveries set unrefused_attempts = greatest(unrefused_attempts - 1, 0) where id = any($1)', [
    ids,
  ])
}

/** The changes that are coalesced into a delivery; undefined: none. */
export async function loadCoalesced(db: Queryable, deliveryId: string): Promise<Coalesced | undefined> {
  const coalesced: Coalesced = { sequences: [], isCreated: false, previousSeverity: null, incoming: [] }
  for (;;) {
    const after = coalesced.sequences.at(-1) ?? 0n
    const { rows } = await db.query<EventRow>(
      `select e.* from deliveries d join events e on e.id = d.event_id
       where d.folded_into = $1 and d.sequence > $2 order by d.sequence limit ${PAGE}`,
      [deliveryId, after],
    )
    for (const { type, sequence, previousSeverity, payload, change } of rows.map(eventOf)) {
      coalesced.sequences.push(sequence!)
      coalesced.isCreated ||= type === 'alert.created'
      if (type === 'alert.resolved' || type === 'alert.reopened') coalesced.turn = type
      coalesced.previousSeverity ??= previousSeverity
      coalesced.incoming = uniqueValues([...coalesced.incoming, ...incomingOf(change ?? payload)])
    }
    if (rows.length < PAGE) return coalesced.sequences.length > 0 ? coalesced : undefined
  }
}

function incomingOf(change: string): ContextValue[] {
  const context = storedChange(change)?.incoming_rule_matches_context
  return context !== undefined && isJsonObject(context) ? flattenContext(context) : []
}
