/**
 * A webhook: a registered destination.
 *
 * Promise: what this schema takes can be delivered to; what it refuses names its field. Secrets are no part of a webhook:
 * they are shown when it is made and at /secret, nowhere else.
 */
import { Type, type Static } from 'typebox'
import { EVENT_TYPES } from '../event/event.js'
import { parseTopicArn } from '../event/topic-pattern.js'
import { TOPIC_PATTERN } from '../platform/config.js'
import { Refusal } from '../platform/errors.js'
import { idPattern } from '../platform/id.js'
import { nullableText, oneOf, Time } from '../platform/schema.js'
import { Once } from './once.js'

const url = Type.String({
  minLength: 1,
  maxLength: 2048,
  description:
    'Where changes go: an http or https URL without credentials and fragment, or the ARN of an SNS topic to publish to.',
})
const description = Type.String({ maxLength: 500, pattern: '^[^\\u0000]*$', description: 'For people.' })
const status = oneOf(['enabled', 'disabled'], {
  description: 'A disabled webhook gets no new events; its waiting retries are held until it is enabled again.',
})
const eventTypes = Type.Array(oneOf(EVENT_TYPES), {
  uniqueItems: true,
  description: 'The types it wants; empty: all.',
})
const topics = Type.Array(Type.String({ maxLength: 400, pattern: TOPIC_PATTERN.source }), {
  maxItems: 100,
  uniqueItems: true,
  description: 'The topics it wants, ARNs with `*` allowed inside a part; empty: all.',
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

/** What makes a webhook. */
export const WebhookCreate = Type.Object(
  {
    url,
    description: Type.Optional({ ...description, default: '' }),
    status: Type.Optional({ ...status, default: 'enabled' }),
    event_types: Type.Optional({ ...eventTypes, default: [] }),
    topics: Type.Optional({ ...topics, default: [] }),
    once: Type.Optional({ ...once, default: null }),
    timeout_ms: Type.Optional({ ...timeoutMs, default: 15000 }),
    retry_schedule_s: Type.Optional({ ...retrySchedule, default: null }),
  },
  {
    additionalProperties: false,
    examples: [{ url: 'https://soar.example.com/hooks/alerts', event_types: ['alert.created', 'alert.updated'] }],
  },
)
export type WebhookCreate = Static<typeof WebhookCreate>

/** What changes a webhook: any of the fields. */
export const WebhookPatch = Type.Object(
  {
    url: Type.Optional(url),
    description: Type.Optional(description),
    status: Type.Optional(status),
    event_types: Type.Optional(eventTypes),
    topics: Type.Optional(topics),
    once: Type.Optional(once),
    timeout_ms: Type.Optional(timeoutMs),
    retry_schedule_s: Type.Optional(retrySchedule),
  },
  { additionalProperties: false, minProperties: 1, examples: [{ status: 'disabled' }] },
)
export type WebhookPatch = Static<typeof WebhookPatch>

/** A webhook as the API shows it. */
export const Webhook = Type.Object(
  {
    id: Type.String({ pattern: idPattern('wh') }),
    url,
    description,
    status,
    disabled_reason: nullableText('Why it is disabled; null when enabled.'),
    event_types: eventTypes,
    topics,
    once,
    timeout_ms: timeoutMs,
    retry_schedule_s: retrySchedule,
    created_at: Time,
    updated_at: Time,
  },
  { $id: 'Webhook' },
)
export type Webhook = Static<typeof Webhook>

/** One signing secret; the first of a webhook's list is current, others are on their way out. */
export interface SigningSecret {
  secret: string
  /** When it stops signing; null: not before it is rotated. */
  expiresAt: Date | null
}

/** An enabled webhook with what an attempt needs. */
export interface Target extends Webhook {
  secrets: SigningSecret[]
}

/** How long the secret before still signs after a rotation, in milliseconds: receivers change theirs within a day. */
const ROTATION_OVERLAP_MS = 24 * 3600 * 1000

/** The secrets after a rotation: the new one, and the one before it for a while. Older ones stop at once. */
export function rotateSecrets(secrets: readonly SigningSecret[], secret: string, now: Date): SigningSecret[] {
  const [current] = secrets
  const rotated: SigningSecret[] = [{ secret, expiresAt: null }]
  if (current) rotated.push({ secret: current.secret, expiresAt: new Date(now.getTime() + ROTATION_OVERLAP_MS) })
  return rotated
}

/** The secrets that sign at `now`, the current one first. */
export function liveSecrets(secrets: readonly SigningSecret[], now: Date): string[] {
  return secrets.filter(({ expiresAt }) => expiresAt === null || expiresAt > now).map(({ secret }) => secret)
}

/** True for a webhook that publishes to an SNS topic. */
export function isTopicUrl(url: string): boolean {
  return url.startsWith('arn:')
}

/**
 * Checks a webhook URL beyond its length: absolute, http or https, no credentials (they would be logged and listed), no
 * fragment (it never reaches a server); or the ARN of a topic. Where it leads is checked at each connection, when its
 * name is resolved.
 * @throws Refusal 'invalid_request' naming the field
 */
export function checkWebhookUrl(text: string): void {
  const problem = isTopicUrl(text) ? topicArnProblem(text) : webhookUrlProblem(text)
  if (problem !== undefined) throw wrongUrl(problem)
}

/** The refusal of a URL. */
export function wrongUrl(detail: string): Refusal {
  return new Refusal('invalid_request', `url ${detail}`, { errors: [{ path: '/url', detail }] })
}

function topicArnProblem(text: string): string | undefined {
  return parseTopicArn(text)
    ? undefined
    : 'is no ARN of an SNS topic, such as arn:aws:sns:us-east-1:123456789012:changes'
}

function webhookUrlProblem(text: string): string | undefined {
  if (!URL.canParse(text)) return 'must be an absolute URL such as https://example.com/hook'
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'must start with https:// or http://'
  if (url.username || url.password) return 'must not carry credentials'
  if (url.hash) return 'must not have a fragment (#...)'
  return undefined
}
