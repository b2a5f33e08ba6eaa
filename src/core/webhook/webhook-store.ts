/**
 * The statements on the table `webhooks`. webhook-row.ts maps its rows.
 *
 * Guarantee: every statement that changes a webhook also raises the registry's version, so that no process goes on with
 * an old copy. Signing secrets are read only for an attempt, a preview or /secret.
 */
import type { RegistryVersion } from '../event/audience.js'
import type { Queryable } from '../platform/database.js'
import { conditionsOf, idAfter, queryPage, type Page, type PageRequest } from '../platform/page.js'
import { Refusal } from '../platform/errors.js'
import type { Sealer } from '../platform/secrets.js'
import { HEALTH_COLUMNS, lockHealth } from '../circuit/health-store.js'
import type { SigningSecret, Target, Webhook } from './webhook.js'
import { FIELDS, sealSecrets, targetOf, valuesOf, webhookOf, type TargetRow, type WebhookRow } from './webhook-row.js'

const COLUMNS = `${FIELDS.map((field) => `w.${field}`).join(', ')}, ${HEALTH_COLUMNS}`
const FROM = 'from webhooks w join delivery_queues q on q.webhook_id = w.id'
/** Makes every process read the registry again (registry.ts). Part of every statement that changes a webhook. */
const CHANGED = 'changed as (update registry set version = version + 1)'

/** @throws Refusal 'conflict' when another webhook has its name */
export async function insertWebhook(
  db: Queryable,
  sealer: Sealer,
  webhook: Webhook,
  secrets: SigningSecret[],
): Promise<void> {
  const placeholders = FIELDS.map((_, i) => `$${i + 1}`).join(', ')
  const sql = `with queue as (insert into delivery_queues (webhook_id) values ($1)), ${CHANGED}
     insert into webhooks (${FIELDS.join(', ')}, secrets) values (${placeholders}, $${FIELDS.length + 1})`
  const params = [...valuesOf(sealer, webhook), sealSecrets(sealer, webhook.id, secrets)]
  await db.query(sql, params).catch(refuseTakenName)
}

/**
 * Writes every field of the webhook but its signing secrets.
 * @throws Refusal 'conflict' when another webhook has its name
 */
export async function updateWebhook(db: Queryable, sealer: Sealer, webhook: Webhook): Promise<void> {
  const fields = FIELDS.map((field, i) => `${field} = $${i + 1}`).join(', ')
  await db
    .query(`with ${CHANGED} update webhooks set ${fields} where id = $1`, valuesOf(sealer, webhook))
    .catch(refuseTakenName)
}

/** SQLSTATE 23505 is a violated unique constraint; the name's is the only one that a request can violate. */
function refuseTakenName(error: { code?: unknown }): never {
  if (error.code !== '23505') throw error
  const detail = 'is the name of another webhook'
  throw new Refusal('conflict', `name ${detail}`, { errors: [{ path: '/name', detail }], cause: error })
}

/** Deletes a webhook; its row of `delivery_queues` stays until its waiting deliveries are dropped. @returns false when there is none */
export async function deleteWebhook(db: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await db.query(`with ${CHANGED} delete from webhooks where id = $1`, [id])
  return rowCount === 1
}

export async function findWebhook(db: Queryable, sealer: Sealer, id: string): Promise<Webhook | undefined> {
  const { rows } = await db.query<WebhookRow>(`select ${COLUMNS} ${FROM} where w.id = $1`, [id])
  return rows[0] && webhookOf(sealer, rows[0])
}

/**
 * A webhook, locked until the transaction ends, so that a change applies to its current fields.
 * Lock order: the row of `delivery_queues` before that of `webhooks`, as everywhere (no deadlock).
 */
export async function lockWebhook(tx: Queryable, sealer: Sealer, id: string): Promise<Webhook | undefined> {
  const health = await lockHealth(tx, id)
  const { rows } = await tx.query<WebhookRow>(`select ${COLUMNS} ${FROM} where w.id = $1 for update of w`, [id])
  return health && rows[0] && webhookOf(sealer, rows[0])
}

/** A page of webhooks, newest first. */
export async function listWebhooks(
  db: Queryable,
  sealer: Sealer,
  filter: { name?: string; status?: Webhook['status']; health?: Webhook['health'] },
  { limit, cursor }: PageRequest,
): Promise<Page<Webhook>> {
  const conditions = conditionsOf([
    ['w.id < ?', idAfter(cursor, 'wh')],
    ['w.name = ?', filter.name],
    ['w.status = ?', filter.status],
    ['q.health = ?', filter.health],
  ])
  return queryPage(
    db,
    {
      select: `select ${COLUMNS} ${FROM}`,
      conditions,
      order: 'w.id desc',
      cursorOf: ({ id }: WebhookRow) => id,
      entryOf: (row) => webhookOf(sealer, row),
    },
    limit,
  )
}

/** Every webhook, enabled or disabled, with what an attempt needs. */
export async function listTargets(db: Queryable, sealer: Sealer): Promise<Target[]> {
  const { rows } = await db.query<TargetRow>(`select ${COLUMNS}, w.secrets ${FROM} order by w.id`)
  return rows.map((row) => targetOf(sealer, row))
}

/** One webhook, enabled or disabled, with what an attempt needs. */
export async function findTarget(db: Queryable, sealer: Sealer, id: string): Promise<Target | undefined> {
  const { rows } = await db.query<TargetRow>(`select ${COLUMNS}, w.secrets ${FROM} where w.id = $1`, [id])
  return rows[0] && targetOf(sealer, rows[0])
}

export async function readRegistryVersion(db: Queryable): Promise<RegistryVersion> {
  const { rows } = await db.query<RegistryVersion>('select version, health_version as health from registry')
  return rows[0]!
}

/** Writes the signing secrets of a webhook and their kind. */
export async function updateSecrets(
  db: Queryable,
  sealer: Sealer,
  id: string,
  { secrets, signing }: Pick<Target, 'secrets' | 'signing'>,
  now: Date,
): Promise<void> {
  await db.query(`with ${CHANGED} update webhooks set secrets = $2, signing = $3, updated_at = $4 where id = $1`, [
    id,
    sealSecrets(sealer, id, secrets),
    signing,
    now,
  ])
}
