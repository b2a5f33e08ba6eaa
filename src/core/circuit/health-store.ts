/** The health of webhooks in the database: columns of their delivery queues. */
import type { Queryable } from '../platform/database.js'
import { healthFields, type HealthReport } from './health-report.js'
import { HEALTHY, type Health, type HealthState } from './health.js'

/** The columns of `delivery_queues` that hold health. */
export interface HealthRow {
  health: HealthState
  failures: number
  failing_since: Date | null
  last_failure: string | null
  probes: number
  probe_at: Date | null
  recovering_since: Date | null
  resume_at: Date | null
}

/** The columns of a `HealthRow`, from `delivery_queues q`. */
export const HEALTH_COLUMNS =
  'q.health, q.failures, q.failing_since, q.last_failure, q.probes, q.probe_at, q.recovering_since, q.resume_at'

export function healthOf(row: HealthRow): Health {
  return {
    state: row.health,
    failures: row.failures,
    failingSince: row.failing_since,
    lastFailure: row.last_failure,
    probes: row.probes,
    probeAt: row.probe_at,
    recoveringSince: row.recovering_since,
    resumeAt: row.resume_at,
  }
}

/** The health of every webhook that is not healthy or that is held, by id. */
export async function listRestricted(db: Queryable): Promise<Map<string, Health>> {
  const { rows } = await db.query<HealthRow & { webhook_id: string }>(
    `select q.webhook_id, ${HEALTH_COLUMNS} from delivery_queues q
     where q.health <> 'healthy' or q.resume_at is not null`,
  )
  return new Map(rows.map((row) => [row.webhook_id, healthOf(row)]))
}

/** A webhook's health, locked until the transaction ends. Lock order: this row before that of `webhooks`. */
export async function lockHealth(tx: Queryable, webhookId: string): Promise<Health | undefined> {
  const { rows } = await tx.query<HealthRow>(
    `select ${HEALTH_COLUMNS} from delivery_queues q where q.webhook_id = $1 for update`,
    [webhookId],
  )
  return rows[0] && healthOf(rows[0])
}

export async function writeHealth(tx: Queryable, webhookId: string, health: Health): Promise<void> {
  await tx.query(
    `update delivery_queues set health = $2, failures = $3, failing_since = $4, last_failure = $5, probes = $6, probe_at = $7,
       recovering_since = $8, resume_at = $9
     where webhook_id = $1`,
    [
      webhookId,
      health.state,
      health.failures,
      health.failingSince,
      health.lastFailure,
      health.probes,
      health.probeAt,
      health.recoveringSince,
      health.resumeAt,
    ],
  )
}

/** Makes the next probe of failing or held webhooks due now: an operator has asked for an attempt. */
export async function probeNow(db: Queryable, webhookIds: readonly string[], now: Date): Promise<void> {
  await db.query(
    `update delivery_queues set
       probe_at = case when health = 'failing' then $2 else probe_at end,
       resume_at = case when resume_at > $2 then $2 else resume_at end
     where webhook_id = any($1) and (health = 'failing' or resume_at > $2)`,
    [webhookIds, now],
  )
}

/**
 * True when a delivery of the webhook has succeeded since then, in any process. The latest deliveries are read first: of a
 * webhook with successes it reads few rows.
 */
export async function hasSucceeded(db: Queryable, webhookId: string, since: Date): Promise<boolean> {
  const { rowCount } = await db.query(
    `select from deliveries where webhook_id = $1 and status = 'succeeded' and updated_at >= $2 order by id desc limit 1`,
    [webhookId, since],
  )
  return rowCount > 0
}

/** The number of enabled webhooks in each state of health, and of disabled webhooks. */
export async function countHealth(db: Queryable): Promise<Record<HealthState | 'disabled', number>> {
  const { rows } = await db.query<{ state: HealthState | 'disabled'; count: bigint }>(
    `select case w.status when 'disabled' then 'disabled' else q.health end as state, count(*) as count
     from webhooks w join delivery_queues q on q.webhook_id = w.id group by 1`,
  )
  const counts = { [HEALTHY.state]: 0, failing: 0, recovering: 0, disabled: 0 } as Record<
    HealthState | 'disabled',
    number
  >
  for (const { state, count } of rows) counts[state] = Number(count)
  return counts
}

/** Disables an enabled webhook. @returns false when it was disabled before, which keeps its reason, or deleted */
export async function disableWebhook(db: Queryable, id: string, reason: string, now: Date): Promise<boolean> {
  const { rowCount } = await db.query(
    `update webhooks set status = 'disabled', disabled_reason = $2, updated_at = $3 where id = $1 and status = 'enabled'`,
    [id, reason, now],
  )
  return rowCount === 1
}

/** Makes every process read the health of webhooks again, and the webhooks too when one was disabled (registry.ts). */
export async function markHealthChanged(tx: Queryable, { disabled }: { disabled: boolean }): Promise<void> {
  await tx.query('update registry set health_version = health_version + 1, version = version + $1', [disabled ? 1 : 0])
}

export async function findHealthReport(db: Queryable, webhookId: string): Promise<HealthReport | undefined> {
  const { rows } = await db.query<HealthRow & Omit<HealthReport, 'health' | 'failing_since' | 'last_failure'>>(
    `select w.id, w.name, w.description, w.status, w.disabled_reason, ${HEALTH_COLUMNS}
     from webhooks w join delivery_queues q on q.webhook_id = w.id where w.id = $1`,
    [webhookId],
  )
  const [row] = rows
  if (!row) return undefined
  const { id, name, description, status, disabled_reason: reason } = row
  return { id, name, description, status, disabled_reason: reason, ...healthFields(healthOf(row)) }
}
