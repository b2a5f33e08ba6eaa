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
 *
 * With an interval a delivery that was never attempted waits until the interval is over since the last attempt at one of its
 * alert, also while the webhook is healthy; what has come by then goes with it. A delivery that was attempted has its own
 * schedule, and if it was refused for certain, what waits goes with it.
 */
import { flattenContext, uniqueValues, type ContextValue } from '../alert/context.js'
import { eventOf, type EventRow } from '../event/event-store.js'
import { storedChange } from '../event/reading.js'
import type { Database, Queryable } from '../platform/database.js'
import { isJsonObject } from '../platform/json.js'
import type { Coalesced } from '../format/body.js'
import type { HealthState } from '../circuit/health.js'
import { intervalMsOf, sealsLate } from '../webhook/alert-changes.js'
import type { Webhook } from '../webhook/webhook.js'
import { listDue, type DueDelivery, type DuePosition } from './delivery-queue-store.js'
import { findProbe, markProbed } from './probe-store.js'
import { holdBack, markSent, TAKE_SPARED, unmarkSent } from './webhook-alert-store.js'

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
  next_attempt_at: Date
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
 * The deliveries that are due at a webhook, for attempts that start now. Of a webhook with `coalesce` that is not healthy or has
 * an interval, pending changes are coalesced first. With `coalesce` or `only_new`, the deliveries that are returned are sealed,
 * and an attempt at each is counted as started: `uncountAttempts` takes back those that are not started after all.
 * @param options.state the webhook's health
 * @param options.isProbe true: one delivery, another than the last probe where there is one (probe-store.ts)
 * @param options.skip ids of deliveries in flight
 * @param options.after the last of the page before
 */
export async function takeDue(
  database: Database,
  webhook: Pick<Webhook, 'id' | 'order' | 'coalesce' | 'only_new' | 'max_body_bytes'>,
  { state, isProbe, skip, limit, now, after }: TakeOptions,
): Promise<DueDelivery[]> {
  const { id: webhookId, coalesce, max_body_bytes: maxBodyBytes } = webhook
  const inOrder = webhook.order === 'alert'
  const everyMs = intervalMsOf(webhook)
  const list = async () => {
    if (!isProbe) return listDue(database, webhookId, { now, skip, limit, inOrder, after })
    const only = await findProbe(database, webhookId, { now, skip, inOrder })
    return only === undefined ? [] : listDue(database, webhookId, { now, skip, limit, inOrder, only })
  }
  let due = await list()
  if (everyMs !== undefined) {
    while ((await holdBack(database, webhookId, idsOf(due), { everyMs, now })) > 0) due = await list()
  }
  if (coalesce && (everyMs !== undefined || state !== 'healthy') && due.length > 0) {
    const carriers = await coalesceAlerts(database, webhookId, due, { skip, inOrder, maxBodyBytes, now })
    const seen = new Set([...idsOf(due), ...carriers])
    if (carriers.length > 0) due = await list()
    if (everyMs !== undefined) due = inInterval(due, seen)
  }
  const ids = idsOf(due)
  if (isProbe && ids[0] !== undefined) await markProbed(database, webhookId, ids[0])
  if (!sealsLate(webhook) || ids.length === 0) return due
  const spared = await countAttempts(database, ids, webhook)
  if (everyMs !== undefined) await markSent(database, ids, now)
  return due.map((one) => ({ ...one, spared: spared.get(one.id) ?? one.spared }))
}

/**
 * Of what is due at a webhook with an interval, what may be sent now. What was dispatched after the first look, and what has not
 * been attempted while another of its alert is retried, is held back in the next round.
 */
function inInterval(due: readonly DueDelivery[], seen: ReadonlySet<string>): DueDelivery[] {
  const retried = new Set(due.flatMap(({ sealed, event }) => (sealed ? (event.alertId ?? []) : [])))
  return due.filter(({ id, sealed, event: { alertId } }) => sealed || (seen.has(id) && !retried.has(alertId ?? '')))
}

function idsOf(due: readonly DueDelivery[]): string[] {
  return due.map(({ id }) => id)
}

/** Coalesces the pending changes of every alert that has a delivery due. @returns the ids of those that carry others now */
async function coalesceAlerts(
  database: Database,
  webhookId: string,
  due: readonly DueDelivery[],
  options: CoalesceOptions,
): Promise<string[]> {
  const alertIds = new Set(due.flatMap(({ event }) => event.alertId ?? []))
  const carriers: string[] = []
  for (const alertId of alertIds) {
    for (;;) {
      const carrier = await coalesceWaiting(database, { webhookId, alertId }, options)
      if (carrier === undefined) break
      carriers.push(carrier)
    }
  }
  return carriers
}

interface CoalesceOptions {
  /** Ids of deliveries in flight. */
  skip: readonly string[]
  /** True: only changes before the first that is not dispatched yet. */
  inOrder: boolean
  /** Of the webhook: values that do not fit into one body stay in several deliveries. */
  maxBodyBytes: number
  now: Date
}

/**
 * Coalesces the pending changes of one alert at one webhook, if one of them is due.
 * @returns the id of the delivery that carries others now; undefined when none were coalesced
 */
export async function coalesceWaiting(
  database: Database,
  { webhookId, alertId }: { webhookId: string; alertId: string },
  { skip, inOrder, maxBodyBytes, now }: CoalesceOptions,
): Promise<string | undefined> {
  return database.transaction(async (tx) => {
    const { rows } = await tx.query<PendingRow>(
      `select d.id, d.event_id, d.sequence, d.sealed, d.next_attempt_at,
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
    if (rows.every(({ next_attempt_at: at }) => at > now)) return undefined
    const carrier = rows.findLast(({ sealed }) => !sealed)
    const maxBytes = maxBodyBytes * VALUES_SHARE
    const others = carrier ? fitting(carrier, rows.slice(0, rows.indexOf(carrier)), maxBytes) : []
    if (!carrier || others.length === 0) return undefined
    await merge(tx, { webhookId, carrier, others }, now)
    if (others.some(({ sealed }) => sealed)) await unmarkSent(tx, webhookId, alertId)
    return carrier.id
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

/**
 * Marks the others, and what they carry, as carried by the carrier, makes it due in the place of the longest due, and gives it
 * their indicators and the changes that they count.
 */
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
  const dueAt = Math.min(...[carrier, ...others].map(({ next_attempt_at: at }) => at.getTime()), now.getTime())
  await tx.query(
    `update deliveries set next_attempt_at = $2, updated_at = $3,
       spared = nullif(coalesce(spared, 0) + (select coalesce(sum(spared), 0) from deliveries where id = any($4)), 0)
     where id = $1`,
    [carrier.id, new Date(dueAt), now, ids],
  )
  await tx.query('update indicators set event_id = $3 where webhook_id = $1 and event_id = any($2)', [
    webhookId,
    others.map(({ event_id: eventId }) => eventId),
    carrier.event_id,
  ])
}

/**
 * Counts an attempt at each of these as started: what they carry is final. A webhook with `only_new` has the first of an alert
 * count the changes that it was spared.
 * @returns how many spared changes each counts, where they are counted now
 */
async function countAttempts(
  db: Queryable,
  ids: readonly string[],
  { only_new: onlyNew }: Pick<Webhook, 'only_new'>,
): Promise<Map<string, number>> {
  const { rows } = await db.query<{ id: string; spared: number | null }>(
    `${onlyNew ? `with ${TAKE_SPARED}` : ''}
     update deliveries d set sealed = true,
       unrefused_attempts = case when d.sealed then d.unrefused_attempts + 1 else 1 end
       ${onlyNew ? ', spared = nullif(coalesce(d.spared, 0) + coalesce((select spared from taken where id = d.id), 0), 0)' : ''}
     where d.id = any($1) ${onlyNew ? 'returning d.id, d.spared' : ''}`,
    [ids],
  )
  return new Map(rows.flatMap(({ id, spared }) => (spared === null ? [] : [[id, spared]])))
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
