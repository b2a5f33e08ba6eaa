/**
 * The webhooks of a run: how the receiver of each behaves, and which of its options are checked.
 *
 * Guarantee: every receiver accepts an event in the end, so that a lost event is never the fault of a receiver.
 */
import type { BehaviourName } from './behaviours.js'

export interface WebhookSpec {
  /** Its name in the table. */
  name: string
  behaviour: BehaviourName
  /** Fields of the webhook that decide what is checked. A relay that does not support them gets the webhook without. */
  options: WebhookOptions
  timeoutMs: number
  /** True: alerts must be on time here, unless their bodies are refused. */
  healthy: boolean
}

export interface WebhookOptions {
  max_in_flight?: number
  rate_per_second?: number
  order?: 'alert'
  coalesce?: true
}

/** Thirty short waits: no delivery is dead before the run is over. */
export const RETRY_SCHEDULE_S: readonly number[] = Array.from({ length: 30 }, () => 3)

const SHORT_MS = 2000
const LONG_MS = 5000

export const WEBHOOKS: readonly WebhookSpec[] = [
  webhook('well 1', 'well', LONG_MS),
  webhook('well 2', 'well', LONG_MS),
  webhook('well 3', 'well', LONG_MS),
  webhook('refuses', 'refuses', LONG_MS),
  webhook('slow', 'slow', SHORT_MS),
  webhook('errors', 'errors', SHORT_MS),
  webhook('resets', 'resets', SHORT_MS),
  webhook('hangs', 'hangs', SHORT_MS),
  webhook('drips', 'drips', SHORT_MS),
  webhook('garbage', 'garbage', SHORT_MS),
  webhook('100 MB', 'huge', SHORT_MS),
  webhook('limited', 'steady', LONG_MS, { max_in_flight: 8, rate_per_second: 100 }),
  webhook('ordered', 'faltering', LONG_MS, { order: 'alert' }),
  webhook('coalesced', 'outages', LONG_MS, { coalesce: true }),
]

function webhook(name: string, behaviour: BehaviourName, timeoutMs: number, options: WebhookOptions = {}): WebhookSpec {
  return { name, behaviour, timeoutMs, options, healthy: behaviour === 'well' || behaviour === 'refuses' }
}
