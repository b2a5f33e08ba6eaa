/**
 * Recoveries in the database.
 *
 * Guarantee: a step is one transaction and locks its recovery, so a recovery resumes after a crash and two processes never
 * take the same step. Events that are delivered or pending are left out.
 */
import { eventOf, type EventRow } from '../event/event-store.js'
import { TEST_EVENT_TYPE, type StoredEvent } from '../event/event.js'
import type { Database, Queryable } from '../platform/database.js'
import { newId } from '../platform/id.js'
import { conditionsOf, idAfter, queryPage, type Page, type PageRequest } from '../platform/page.js'
import { isSpared, wantsBody, wantsEvent } from '../webhook/selection.js'
import type { Registry } from '../webhook/registry.js'
import type { Target } from '../webhook/webhook.js'
import type { Foreseen, Recovery } from './recovery.js'
import { loadContent } from './content.js'
import { replayDeliveries } from './restart-store.js'

interface RecoveryRow {
  id: string
  webhook_id: string
  status: Recovery['status']
  since: Date
  until: Date
  events_examined: bigint
  deliveries_queued: bigint
  created_at: Date
  updated_at: Date
  position_at: Date
  position_id: string
}

const COLUMNS =
  'id, webhook_id, status, since, until, events_examined, deliveries_queued, created_at, updated_at, position_at, position_id'

export async function insertRecovery(
  db: Queryable,
  webhookId: string,
  { since, until }: { since: Date; until: Date },
  now: Date,
): Promise<Recovery> {
  const { rows } = await db.query<RecoveryRow>(
    `insert into recoveries (id, webhook_id, status, since, until, position_at, created_at, updated_at)
     values ($1, $2, 'running', $3, $4, $3, $5, $5) returning ${COLUMNS}`,
    [newId('rec'), webhookId, since, until, now],
  )
  return recoveryOf(rows[0]!)
}

export async function findRecovery(db: Queryable, id: string): Promise<Recovery | undefined> {
  const { rows } = await db.query<RecoveryRow>(`select ${COLUMNS} from recoveries where id = $1`, [id])
  return rows[0] && recoveryOf(rows[0])
}

/** A page of a webhook's recoveries, newest first. */
export async function listRecoveries(
  db: Queryable,
  webhookId: string,
  { limit, cursor }: PageRequest,
): Promise<Page<Recovery>> {
  return queryPage(
    db,
    {
      select: `select ${COLUMNS} from recoveries`,
      conditions: conditionsOf([
        ['id < ?', idAfter(cursor, 'rec')],
        ['webhook_id = ?', webhookId],
      ]),
      order: 'id desc',
      cursorOf: ({ id }: RecoveryRow) => id,
      entryOf: recoveryOf,
    },
    limit,
  )
}

/**
 * Takes one step of a running recovery that no other process has locked: examines up to `limit` events and makes their
 * deliveries due.
 * @returns the webhook whose delivery queue is to be woken; undefined when there is no such recovery
 */
export async function stepRecovery(
  database: Database,
  registry: Registry,
  now: Date,
  limit: number,
): Promise<string | undefined> {
  const { byId } = await registry.current()
  return database.transaction(async (tx) => {
    const { rows } = await tx.query<RecoveryRow>(
      `select ${COLUMNS} from recoveries where status = 'running' order by id limit 1 for update skip locked`,
    )
    const [recovery] = rows
    if (!recovery) return undefined
    const { id, webhook_id: webhookId } = recovery
    const target = byId.get(webhookId)
    if (target?.status !== 'enabled') {
      await tx.query(`update recoveries set status = 'cancelled', updated_at = $2 where id = $1`, [id, now])
      return webhookId
    }
    const { position_at: at, position_id: eventId, until } = recovery
    const { events, missed } = await nextMissed(tx, target, { at, eventId, until }, limit)
    for (const event of missed) await replayDeliveries(tx, event, [webhookId], now)
    const isDone = events.length < limit
    await tx.query(
      `update recoveries set
         status = $2, events_examined = events_examined + $3, deliveries_queued = deliveries_queued + $4, updated_at = $5,
         (position_at, position_id) = (
           select coalesce(max(received_at), position_at), coalesce(max(id), position_id) from events where id = $6)
       where id = $1`,
      [id, isDone ? 'done' : 'running', events.length, missed.length, now, events.at(-1)?.id ?? ''],
    )
    return webhookId
  })
}

/** How far a recovery has come: the events up to this one were examined. */
interface Position {
  at: Date
  eventId: string
  until: Date
}

/** The next events of a recovery, and those of them that the webhook wants and did not take. */
async function nextMissed(
  tx: Queryable,
  target: Target,
  position: Position,
  limit: number,
): Promise<{ events: StoredEvent[]; missed: StoredEvent[] }> {
  const events = await nextEvents(tx, target.id, position, limit)
  const missed: StoredEvent[] = []
  for (const { event, covered } of events) {
    if (covered || !wantsEvent(target, event)) continue
    if (target.policy || target.only_new) {
      const content = await loadContent(tx, event, { reader: target })
      if (!wantsBody(target, content) || isSpared(target, event, content)) continue
    }
    missed.push(event)
  }
  return { events: events.map(({ event }) => event), missed }
}

/**
 * Tells what a recovery would deliver, and changes nothing.
 * @param limits how many events are examined at most, and in one statement
 */
export async function foreseeRecovery(
  db: Queryable,
  target: Target,
  { since, until }: { since: Date; until: Date },
  limits: { examined: number; step: number },
): Promise<Foreseen> {
  const position: Position = { at: since, eventId: '', until }
  let examined = 0
  let isComplete = false
  const missed: Date[] = []
  while (!isComplete && examined < limits.examined) {
    const step = await nextMissed(db, target, position, limits.step)
    examined += step.events.length
    isComplete = step.events.length < limits.step
    missed.push(...step.missed.map(({ receivedAt }) => receivedAt))
    const last = step.events.at(-1)
    if (last) [position.at, position.eventId] = [last.receivedAt, last.id]
  }
  return {
    deliveries: missed.length,
    webhooks: missed.length > 0 ? [{ webhook_id: target.id, deliveries: missed.length }] : [],
    oldest: missed[0]?.toISOString() ?? null,
    newest: missed.at(-1)?.toISOString() ?? null,
    is_complete: isComplete,
  }
}

/**
 * The next events. `covered`: the event's delivery, or the one it was coalesced into, has succeeded or is pending, or the event is
 * not dispatched yet.
 */
async function nextEvents(tx: Queryable, webhookId: string, { at, eventId, until }: Position, limit: number) {
  const { rows } = await tx.query<EventRow & { covered: boolean }>(
    `select e.*,
       exists (select from undispatched u where u.batch_id = e.batch_id and u.event_id = e.id) or exists (
         select from deliveries d left join deliveries carrier on carrier.id = d.folded_into
         where d.event_id = e.id and d.webhook_id = $1
           and (d.status in ('pending', 'succeeded') or carrier.status in ('pending', 'succeeded'))) as covered
     from events e
     where e.received_at >= $2 and (e.received_at, e.id) > ($2, $3) and e.received_at < $4
       and e.type <> '${TEST_EVENT_TYPE}'
     order by e.received_at, e.id limit $5`,
    [webhookId, at, eventId, until, limit],
  )
  return rows.map((row) => ({ event: eventOf(row), covered: row.covered }))
}

function recoveryOf(row: RecoveryRow): Recovery {
  return {
    id: row.id,
    webhook_id: row.webhook_id,
    status: row.status,
    since: row.since.toISOString(),
    until: row.until.toISOString(),
    events_examined: Number(row.events_examined),
    deliveries_queued: Number(row.deliveries_queued),
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  }
}
