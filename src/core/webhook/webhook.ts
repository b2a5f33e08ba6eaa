/**
 * A webhook: a registered destination. Its schemas and types; webhook-check.ts checks what schemas cannot express.
 *
 * Guarantee: signing secrets are not part of a `Webhook`, and its private fields have a type of their own, so that neither
 * is sent in an answer by mistake.
 */
import { Type, type Static } from 'typebox'
import { EVENT_TYPES } from '../event/event.js'
import { idPattern } from '../platform/id.js'
import type { JsonObject } from '../platform/json.js'
import { oneOf, Time } from '../platform/schema.js'
import { TopicPatterns } from '../platform/topic-pattern.js'
import { Coalesce, OnlyNew } from './alert-changes.js'
import { Auth, Headers, Tls, type Credentials } from './credentials.js'
import type { FilterPolicy } from '../filter/policy.js'
import { FORMATS } from '../format/format-names.js'
import { FormatOptions } from '../format/options.js'
import type { Health } from '../circuit/health.js'
import { HealthReport } from '../circuit/health-report.js'
import { Once } from '../indicator/once.js'
import { Success, type SuccessCondition } from './success.js'

const { name, description, status } = HealthReport.properties

const url = Type.String({
  minLength: 1,
  maxLength: 2048,
  description:
    'Where changes go: an http or https URL without credentials and fragment, or the ARN of an SNS topic to publish to. Its path ' +
    'and query may be a secret: it is shown as `https://hooks.slack.com/...a1b2`; sent back so, it stays as it is.',
})
const eventTypes = Type.Array(oneOf(EVENT_TYPES), {
  uniqueItems: true,
  description:
    'The types it wants; empty: all of alerts and SNS. Notices (`webhook.*`) are sent only to webhooks that name them.',
})
const topics = TopicPatterns('The topics it wants')
const filter = Type.Unsafe<JsonObject | null>({
  type: ['object', 'null'],
  additionalProperties: true,
  description:
    'A filter policy over the body in the format `change`, as of SNS (payload-based) or an EventBridge pattern. A dotted key ' +
    'is its names: `context_diff.source.ip`. `exists` of an object asks for a value in it. Null or `{}`: all.',
  examples: [{ updated_alert: { severity: ['high', 'critical'] } }],
})
const format = oneOf(FORMATS, {
  description: 'The shape in which it receives an event; change: the message with everything known of its alert.',
})
const signing = oneOf(['hmac', 'ed25519'], {
  description: 'Standard Webhooks: a shared secret (v1), or a key pair (v1a) whose public half is at /public-key.',
})
const once = Type.Union([Once, Type.Null()], { description: 'Null: every event that it selects.' })
const timeoutMs = Type.Integer({
  minimum: 1000,
  maximum: 30000,
  description: 'How long one attempt may take in all, in milliseconds.',
})

const retrySchedule = Type.Unsafe<number[] | null>({
  type: ['array', 'null'],
  items: { type: 'integer', minimum: 1, maximum: 604_800 },
  minItems: 1,
  maxItems: 30,
  description:
    'Seconds before the second, third, ... attempt; null: the standard schedule of ten attempts over three days.',
})

const maxInFlight = Type.Unsafe<number | null>({
  type: ['integer', 'null'],
  minimum: 1,
  maximum: 10_000,
  description:
    'At most so many attempts at once, over all processes; null: as many as the receiver takes without slowing down, up to some thousand.',
})
const ratePerSecond = Type.Unsafe<number | null>({
  type: ['number', 'null'],
  minimum: 0.01,
  maximum: 1000,
  description:
    'At most so many attempts a second, evenly spaced, over all processes; null: no limit, or 1 with the format `slack`.',
})
/** As large as the default of common proxies. */
export const DEFAULT_MAX_BODY_BYTES = 1_048_576
const maxBodyBytes = Type.Integer({
  minimum: 4096,
  maximum: 67_108_864,
  description:
    'A larger body is cut: first to what was new, then to counts; `relay.cut` says so. After a 413 the next attempt is cut.',
})
const order = oneOf(['none', 'alert'], {
  description:
    'With "alert" the changes of one alert arrive one at a time, in sequence: each waits until the one before it succeeded ' +
    'or is dead.',
})
/** The request that makes a webhook. */
export const WebhookCreate = Type.Object(
  {
    url,
    name: Type.Optional({ ...name, default: null }),
    description: Type.Optional({ ...description, default: '' }),
    status: Type.Optional({ ...status, default: 'enabled' }),
    event_types: Type.Optional({ ...eventTypes, default: [] }),
    topics: Type.Optional({ ...topics, default: [] }),
    filter: Type.Optional({ ...filter, default: null }),
    format: Type.Optional({ ...format, default: 'change' }),
    format_options: Type.Optional({ ...FormatOptions, default: {} }),
    headers: Type.Optional({ ...Headers, default: {} }),
    auth: Type.Optional({ ...Auth, default: null }),
    tls: Type.Optional({ ...Tls, default: null }),
    signing: Type.Optional({ ...signing, default: 'hmac' }),
    secret: Type.Optional(
      Type.String({
        maxLength: 120,
        description: 'A signing secret of your own: `whsec_` and 24 to 64 bytes in base64.',
      }),
    ),
    once: Type.Optional({ ...once, default: null }),
    timeout_ms: Type.Optional({ ...timeoutMs, default: 15000 }),
    success: Type.Optional({ ...Success, default: null }),
    retry_schedule_s: Type.Optional({ ...retrySchedule, default: null }),
    max_in_flight: Type.Optional({ ...maxInFlight, default: null }),
    rate_per_second: Type.Optional({ ...ratePerSecond, default: null }),
    max_body_bytes: Type.Optional({ ...maxBodyBytes, default: DEFAULT_MAX_BODY_BYTES }),
    order: Type.Optional({ ...order, default: 'none' }),
    coalesce: Type.Optional({ ...Coalesce, default: false }),
    only_new: Type.Optional({ ...OnlyNew, default: false }),
  },
  {
    additionalProperties: false,
    examples: [{ url: 'https://soar.example.com/hooks/alerts', event_types: ['alert.created', 'alert.updated'] }],
  },
)
export type WebhookCreate = Static<typeof WebhookCreate>

/** The request that changes a webhook: any of its fields. */
export const WebhookPatch = Type.Object(
  {
    url: Type.Optional(url),
    name: Type.Optional(name),
    description: Type.Optional(description),
    status: Type.Optional(status),
    event_types: Type.Optional(eventTypes),
    topics: Type.Optional(topics),
    filter: Type.Optional(filter),
    format: Type.Optional(format),
    format_options: Type.Optional(FormatOptions),
    headers: Type.Optional(Headers),
    auth: Type.Optional(Auth),
    tls: Type.Optional(Tls),
    once: Type.Optional(once),
    timeout_ms: Type.Optional(timeoutMs),
    success: Type.Optional(Success),
    retry_schedule_s: Type.Optional(retrySchedule),
    max_in_flight: Type.Optional(maxInFlight),
    rate_per_second: Type.Optional(ratePerSecond),
    max_body_bytes: Type.Optional(maxBodyBytes),
    order: Type.Optional(order),
    coalesce: Type.Optional(Coalesce),
    only_new: Type.Optional(OnlyNew),
  },
  { additionalProperties: false, minProperties: 1, examples: [{ status: 'disabled' }] },
)
export type WebhookPatch = Static<typeof WebhookPatch>

/** A webhook as the API shows it: secrets are masked (`toView`). */
export const WebhookView = Type.Object(
  {
    id: Type.String({ pattern: idPattern('wh') }),
    url,
    name,
    description,
    status,
    disabled_reason: HealthReport.properties.disabled_reason,
    event_types: eventTypes,
    topics,
    filter,
    format,
    format_options: { ...FormatOptions, description: 'The options of the format; secrets are shown as ********.' },
    headers: { ...Headers, description: 'Headers of its own; their values are shown as ********.' },
    auth: Auth,
    tls: Tls,
    signing,
    once,
    timeout_ms: timeoutMs,
    success: Success,
    retry_schedule_s: retrySchedule,
    max_in_flight: maxInFlight,
    rate_per_second: ratePerSecond,
    max_body_bytes: maxBodyBytes,
    order,
    coalesce: Coalesce,
    only_new: OnlyNew,
    health: HealthReport.properties.health,
    failing_since: HealthReport.properties.failing_since,
    last_failure: HealthReport.properties.last_failure,
    created_at: Time,
    updated_at: Time,
  },
  { $id: 'Webhook' },
)
export type WebhookView = Static<typeof WebhookView>

/** A webhook as it is stored. */
export type Webhook = Omit<WebhookView, keyof PrivateFields> & PrivateFields

/** The fields that are sealed at rest. */
export interface PrivateFields extends Credentials {
  format_options: FormatOptions
}
export const NOTHING_PRIVATE: PrivateFields = { format_options: {}, headers: {}, auth: null, tls: null }

/** One signing secret; the first of a webhook's list is the current one, the others expire after a rotation. */
export interface SigningSecret {
  secret: string
  /** When it stops signing; null: it signs until it is rotated. */
  expiresAt: Date | null
}

/** A webhook with what an attempt needs. */
export interface Target extends Webhook {
  secrets: SigningSecret[]
  /** Its filter, compiled. */
  policy: FilterPolicy | undefined
  /** Its condition on a 2xx answer, compiled; undefined: every 2xx is a success. */
  successCondition: SuccessCondition | undefined
  /** Its health when the registry was read. Every change of `state`, and every hold, is read; the count of failures may be old. */
  state: Health
}

/** How long the previous secret still signs after a rotation by default: receivers have a day to change theirs. */
export const ROTATION_OVERLAP_S = 24 * 3600

/** Secrets beside the current one, as many as Svix keeps: each is a signature in every request. */
const MAX_OLD_SECRETS = 5

/**
 * The secrets after a rotation: the new one, the previous one for `overlapS` seconds, and older ones until their time is over. With
 * an overlap of 0 the new one alone.
 */
export function rotateSecrets(
  secrets: readonly SigningSecret[],
  secret: string,
  now: Date,
  overlapS: number,
): SigningSecret[] {
  const rotated = { secret, expiresAt: null }
  if (overlapS === 0) return [rotated]
  const end = new Date(now.getTime() + overlapS * 1000)
  const old = secrets.map((one) => ({ secret: one.secret, expiresAt: one.expiresAt ?? end }))
  return [rotated, ...old.filter(({ expiresAt }) => expiresAt > now).slice(0, MAX_OLD_SECRETS)]
}

/** The secrets that sign at `now`, the current one first. */
export function liveSecrets(secrets: readonly SigningSecret[], now: Date): string[] {
  return secrets.filter(({ expiresAt }) => expiresAt === null || expiresAt > now).map(({ secret }) => secret)
}

/** Slack takes one message a second of an incoming webhook: https://docs.slack.dev/apis/web-api/rate-limits */
const SLACK_PER_SECOND = 1

/** The most attempts a second that a webhook allows: its own limit, or its format's; null: no limit. */
export function rateOf({ format, rate_per_second: own }: Pick<Webhook, 'format' | 'rate_per_second'>): number | null {
  return own ?? (format === 'slack' ? SLACK_PER_SECOND : null)
}

/** True for a webhook that publishes to an SNS topic. */
export function isTopicUrl(url: string): boolean {
  return url.startsWith('arn:')
}
