/**
 * Folding: the changes of one alert that wait for a webhook become one delivery.
 *
 * Promise: nothing that was new is lost or sent twice by it. The delivery that carries the others is the latest that no
 * receiver can have seen, since whoever took an event once takes its id no more; what was attempted before may be folded
 * into it, but carries nothing itself. Who carries whom is written down before anything is sent.
 */
import { flattenContext, uniqueValues, type ContextValue } from '../alert/context.js'
import { eventOf, type EventRow } from '../event/event-store.js'
import type { Database, Queryable } from '../platform/database.js'
import { isJsonObject, parseJson } from '../platform/json.js'
import type { Coalesced } from '../format/body.js'
import type { HealthState } from '../circuit/health.js'
import type { Webhook } from '../webhook/webhook.js'
import { listDue, type DueDelivery } from './delivery-queue-store.js'

/** A delivery carries so many changes at most: more wait for the next one. */
const MOST_COALESCED = 1000
/** Events that are read at a time to be put together. */
const PAGE = 50

interface WaitingRow {
  id: string
  event_id: string
  sequence: bigint
  sealed: boolean
  folded: bigint
}

/**
 * What is due at a webhook, to be attempted now: folded where the webhook asks for it and is not well, and sealed where it
 * could still be folded.
 * @param options.state the webhook's health
 * @param options.skip deliveries that are under way
 */
export async function takeDue(
  database: Database,
  { id: webhookId, order, coalesce }: Pick<Webhook, 'id' | 'order' | 'coalesce'>,
  { state, skip, limit, now }: { state: HealthState; skip: readonly string[]; limit: number; now: Date },
): Promise<DueDelivery[]> {
  const inOrder = order === 'alert'
  const list = () => listDue(database, webhookId, { now, skip, limit, inOrder })
  let due = await list()
  if (!coalesce || due.length === 0) return due
  if (state !== 'healthy') {
    const alerts = new Set(due.flatMap(({ event: { alertId } }) => (alertId === null ? [] : [alertId])))
    let folded = false
    for (const alertId of alerts) {
      if (await coalesceWaiting(database, { webhookId, alertId }, { skip, inOrder, now })) folded = true
    }
    if (folded) due = await list()
  }
  await sealDeliveries(
    database,
    due.map(({ id }) => id),
  )
  return due
}

/**
 * Folds what waits of an alert.
 * @param options.skip deliveries that are under way
 * @param options.inOrder true: nothing is carried past a change that is not dispatched yet
 * @returns true when something was folded
 */
export async function coalesceWaiting(
  database: Database,
  { webhookId, alertId }: { webhookId: string; alertId: string },
  { skip, inOrder, now }: { skip: readonly string[]; inOrder: boolean; now: Date },
): Promise<boolean> {
  return database.transaction(async (tx) => {
    const { rows } = await tx.query<WaitingRow>(
      `select d.id, d.event_id, d.sequence, d.sealed,
         (select count(*) from deliveries f where f.folded_into = d.id) as folded
       from deliveries d
       where d.webhook_id = $1 and d.alert_id = $2 and d.status = 'pending' and d.id <> all($3)
         and not d.replay and d.folded_into is null
         and (not $4 or not exists (
           select from undispatched u where u.alert_id = $2 and u.sequence < d.sequence))
       order by d.sequence limit ${MOST_COALESCED} for update of d`,
      [webhookId, alertId, skip, inOrder],
    )
    const carrier = rows.findLast(({ sealed }) => !sealed)
    const others = carrier ? fitting(carrier, rows.slice(0, rows.indexOf(carrier))) : []
    if (!carrier || others.length === 0) return false
    await fold(tx, webhookId, carrier, others, now)
    return true
  })
}

/** The latest of them that are no more than one delivery may carry, together with what it and they carry already. */
function fitting(carrier: WaitingRow, rows: readonly WaitingRow[]): WaitingRow[] {
  let changes = 1 + Number(carrier.folded)
  const first = rows.findLastIndex(({ folded }) => (changes += 1 + Number(folded)) > MOST_COALESCED)
  return rows.slice(first + 1)
}

async function fold(
  tx: Queryable,
  webhookId: string,
  carrier: WaitingRow,
  others: readonly WaitingRow[],
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

/** Says that attempts at these deliveries begin: what they carry is theirs from now on. */
async function sealDeliveries(db: Queryable, ids: readonly string[]): Promise<void> {
  await db.query('update deliveries set sealed = true where id = any($1) and not sealed', [ids])
}

/** What a delivery carries besides its own change; undefined: nothing. */
export async function loadCoalesced(db: Queryable, deliveryId: string): Promise<Coalesced | undefined> {
  const folded: Coalesced = { sequences: [], isCreated: false, previousSeverity: null, incoming: [] }
  for (;;) {
    const after = folded.sequences.at(-1) ?? 0n
    const { rows } = await db.query<EventRow>(
      `select e.* from deliveries d join events e on e.id = d.event_id
       where d.folded_into = $1 and d.sequence > $2 order by d.sequence limit ${PAGE}`,
      [deliveryId, after],
    )
    for (const { type, sequence, previousSeverity, payload } of rows.map(eventOf)) {
      folded.sequences.push(sequence!)
      folded.isCreated ||= type === 'alert.created'
      folded.previousSeverity ??= previousSeverity
      folded.incoming = uniqueValues([...folded.incoming, ...incomingOf(payload)])
    }
    if (rows.length < PAGE) return folded.sequences.length > 0 ? folded : undefined
  }
}

function incomingOf(payload: string): ContextValue[] {
  const message = parseJson(payload)
  const context = isJsonObject(message) ? message.incoming_rule_matches_context : undefined
  return context !== undefined && isJsonObject(context) ? flattenContext(context) : []
}
