/**
 * The package's exports: types for receivers and for clients of the API. No code: `import type` them.
 *
 * Guarantee: each type is derived from the schema that validates or documents the same data in the service.
 *
 * A receiver distinguishes events by a key that only they have, or by their type:
 * @example
 * import type { EventOf, ReceivedEvent } from 'alert-relay'
 *
 * const isOf = <T extends ReceivedEvent['relay']['type']>(event: ReceivedEvent, ...types: T[]): event is EventOf<T> =>
 *   (types as string[]).includes(event.relay.type)
 *
 * const event = JSON.parse(body) as ReceivedEvent // after its signature was verified
 * if ('webhook' in event) console.warn(event.relay.type, event.webhook.last_failure)
 * else if (isOf(event, 'alert.created', 'alert.updated')) console.log(event.updated_alert.title, event.context_diff)
 */
import type { Static } from 'typebox'
import type { AlertWithContext as AlertWithContextSchema } from './core/alert/alert.js'
import type { RuleMatch as RuleMatchSchema } from './core/alert/rule-match.js'

// bodies in the format `change`
export type {
  AlertChange,
  DeadDeliveriesNotice,
  EventOf,
  ReceivedEvent,
  ReceivedIndicator,
  SnsNotification,
  TestChange,
  UpdatedAlert,
  WebhookNotice,
} from './core/format/body-schema.js'

// the API's resources
export type { Alert } from './core/alert/alert.js'
export type { AttemptRecord as Attempt, Delivery, DeliveryWithAttempts } from './core/delivery/delivery.js'
export type { Recovery, RecoveryRequest } from './core/delivery/recovery.js'
export type { EventSummary, EventType } from './core/event/event.js'
export type { Page } from './core/platform/page.js'
export type { Topic } from './core/sns/topic.js'
export type { OwnSource as Source, SourceCreate } from './core/source/own-source.js'
export type { Once } from './core/indicator/once.js'
export type { WebhookCreate, WebhookPatch, WebhookView as Webhook } from './core/webhook/webhook.js'
export type { Problem } from './routes/problems.js'

/** An alert with every value ever seen in it. */
export type AlertWithContext = Static<typeof AlertWithContextSchema>

/** A rule match in a request: fields with defaults may be left out. */
export type RuleMatch = Static<typeof RuleMatchSchema>
