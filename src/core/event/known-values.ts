/**
 * A cache of values that are known to be stored with their alert, so that they are not sent to the database again: most
 * values of a change were in an earlier one.
 *
 * Guarantee: a value counts as known only after a change of its alert with this value was committed. The relay never
 * deletes an alert's values; a deletion by hand is detected by the alert's sequence.
 */
import type { ContextValues } from '../alert/context.js'

/** Of all alerts together: about 30 MiB, since an identity is a text of about 100 characters. */
const MAX_VALUES = 200_000

interface Known {
  /** The sequence of the latest change that this process stored. */
  sequence: bigint
  identities: Set<string>
}

export interface KnownValues {
  /** The values that are not known. */
  unknown(alertId: string, values: ContextValues): ContextValues
  /**
   * Records that a change with these values was committed.
   * @returns false when its sequence is not higher than the last one: the alert was deleted, and its values are
   *   forgotten
   */
  learn(alertId: string, sequence: bigint, values: ContextValues): boolean
  /** Forgets everything: after an error it is not known what was committed. */
  clear(): void
}

export function createKnownValues(): KnownValues {
  /** In the order of their latest change, the oldest first. */
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
        if (count <= MAX_VALUES) break
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
