/**
 * The cast: the webhooks of a run, how the receiver of each behaves, and what is checked of it.
 *
 * Promise: whoever misbehaves takes an event in the end, so that nothing which is lost can be blamed on a receiver.
 */
import type { BehaviourName } from './behaviours.js'

export interface Part {
  /** Names it in the table. */
  name: string
  behaviour: BehaviourName
  /** Fields of the webhook that decide what is checked; a relay that does not know them is asked without. */
  demands: Demands
  timeoutMs: number
}

export interface Demands {
  max_in_flight?: number
  rate_per_second?: number
  order?: 'alert'
  coalesce?: true
}

/** Thirty short slots: whatever happens, a delivery outlives the run. */
export const RETRY_SCHEDULE_S: readonly number[] = Array.from({ length: 30 }, () => 3)

const HASTY_MS = 2000
const PATIENT_MS = 5000

export const CAST: readonly Part[] = [
  part('well 1', 'well', PATIENT_MS),
  part('well 2', 'well', PATIENT_MS),
  part('well 3', 'well', PATIENT_MS),
  part('slow', 'slow', HASTY_MS),
  part('errors', 'errors', HASTY_MS),
  part('resets', 'resets', HASTY_MS),
  part('hangs', 'hangs', HASTY_MS),
  part('drips', 'drips', HASTY_MS),
  part('garbage', 'garbage', HASTY_MS),
  part('100 MB', 'huge', HASTY_MS),
  part('limited', 'steady', PATIENT_MS, { max_in_flight: 4, rate_per_second: 50 }),
  part('ordered', 'faltering', PATIENT_MS, { order: 'alert' }),
  part('coalesced', 'outages', PATIENT_MS, { coalesce: true }),
]

function part(name: string, behaviour: BehaviourName, timeoutMs: number, demands: Demands = {}): Part {
  return { name, behaviour, timeoutMs, demands }
}
