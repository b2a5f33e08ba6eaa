/**
 * The lease of one delivery queue, as the process that holds it keeps it.
 *
 * Guarantee: its age is counted from before the statement that set it, so this process takes a lease for expired no later
 * than the database does.
 */
import type { Health } from '../circuit/health.js'
import type { Queryable } from '../platform/database.js'
import { sealsLate } from '../webhook/alert-changes.js'
import { rateOf, type Target } from '../webhook/webhook.js'
import { acquireLease, releaseLease, renewLease } from './delivery-queue-store.js'

/** A lease is valid for at least this long. */
const LEASE_MS = 15_000
/** It is renewed well before it expires. */
const RENEW_AFTER_MS = 5_000
/** An attempt is over within its timeout and this long: the wait for its slot, its body, its connection. */
const ATTEMPT_MARGIN_MS = 3_000

export interface QueueLease {
  /** The webhook's health at the last renewal. */
  readonly health: Health
  /** With a rate, at the last renewal: no attempt before this time. */
  readonly nextSendAt: Date | null
  /** True when it is to be renewed. */
  isDue(): boolean
  /** True when another process may have taken it: no attempt may start. */
  mayHaveExpired(): boolean
  /** Renewals are valid for as long as this webhook's limits need from now on. */
  adjustTo(target: Target): void
  /** @returns false when another process holds the lease */
  renew(nextSendAt: Date | null): Promise<boolean>
  /** @returns false when it is still held: the delivery queue was woken since it was last looked at */
  release(nextSendAt: Date | null): Promise<boolean>
}

/** @returns undefined when another process holds the lease, or when there is no such delivery queue */
export async function takeQueueLease(
  { database, holder }: { database: Queryable; holder: string },
  webhookId: string,
  target: Target | undefined,
): Promise<QueueLease | undefined> {
  let leaseMs = leaseMsFor(target)
  let renewedMs = performance.now()
  const acquired = await acquireLease(database, webhookId, holder, leaseMs)
  if (!acquired) return undefined
  let lease = acquired
  const ageMs = () => performance.now() - renewedMs
  return {
    get health() {
      return lease.health
    },
    get nextSendAt() {
      return lease.nextSendAt
    },
    isDue: () => ageMs() > RENEW_AFTER_MS,
    mayHaveExpired: () => ageMs() > LEASE_MS,
    adjustTo(target) {
      leaseMs = leaseMsFor(target)
    },
    async renew(nextSendAt) {
      const startedMs = performance.now()
      const renewed = await renewLease(database, webhookId, holder, { leaseMs, nextSendAt })
      renewedMs = renewed ? startedMs : -Infinity
      lease = renewed ?? lease
      return renewed !== undefined
    },
    async release(nextSendAt) {
      const kept = await releaseLease(database, webhookId, holder, { leaseMs, nextSendAt })
      lease = kept ?? lease
      return kept === undefined
    },
  }
}

/** Where attempts must not overlap with another holder's, the lease outlives the last attempt that was started under it. */
function leaseMsFor(target: Target | undefined): number {
  if (!target) return LEASE_MS
  const isLimited = target.max_in_flight !== null || rateOf(target) !== null
  const isExclusive = isLimited || target.order === 'alert' || sealsLate(target)
  return isExclusive ? LEASE_MS + target.timeout_ms + ATTEMPT_MARGIN_MS : LEASE_MS
}
