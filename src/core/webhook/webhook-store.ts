/**
 * Webhooks in the database.
 *
 * Promise: secrets are sealed before they are written and opened only for an attempt or for /secret.
 */
import type { Queryable } from '../platform/database.js'
import { conditionsOf, queryPage, type Page, type PageRequest } from '../platform/page.js'
import type { Sealer } from '../platform/secrets.js'
import type { Once } from './once.js'
import type { SigningSecret, Target, Webhook } from './webhook.js'

interface WebhookRow {
  id: string
  url: string
  description: string
  status: Webhook['status']
  disabled_reason: string | null
  event_types: Webhook['event_types']
  topics: string[]
  once: string | null
  timeout_ms: number
  retry_schedule_s: number[] | null
  created_at: Date
  updated_at: Date
}

const COLUMNS = `id, url, description, status, disabled_reason, event_types, topics, once, timeout_ms, retry_schedule_s, created_at, updated_at`

export async function insertWebhook(
  db: Queryable,
  sealer: Sealer,
  webhook: Webhook,
  secrets: SigningSecret[],
): Promise<void> {
  await db.query(
    `insert into webhooks (${COLUMNS}, secrets) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
    [...valuesOf(webhook), sealSecrets(sealer, webhook.id, secrets)],
  )
}

/** Writes every field of the webhook but its secrets. */
export async function updateWebhook(db: Queryable, webhook: Webhook): Promise<void> {
  await db.query(
    `update webhooks set (${COLUMNS}) = row ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::timestamptz, $12::timestamptz)
     where id = $1`,
    valuesOf(webhook),
  )
}

/** Disables an enabled webhook; one that was disabled before keeps its reason. */
export async function disableWebhook(db: Queryable, id: string, reason: string, now: Date): Promise<void> {
  await db.query(
    `update webhooks set status = 'disabled', disabled_reason = $2, updated_at = $3 where id = $1 and status = 'enabled'`,
    [id, reason, now],
  )
}

export async function deleteWebhook(db: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await db.query('delete from webhooks where id = $1', [id])
  return rowCount === 1
}

export async function findWebhook(db: Queryable, id: string): Promise<Webhook | undefined> {
  const { rows } = await db.query<WebhookRow>(`select ${COLUMNS} from webhooks where id = $1`, [id])
  return rows[0] && webhookOf(rows[0])
}

/** The webhook, locked until the transaction ends: a change is made on what is there, not on what was read before. */
export async function lockWebhook(tx: Queryable, id: string): Promise<Webhook | undefined> {
  const { rows } = await tx.query<WebhookRow>(`select ${COLUMNS} from webhooks where id = $1 for update`, [id])
  return rows[0] && webhookOf(rows[0])
}

/** A page of webhooks, newest first. */
export async function listWebhooks(
  db: Queryable,
  filter: { status?: Webhook['status'] },
  { limit, cursor }: PageRequest,
): Promise<Page<Webhook>> {
  const conditions = conditionsOf([
    ['id < ?', cursor],
    ['status = ?', filter.status],
  ])
  return queryPage(
    db,
    {
      select: `select ${COLUMNS} from webhooks`,
      conditions,
      order: 'id desc',
      cursorOf: ({ id }: WebhookRow) => id,
      entryOf: webhookOf,
    },
    limit,
  )
}

/** Every enabled webhook, with what an attempt needs. */
export async function listTargets(db: Queryable, sealer: Sealer): Promise<Target[]> {
  const { rows } = await db.query<WebhookRow & { secrets: Buffer }>(
    `select ${COLUMNS}, secrets from webhooks where status = 'enabled' order by id`,
  )
  return rows.map((row) => ({ ...webhookOf(row), secrets: openSecrets(sealer, row.id, row.secrets) }))
}

/** One webhook, whatever its status, with what an attempt needs. */
export async function findTarget(db: Queryable, sealer: Sealer, id: string): Promise<Target | undefined> {
  const { rows } = await db.query<WebhookRow & { secrets: Buffer }>(
    `select ${COLUMNS}, secrets from webhooks where id = $1`,
    [id],
  )
  return rows[0] && { ...webhookOf(rows[0]), secrets: openSecrets(sealer, id, rows[0].secrets) }
}

export async function updateSecrets(
  db: Queryable,
  sealer: Sealer,
  id: string,
  secrets: SigningSecret[],
  now: Date,
): Promise<void> {
  await db.query('update webhooks set secrets = $2, updated_at = $3 where id = $1', [
    id,
    sealSecrets(sealer, id, secrets),
    now,
  ])
}

function valuesOf(webhook: Webhook): unknown[] {
  return [
    webhook.id,
    webhook.url,
    webhook.description,
    webhook.status,
    webhook.disabled_reason,
    webhook.event_types,
    webhook.topics,
    webhook.once === null ? null : JSON.stringify(webhook.once),
    webhook.timeout_ms,
    webhook.retry_schedule_s,
    new Date(webhook.created_at),
    new Date(webhook.updated_at),
  ]
}

function webhookOf(row: WebhookRow): Webhook {
  return {
    id: row.id,
    url: row.url,
    description: row.description,
    status: row.status,
    disabled_reason: row.disabled_reason,
    event_types: row.event_types,
    topics: row.topics,
    once: row.once === null ? null : (JSON.parse(row.once) as Once),
    timeout_ms: row.timeout_ms,
    retry_schedule_s: row.retry_schedule_s,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  }
}

/** The webhook's id is sealed in: a sealed secret moved to another row does not open. */
function sealSecrets(sealer: Sealer, id: string, secrets: SigningSecret[]): Buffer {
  return sealer.seal(JSON.stringify(secrets), id)
}

function openSecrets(sealer: Sealer, id: string, sealed: Buffer): SigningSecret[] {
  const secrets = JSON.parse(sealer.open(sealed, id)) as { secret: string; expiresAt: string | null }[]
  return secrets.map(({ secret, expiresAt }) => ({
    secret,
    expiresAt: expiresAt === null ? null : new Date(expiresAt),
  }))
}
