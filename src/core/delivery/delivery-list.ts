/** Deliveries and attempts as the API shows them, out of the database. */
import type { Queryable } from '../platform/database.js'
import { conditionsOf, queryPage, type Page, type PageRequest } from '../platform/page.js'
import type { AttemptRecord, Delivery, DeliveryWithAttempts } from './delivery.js'
import type { DeliveryRow } from './delivery-store.js'
import type { AttemptOutcome, DeliveryStatus } from './policy.js'

interface AttemptRow {
  id: string
  number: number
  outcome: AttemptOutcome
  status_code: number | null
  error: string | null
  response_body: string | null
  duration_ms: number
  started_at: Date
}

/** What narrows a list of deliveries; everything given must hold. */
export interface DeliveryFilter {
  event_id?: string
  webhook_id?: string
  status?: DeliveryStatus
  since?: Date
  until?: Date
}

/** A page of deliveries, newest first. */
export async function listDeliveries(
  db: Queryable,
  filter: DeliveryFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<Delivery>> {
  const conditions = conditionsOf([
    ['id < ?', cursor],
    ['event_id = ?', filter.event_id],
    ['webhook_id = ?', filter.webhook_id],
    ['status = ?', filter.status],
    ['created_at >= ?', filter.since],
    ['created_at < ?', filter.until],
  ])
  return queryPage(
    db,
    {
      select: 'select * from deliveries',
      conditions,
      order: 'id desc',
      cursorOf: ({ id }: DeliveryRow) => id,
      entryOf: deliveryOf,
    },
    limit,
  )
}

export async function findDelivery(db: Queryable, id: string): Promise<DeliveryWithAttempts | undefined> {
  const { rows } = await db.query<DeliveryRow>('select * from deliveries where id = $1', [id])
  if (!rows[0]) return undefined
  const attempts = await db.query<AttemptRow>('select * from attempts where delivery_id = $1 order by id', [id])
  return { ...deliveryOf(rows[0]), attempts: attempts.rows.map(attemptOf) }
}

function deliveryOf(row: DeliveryRow): Delivery {
  return {
    id: row.id,
    event_id: row.event_id,
    webhook_id: row.webhook_id,
    status: row.status,
    reason: row.reason,
    attempt_count: row.attempt_count,
    next_attempt_at: row.next_attempt_at?.toISOString() ?? null,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  }
}

function attemptOf(row: AttemptRow): AttemptRecord {
  return {
    id: row.id,
    number: row.number,
    outcome: row.outcome,
    status_code: row.status_code,
    error: row.error,
    response_body: row.response_body,
    duration_ms: row.duration_ms,
    started_at: row.started_at.toISOString(),
  }
}
