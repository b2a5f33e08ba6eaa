/**
 * Webhooks in the database.
 *
 * Promise: secrets are sealed before they are written and opened only for an attempt or for /secret.
 */
import type { Queryable } from '../platform/database.js'
import { conditionsOf, queryPage, type Page, type PageRequest } from '../platform/page.js'
import { Refusal } from '../platform/errors.js'
import { parseJson, stringifyJson, type JsonObject } from '../platform/json.js'
import type { Sealer } from '../platform/secrets.js'
import { parseFilterPolicy } from '../filter/policy.js'
import { healthFields } from '../circuit/health-report.js'
import { HEALTH_COLUMNS, healthOf, lockHealth, type HealthRow } from '../circuit/health-store.js'
import type { Once } from '../indicator/once.js'
import { NOTHING_PRIVATE, type PrivateFields, type SigningSecret, type Target, type Webhook } from './webhook.js'

interface WebhookRow extends HealthRow {
  id: string
  url: string
  name: string | null
  description: string
  status: Webhook['status']
  disabled_reason: string | null
  event_types: Webhook['event_types']
  topics: string[]
  filter: string | null
  format: Webhook['format']
  private: Buffer | null
  signing: Webhook['signing']
  once: string | null
  timeout_ms: number
  retry_schedule_s: number[] | null
  max_in_flight: number | null
  rate_per_second: number | null
  order: Webhook['order']
  coalesce: boolean
  created_at: Date
  updated_at: Date
}

/** What is written of a webhook, in the order of `valuesOf`. */
const FIELDS = [
  'id',
  'url',
  'name',
  'description',
  'status',
  'disabled_reason',
  'event_types',
  'topics',
  'filter',
  'format',
  'private',
  'signing',
  'once',
  'timeout_ms',
  'retry_schedule_s',
  'max_in_flight',
  'rate_per_second',
  '"order"',
  '"coalesce"',
  'created_at',
  'updated_at',
]
const COLUMNS = `${FIELDS.map((field) => `w.${field}`).join(', ')}, ${HEALTH_COLUMNS}`
const FROM = 'from webhooks w join delivery_queues q on q.webhook_id = w.id'
/** Tells every process that what it holds of the registry is old. Part of every statement that changes it. */
const CHANGED = 'changed as (update registry set version = version + 1)'

/** @throws Refusal 'conflict' when another webhook has its name */
export async function insertWebhook(
  db: Queryable,
  sealer: Sealer,
  webhook: Webhook,
  secrets: SigningSecret[],
): Promise<void> {
  const places = FIELDS.map((_, i) => `$${i + 1}`).join(', ')
  const sql = `with queue as (insert into delivery_queues (webhook_id) values ($1)), ${CHANGED}
     insert into webhooks (${FIELDS.join(', ')}, secrets) values (${places}, $${FIELDS.length + 1})`
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

/** SQLSTATE 23505: a unique constraint; the name's is the only one that a request can break. */
function refuseTakenName(error: { code?: unknown }): never {
  if (error.code !== '23505') throw error
  const detail = 'is the name of another webhook'
  throw new Refusal('conflict', `name ${detail}`, { errors: [{ path: '/name', detail }], cause: error })
}

/** Its delivery queue stays until what waited for it is dropped. */
export async function deleteWebhook(db: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await db.query(`with ${CHANGED} delete from webhooks where id = $1`, [id])
  return rowCount === 1
}

export async function findWebhook(db: Queryable, sealer: Sealer, id: string): Promise<Webhook | undefined> {
  const { rows } = await db.query<WebhookRow>(`select ${COLUMNS} ${FROM} where w.id = $1`, [id])
  return rows[0] && webhookOf(sealer, rows[0])
}

/** The webhook, locked until the transaction ends: a change is made on what is there, not on what was read before. */
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
    ['w.id < ?', cursor],
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

/** Every webhook, whatever its status, with what an attempt needs. */
export async function listTargets(db: Queryable, sealer: Sealer): Promise<Target[]> {
  const { rows } = await db.query<WebhookRow & { secrets: Buffer }>(
    `select ${COLUMNS}, w.secrets ${FROM} order by w.id`,
  )
  return rows.map((row) => targetOf(sealer, row))
}

/** One webhook, whatever its status, with what an attempt needs. */
export async function findTarget(db: Queryable, sealer: Sealer, id: string): Promise<Target | undefined> {
  const { rows } = await db.query<WebhookRow & { secrets: Buffer }>(
    `select ${COLUMNS}, w.secrets ${FROM} where w.id = $1`,
    [id],
  )
  return rows[0] && targetOf(sealer, rows[0])
}

/** How many changes the registry has seen, and how many the health of its webhooks. */
export interface RegistryVersion {
  version: bigint
  health: bigint
}

export async function readRegistryVersion(db: Queryable): Promise<RegistryVersion> {
  const { rows } = await db.query<RegistryVersion>('select version, health_version as health from registry')
  return rows[0]!
}

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

function valuesOf(sealer: Sealer, webhook: Webhook): unknown[] {
  return [
    webhook.id,
    webhook.url,
    webhook.name,
    webhook.description,
    webhook.status,
    webhook.disabled_reason,
    webhook.event_types,
    webhook.topics,
    webhook.filter === null ? null : stringifyJson(webhook.filter),
    webhook.format,
    sealPrivate(sealer, webhook),
    webhook.signing,
    webhook.once === null ? null : JSON.stringify(webhook.once),
    webhook.timeout_ms,
    webhook.retry_schedule_s,
    webhook.max_in_flight,
    webhook.rate_per_second,
    webhook.order,
    webhook.coalesce,
    new Date(webhook.created_at),
    new Date(webhook.updated_at),
  ]
}

function webhookOf(sealer: Sealer, row: WebhookRow): Webhook {
  return {
    id: row.id,
    url: row.url,
    name: row.name,
    description: row.description,
    status: row.status,
    disabled_reason: row.disabled_reason,
    event_types: row.event_types,
    topics: row.topics,
    filter: row.filter === null ? null : (parseJson(row.filter) as JsonObject),
    format: row.format,
    ...openPrivate(sealer, row),
    signing: row.signing,
    once: row.once === null ? null : (JSON.parse(row.once) as Once),
    timeout_ms: row.timeout_ms,
    retry_schedule_s: row.retry_schedule_s,
    max_in_flight: row.max_in_flight,
    rate_per_second: row.rate_per_second,
    order: row.order,
    coalesce: row.coalesce,
    ...healthFields(healthOf(row)),
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  }
}

function targetOf(sealer: Sealer, row: WebhookRow & { secrets: Buffer }): Target {
  const webhook = webhookOf(sealer, row)
  return {
    ...webhook,
    secrets: openSecrets(sealer, row.id, row.secrets),
    policy: webhook.filter === null ? undefined : parseFilterPolicy(webhook.filter),
    state: healthOf(row),
  }
}

/** Null where there is nothing to hide. */
function sealPrivate(sealer: Sealer, { id, format_options: options, headers, auth, tls }: Webhook): Buffer | null {
  const fields = JSON.stringify({ format_options: options, headers, auth, tls } satisfies PrivateFields)
  return fields === JSON.stringify(NOTHING_PRIVATE) ? null : sealer.seal(fields, privateName(id))
}

function openPrivate(sealer: Sealer, { id, private: sealed }: WebhookRow): PrivateFields {
  if (sealed === null) return NOTHING_PRIVATE
  return { ...NOTHING_PRIVATE, ...(JSON.parse(sealer.open(sealed, privateName(id))) as PrivateFields) }
}

/** Bound to the row and the column: what is sealed opens nowhere else. */
function privateName(id: string): string {
  return `${id}:private`
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
