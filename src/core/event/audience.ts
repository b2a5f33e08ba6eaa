/** Who may want an event: what nobody does is stored as dispatched, and nobody is woken for it. Types alone. */
import type { StoredEvent } from './event.js'

/** The webhooks as they were at one time. */
export interface Audience {
  /** The version of the registry that it is of: when the database has another, it says nothing. */
  version: bigint
  /** False when no webhook wants the event, whatever is in it. Of a change it need not be known whether it is its alert's first. */
  mayWant(event: Pick<StoredEvent, 'type' | 'topicArn' | 'webhookId'>): boolean
}

/** Where the audience is known from. */
export interface AudienceSource {
  /** The one that was read last; undefined before one was. */
  audience(): Audience | undefined
  /** Reads it anew if it has changed. */
  current(): Promise<unknown>
}
