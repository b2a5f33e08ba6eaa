/**
 * What one receiver saw, and what that says of the relay. Pure.
 *
 * Promise: an event counts as received when its signature verified and the receiver said 2xx, and not before; how often it
 * came, in which order and what it called new is counted from the same facts.
 */

/** A delivery, verified. */
export interface Arrival {
  eventId: string
  /** Null for what is no alert change. */
  alertId: string | null
  sequence: number | null
  /** The values in its `context_diff` that the flow put there. */
  values: string[]
  /** How many changes it stands for: `relay.changes`, or 1. */
  changes: number
}

/** An accepted message: its event, and the value that only its change brought; null for what is no alert change. */
export interface Expected {
  eventId: string
  value: string | null
}

export interface Tally {
  /** Distinct events received. */
  received: number
  /** Expected and not received: how many, and some of them. */
  missing: number
  missingIds: string[]
  /** Receptions beyond the first of an event. */
  duplicates: number
  unverified: number
  /** Events that overtook another of their alert, or came while one before them was not taken. */
  disordered: number
  /** Changes whose own value another event called new, or none. */
  misplaced: number
  /** Changes that the deliveries say they stand for. */
  changes: number
}

export interface Ledger {
  /** A delivery is here; nothing was answered yet. */
  arrive(arrival: Arrival): void
  /** It is about to be told 2xx. */
  take(arrival: Arrival): void
  refuse(): void
  tally(expected: readonly Expected[]): Tally
}

const EXAMPLES = 3

/** @param options.coalesced deliveries may stand for several changes: what counts is that every value came */
export function createLedger({ coalesced }: { coalesced: boolean }): Ledger {
  const seen = new Set<string>()
  /** Of each event taken, how many changes it stands for. */
  const taken = new Map<string, number>()
  /** Of each value, the event that first called it new; and those that a second event called new again. */
  const origins = new Map<string, string>()
  const doubled = new Set<string>()
  const alerts = new Map<string, { highest: number; open: Set<string> }>()
  let duplicates = 0
  let unverified = 0
  let disordered = 0

  const isCovered = ({ eventId, value }: Expected) =>
    coalesced && value !== null ? origins.has(value) : taken.has(eventId)
  const isMisplaced = ({ eventId, value }: Expected) =>
    value !== null && taken.has(eventId) && (origins.get(value) !== eventId || doubled.has(value))

  return {
    arrive({ eventId, alertId, sequence }) {
      if (seen.has(eventId)) return
      seen.add(eventId)
      if (alertId === null || sequence === null) return
      const alert = alerts.get(alertId) ?? { highest: 0, open: new Set<string>() }
      alerts.set(alertId, alert)
      if (sequence < alert.highest || alert.open.size > 0) disordered++
      alert.highest = Math.max(alert.highest, sequence)
      alert.open.add(eventId)
    },
    take(arrival) {
      const { eventId, alertId, values, changes } = arrival
      if (taken.has(eventId)) duplicates++
      taken.set(eventId, changes)
      for (const value of values) {
        if (!origins.has(value)) origins.set(value, eventId)
        else if (origins.get(value) !== eventId) doubled.add(value)
      }
      if (alertId !== null) alerts.get(alertId)?.open.delete(eventId)
    },
    refuse: () => void unverified++,
    tally(expected) {
      const missing = expected.filter((event) => !isCovered(event))
      return {
        received: taken.size,
        missing: missing.length,
        missingIds: missing.slice(0, EXAMPLES).map(({ eventId }) => eventId),
        duplicates,
        unverified,
        disordered,
        misplaced: coalesced ? 0 : expected.filter(isMisplaced).length,
        changes: [...taken.values()].reduce((sum, changes) => sum + changes, 0),
      }
    },
  }
}
