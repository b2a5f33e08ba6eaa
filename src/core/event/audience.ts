/**
 * Whether any webhook may want an event; an event that none wants is stored as dispatched, without a job. Types alone.
 */
import type { StoredEvent } from './event.js'

/** Counts the changes of webhooks, and the changes of their health. */
export interface RegistryVersion {
  version: bigint
  health: bigint
}

/** What the webhooks of one version of the registry want. */
export interface Audience {
  /** The registry's version; when the database has another one, this audience is not used. */
  version: bigint
  /**
   * False when no webhook wants the event, whatever its payload. A change may have the type `alert.updated` even if it
   * turns out to be another of `CHANGE_TYPES`.
   */
  mayWant(event: Pick<StoredEvent, 'type' | 'topicArn' | 'webhookId' | 'unannounced'>): boolean
}

/** The registry, as a source of audiences. */
export interface AudienceSource {
  /** The audience that was read last; undefined before the first read. */
  audience(): Audience | undefined
  /** Reads the registry again if it has changed. */
  current(): Promise<unknown>
}
