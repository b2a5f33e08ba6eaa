/**
 * Values that this process knows to be in an alert's memory, so that they are not sent to the database with every change: most
 * of what a change brings was there before.
 *
 * Promise: a value is left out only when a change of its alert that held it was committed. Values are never taken out of a
 * memory; should somebody have done so by hand, the alert's sequence tells.
 */
import type { ContextValues } from '../alert/context.js'

/** Of all alerts together: some 30 MiB, as a value is known by a text of some 100 characters. */
const MOST_VALUES = 200_000

interface Known {
  /** Of the latest change of the alert that was seen here. */
  sequence: bigint
  identities: Set<string>
}

export interface KnownValues {
  /** Those of the values that are not known. */
  unknown(alertId: string, values: ContextValues): ContextValues
  /**
   * A change that held these values was committed.
   * @returns false when its sequence is not after those seen: what was known of the alert is forgotten
   */
  learn(alertId: string, sequence: bigint, values: ContextValues): boolean
  /** Nothing is known any more: whatever was tried may not have been committed. */
  clear(): void
}

export function createKnownValues(): KnownValues {
  /** The alert whose change was the longest ago comes first. */
  const alerts = new Map<string, Known>()
  let count = 0

  function forget(alertId: string): void {
    count -= alerts.get(alertId)?.identities.size ?? 0
    alerts.delete(alertId)
  }

  return {
    unknown(alertId, values) {
      const known = alerts.get(alertId)?.identities
      if (!known) return values
      return new Map([...values].filter(([identity]) => !known.has(identity)))
    },
    learn(alertId, sequence, values) {
      const known = alerts.get(alertId) ?? { sequence: 0n, identities: new Set<string>() }
      forget(alertId)
      if (sequence <= known.sequence) return false
      for (const identity of values.keys()) known.identities.add(identity)
      alerts.set(alertId, { ...known, sequence })
      count += known.identities.size
      for (const oldest of alerts.keys()) {
        if (count <= MOST_VALUES) break
        forget(oldest)
      }
      return true
    },
    clear() {
      alerts.clear()
      count = 0
    },
  }
}
