/**
 * The deliveries that one receiver got, and what they show: losses, duplicates, wrong order, delays. Pure.
 *
 * Guarantee: an event counts as received only when its signature was verified and the receiver answered 2xx.
 */
import { latenessOf, type Interval } from './lateness.js'

/** A verified delivery. */
export interface Delivery {
  eventId: string
  /** Null for an event that is not an alert change. */
  alertId: string | null
  sequence: number | null
  /** The values in its `context_diff` that the flow's messages brought. */
  values: string[]
  /** How many changes it carries: `relay.changes`, or 1. */
  changes: number
}

/** An accepted message. */
export interface Expected {
  eventId: string
  /** The value that only this change brought; null when it is not an alert change. */
  value: string | null
  /** Milliseconds since 1970. */
  acceptedMs: number
}

export interface Summary {
  /** Distinct events received. */
  received: number
  /** Events expected and not received: how many, and some of them. */
  missing: number
  missingIds: string[]
  /** Deliveries after the first one of an event. */
  duplicates: number
  unverified: number
  /** Events that arrived before an earlier one of their alert, or while an earlier one was not yet accepted. */
  disordered: number
  /** Changes whose value was new in another event, or in none. */
  misplaced: number
  /** Changes carried by all deliveries. */
  changes: number
  /** The greatest lateness, in milliseconds, of the events that came and whose body the receiver never refused; and its event. */
  latestMs: number
  latestId: string | undefined
}

export interface DeliveryLog {
  /** A delivery has arrived, and is not answered yet. */
  arrive(delivery: Delivery): void
  /** It is about to be answered 2xx. */
  accept(delivery: Delivery): void
  /** Its body is about to be refused. */
  refuse(delivery: Delivery): void
  /** A request failed verification. */
  reject(): void
  summarize(expected: readonly Expected[], faults: readonly Interval[]): Summary
}

const MAX_EXAMPLES = 3

interface DeliveryLogOptions {
  /** True when a delivery may carry several changes: then every value must arrive, not every event. */
  coalesced: boolean
  /** Milliseconds since 1970. */
  now?: () => number
}

export function createDeliveryLog({ coalesced, now = Date.now }: DeliveryLogOptions): DeliveryLog {
  const arrived = new Set<string>()
  /** The number of changes that each accepted event carries, and when it was accepted first. */
  const accepted = new Map<string, { changes: number; receivedMs: number }>()
  const refused = new Set<string>()
  /** The event in which each value was new first; and the values that were new in a second event. */
  const origins = new Map<string, string>()
  const repeated = new Set<string>()
  const alerts = new Map<string, { highest: number; open: Set<string> }>()
  let duplicates = 0
  let unverified = 0
  let disordered = 0

  const isReceived = ({ eventId, value }: Expected) =>
    coalesced && value !== null ? origins.has(value) : accepted.has(eventId)
  const isMisplaced = ({ eventId, value }: Expected) =>
    value !== null && accepted.has(eventId) && (origins.get(value) !== eventId || repeated.has(value))

  const latestOf = (expected: readonly Expected[], faults: readonly Interval[]) => {
    let latest: Pick<Summary, 'latestMs' | 'latestId'> = { latestMs: 0, latestId: undefined }
    for (const { eventId, acceptedMs } of expected) {
      const { receivedMs } = accepted.get(eventId) ?? {}
      if (receivedMs === undefined || refused.has(eventId)) continue
      const latestMs = latenessOf({ acceptedMs, receivedMs }, faults)
      if (latestMs > latest.latestMs) latest = { latestMs, latestId: eventId }
    }
    return latest
  }

  return {
    arrive({ eventId, alertId, sequence }) {
      if (arrived.has(eventId)) return
      arrived.add(eventId)
      if (alertId === null || sequence === null) return
      const alert = alerts.get(alertId) ?? { highest: 0, open: new Set<string>() }
      alerts.set(alertId, alert)
      if (sequence < alert.highest || alert.open.size > 0) disordered++
      alert.highest = Math.max(alert.highest, sequence)
      alert.open.add(eventId)
    },
    accept({ eventId, alertId, values, changes }) {
      const earlier = accepted.get(eventId)
      if (earlier) duplicates++
      accepted.set(eventId, { changes, receivedMs: earlier?.receivedMs ?? now() })
      for (const value of values) {
        if (!origins.has(value)) origins.set(value, eventId)
        else if (origins.get(value) !== eventId) repeated.add(value)
      }
      if (alertId !== null) alerts.get(alertId)?.open.delete(eventId)
    },
    refuse: ({ eventId }) => void refused.add(eventId),
    reject: () => void unverified++,
    summarize(expected, faults) {
      const missing = expected.filter((event) => !isReceived(event))
      return {
        received: accepted.size,
        missing: missing.length,
        missingIds: missing.slice(0, MAX_EXAMPLES).map(({ eventId }) => eventId),
        duplicates,
        unverified,
        disordered,
        misplaced: coalesced ? 0 : expected.filter(isMisplaced).length,
        changes: [...accepted.values()].reduce((sum, { changes }) => sum + changes, 0),
        ...latestOf(expected, faults),
      }
    },
  }
}
