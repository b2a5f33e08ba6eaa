/**
 * A webhook as a row of the table `webhooks`, and back.
 *
 * Guarantee: secrets and the URL are sealed in a row, each bound to the row's id and its column: moved elsewhere, it does not open.
 */
import { healthFields } from '../circuit/health-report.js'
import { healthOf, type HealthRow } from '../circuit/health-store.js'
import { parseFilterPolicy } from '../filter/policy.js'
import type { Once } from '../indicator/once.js'
import { parseJson, stringifyJson, type Json, type JsonObject } from '../platform/json.js'
import type { Sealer } from '../platform/secrets.js'
import { maskUrl } from '../platform/url-mask.js'
import { successConditionOf, type Success } from './success.js'
import { NOTHING_PRIVATE, type PrivateFields, type SigningSecret, type Target, type Webhook } from './webhook.js'

export interface WebhookRow extends HealthRow {
  id: string
  /** As it is shown; whole in a row of an older version. */
  url: string
  /** Null in a row of an older version. */
  sealed_url: Buffer | null
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
  success: string | null
  retry_schedule_s: number[] | null
  max_in_flight: number | null
  rate_per_second: number | null
  max_body_bytes: number
  order: Webhook['order']
  coalesce: boolean
  coalesce_every: string | null
  only_new: boolean
  created_at: Date
  updated_at: Date
}

export type TargetRow = WebhookRow & { secrets: Buffer }

/** The columns of a webhook but its signing secrets, in the order of `valuesOf`. */
export const FIELDS = [
  'id',
  'url',
  'sealed_url',
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
  'success',
  'retry_schedule_s',
  'max_in_flight',
  'rate_per_second',
  'max_body_bytes',
  '"order"',
  '"coalesce"',
  'coalesce_every',
  'only_new',
  'created_at',
  'updated_at',
]

/** The values of `FIELDS`. */
export function valuesOf(sealer: Sealer, webhook: Webhook): unknown[] {
  return [
    webhook.id,
    maskUrl(webhook.url),
    sealUrl(sealer, webhook),
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
    webhook.success === null ? null : stringifyJson(webhook.success as Json),
    webhook.retry_schedule_s,
    webhook.max_in_flight,
    webhook.rate_per_second,
    webhook.max_body_bytes,
    webhook.order,
    webhook.coalesce !== false,
    typeof webhook.coalesce === 'object' ? webhook.coalesce.every : null,
    webhook.only_new,
    new Date(webhook.created_at),
    new Date(webhook.updated_at),
  ]
}

export function webhookOf(sealer: Sealer, row: WebhookRow): Webhook {
  return {
    id: row.id,
    url: openUrl(sealer, row),
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
    success: row.success === null ? null : (parseJson(row.success) as Success),
    retry_schedule_s: row.retry_schedule_s,
    max_in_flight: row.max_in_flight,
    rate_per_second: row.rate_per_second,
    max_body_bytes: row.max_body_bytes,
    order: row.order,
    coalesce: row.coalesce && row.coalesce_every !== null ? { every: row.coalesce_every } : row.coalesce,
    only_new: row.only_new,
    ...healthFields(healthOf(row)),
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  }
}

export function targetOf(sealer: Sealer, row: TargetRow): Target {
  const webhook = webhookOf(sealer, row)
  return {
    ...webhook,
    secrets: openSecrets(sealer, row.id, row.secrets),
    policy: webhook.filter === null ? undefined : parseFilterPolicy(webhook.filter),
    successCondition: successConditionOf(webhook),
    state: healthOf(row),
  }
}

/** Null when no private field is set. */
function sealPrivate(sealer: Sealer, { id, format_options: options, headers, auth, tls }: Webhook): Buffer | null {
  const fields = JSON.stringify({ format_options: options, headers, auth, tls } satisfies PrivateFields)
  return fields === JSON.stringify(NOTHING_PRIVATE) ? null : sealer.seal(fields, privateName(id))
}

function openPrivate(sealer: Sealer, { id, private: sealed }: WebhookRow): PrivateFields {
  if (sealed === null) return NOTHING_PRIVATE
  return { ...NOTHING_PRIVATE, ...(JSON.parse(sealer.open(sealed, privateName(id))) as PrivateFields) }
}

export function sealUrl(sealer: Sealer, { id, url }: Pick<Webhook, 'id' | 'url'>): Buffer {
  return sealer.seal(url, urlName(id))
}

function openUrl(sealer: Sealer, { id, url, sealed_url: sealed }: WebhookRow): string {
  return sealed === null ? url : sealer.open(sealed, urlName(id))
}

/** The context that a URL is sealed with: the row and the column. */
function urlName(id: string): string {
  return `${id}:url`
}

/** The context that private fields are sealed with: the row and the column. */
function privateName(id: string): string {
  return `${id}:private`
}

/** Sealed with the row's id as context. */
export function sealSecrets(sealer: Sealer, id: string, secrets: SigningSecret[]): Buffer {
  return sealer.seal(JSON.stringify(secrets), id)
}

function openSecrets(sealer: Sealer, id: string, sealed: Buffer): SigningSecret[] {
  const secrets = JSON.parse(sealer.open(sealed, id)) as { secret: string; expiresAt: string | null }[]
  return secrets.map(({ secret, expiresAt }) => ({
    secret,
    expiresAt: expiresAt === null ? null : new Date(expiresAt),
  }))
}
