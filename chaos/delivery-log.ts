/**
 * The deliveries that one receiver got, and what they show: losses, duplicates, wrong order. Pure.
 *
 * Guarantee: an event counts as received only when its signature was verified and the receiver answered 2xx.
 */

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

/** An accepted message: its event, and the value that only this change brought; null when it is not an alert change. */
export interface Expected {
  eventId: string
  value: string | null
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
}

export interface DeliveryLog {
  /** A delivery has arrived, and is not answered yet. */
  arrive(delivery: Delivery): void
  /** It is about to be answered 2xx. */
  accept(delivery: Delivery): void
  /** A request failed verification. */
  reject(): void
  summarize(expected: readonly Expected[]): Summary
}

const MAX_EXAMPLES = 3

/** @param options.coalesced true when a delivery may carry several changes: then every value must arrive, not every event */
export function createDeliveryLog({ coalesced }: { coalesced: boolean }): DeliveryLog {
  const arrived = new Set<string>()
  /** The number of changes that each accepted event carries. */
  const accepted = new Map<string, number>()
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
      if (accepted.has(eventId)) duplicates++
      accepted.set(eventId, changes)
      for (const value of values) {
        if (!origins.has(value)) origins.set(value, eventId)
        else if (origins.get(value) !== eventId) repeated.add(value)
      }
      if (alertId !== null) alerts.get(alertId)?.open.delete(eventId)
    },
    reject: () => void unverified++,
    summarize(expected) {
      const missing = expected.filter((event) => !isReceived(event))
      return {
        received: accepted.size,
        missing: missing.length,
        missingIds: missing.slice(0, MAX_EXAMPLES).map(({ eventId }) => eventId),
        duplicates,
        unverified,
        disordered,
        misplaced: coalesced ? 0 : expected.filter(isMisplaced).length,
        changes: [...accepted.values()].reduce((sum, changes) => sum + changes, 0),
      }
    },
  }
}
