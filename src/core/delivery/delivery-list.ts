/** Reads deliveries and attempts in the form that the API returns. */
import type { Queryable } from '../platform/database.js'
import { conditionsOf, idAfter, queryPage, type Page, type PageRequest } from '../platform/page.js'
import type { HealthState } from '../circuit/health.js'
import type { Webhook } from '../webhook/webhook.js'
import type { EventType } from '../event/event.js'
import type { AttemptRecord, Delivery, DeliveryWithAttempts, LastAttempt } from './delivery.js'
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

/** Selects deliveries; all fields that are given must match. */
export interface DeliveryFilter {
  event_id?: string
  webhook_id?: string
  /** Of these webhooks alone. */
  webhook_ids?: readonly string[]
  status?: DeliveryStatus
  since?: Date
  until?: Date
}

/** A delivery, what its event says, its latest attempt, and the columns of its webhook that decide when it may be attempted. */
interface ListedRow extends DeliveryRow {
  event_type: EventType
  title: string | null
  severity: string | null
  /** Null before the first attempt, and so are the four after it. */
  number: number | null
  outcome: AttemptOutcome
  status_code: number | null
  error: string | null
  started_at: Date
  webhook_status: Webhook['status'] | null
  health: HealthState | null
  probe_at: Date | null
  resume_at: Date | null
}

const SELECT = `select d.*, e.type as event_type, e.title, e.severity, a.*, w.status as webhook_status, q.health, q.probe_at,
    q.resume_at
  from deliveries d join events e on e.id = d.event_id
  left join lateral (
    select number, outcome, status_code, error, started_at from attempts where delivery_id = d.id order by id desc limit 1) a on true
  left join webhooks w on w.id = d.webhook_id left join delivery_queues q on q.webhook_id = d.webhook_id`

/** A page of deliveries, newest first. */
export async function listDeliveries(
  db: Queryable,
  filter: DeliveryFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<Delivery>> {
  const conditions = conditionsOf([
    ['d.id < ?', idAfter(cursor, 'dlv')],
    ['d.event_id = ?', filter.event_id],
    ['d.webhook_id = ?', filter.webhook_id],
    ['d.webhook_id = any(?)', filter.webhook_ids],
    ['d.status = ?', filter.status],
    ['d.created_at >= ?', filter.since],
    ['d.created_at < ?', filter.until],
  ])
  return queryPage(
    db,
    {
      select: SELECT,
      conditions,
      order: 'd.id desc',
      cursorOf: ({ id }: ListedRow) => id,
      entryOf: deliveryOf,
    },
    limit,
  )
}

export async function findDelivery(db: Queryable, id: string): Promise<DeliveryWithAttempts | undefined> {
  const { rows } = await db.query<ListedRow>(`${SELECT} where d.id = $1`, [id])
  if (!rows[0]) return undefined
  const attempts = await db.query<AttemptRow>('select * from attempts where delivery_id = $1 order by id', [id])
  return { ...deliveryOf(rows[0]), attempts: attempts.rows.map(attemptOf) }
}

function deliveryOf(row: ListedRow): Delivery {
  const { reason, nextAttemptAt } =
    row.status === 'pending' ? nextAttempt(row) : { reason: row.reason, nextAttemptAt: null }
  return {
    id: row.id,
    event_id: row.event_id,
    webhook_id: row.webhook_id,
    event_type: row.event_type,
    title: row.title,
    severity: row.severity,
    status: row.status,
    reason,
    attempt_count: row.attempt_count,
    last_attempt: row.number === null ? null : lastAttemptOf({ ...row, number: row.number }),
    replay: row.replay,
    folded_into: row.folded_into,
    next_attempt_at: nextAttemptAt?.toISOString() ?? null,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  }
}

/** When a pending delivery is attempted next, and why not before. Derived from its webhook, not stored. */
function nextAttempt({ webhook_status: status, health, ...row }: ListedRow) {
  if (status === 'disabled') return { reason: 'held: the webhook is disabled', nextAttemptAt: null }
  const probeAt = health === 'failing' ? row.probe_at : null
  const times = [row.next_attempt_at, probeAt, row.resume_at].filter((time) => time !== null)
  const nextAttemptAt = new Date(Math.max(...times.map((time) => time.getTime())))
  if (probeAt !== null) {
    return { reason: 'waits: the webhook is failing, one delivery at a time is tried', nextAttemptAt }
  }
  if (row.resume_at === null) return { reason: null, nextAttemptAt }
  const reason = `waits: the receiver asked for nothing before ${row.resume_at.toISOString()}, then one delivery is tried`
  return { reason, nextAttemptAt }
}

function attemptOf(row: AttemptRow): AttemptRecord {
  const { id, response_body: body, duration_ms: durationMs } = row
  return { id, ...lastAttemptOf(row), response_body: body, duration_ms: durationMs }
}

function lastAttemptOf(row: Omit<AttemptRow, 'id' | 'response_body' | 'duration_ms'>): LastAttempt {
  return {
    number: row.number,
    outcome: row.outcome,
    status_code: row.status_code,
    error: row.error,
    started_at: row.started_at.toISOString(),
  }
}
