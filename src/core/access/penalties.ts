/**
 * Addresses that send keys which are not known wait, longer with each one.
 *
 * Guarantee: a key that was accepted lately is never made to wait, so one client's mistakes cost its neighbours behind the same
 * address nothing. Memory is bounded: the addresses that failed longest ago are forgotten first.
 */
import ipaddr from 'ipaddr.js'

export interface Penalties {
  /** @returns how many milliseconds an address still waits, for a request with this key; 0: it may be tried */
  waitMs(address: string, key: string): number
  /** The key was accepted. */
  accepted(key: string): void
  /** The key is not known. */
  refused(address: string): void
}

/** Failures of an address that cost it nothing. */
const FREE = 10
const FIRST_WAIT_MS = 1000
const LONGEST_WAIT_MS = 5 * 60_000
/** An address without a failure for so long begins anew. */
const FORGOTTEN_AFTER_MS = 15 * 60_000
const MAX_ADDRESSES = 10_000
const MAX_KEYS = 1000

/** @param digestOf what is remembered of a key */
export function createPenalties(
  digestOf: (key: string) => string,
  now: () => number = () => performance.now(),
): Penalties {
  const failures = new Map<string, { count: number; at: number }>()
  const accepted = new Set<string>()

  return {
    waitMs(address, key) {
      const failed = failures.get(networkOf(address))
      if (!failed || failed.count < FREE || accepted.has(digestOf(key))) return 0
      return Math.max(0, failed.at + waitAfter(failed.count) - now())
    },
    accepted(key) {
      const digest = digestOf(key)
      accepted.delete(digest)
      accepted.add(digest)
      if (accepted.size > MAX_KEYS) accepted.delete(accepted.values().next().value!)
    },
    refused(address) {
      const network = networkOf(address)
      const before = failures.get(network)
      const count = before && now() - before.at < FORGOTTEN_AFTER_MS ? before.count : 0
      failures.delete(network)
      failures.set(network, { count: count + 1, at: now() })
      if (failures.size > MAX_ADDRESSES) failures.delete(failures.keys().next().value!)
    },
  }
}

function waitAfter(failures: number): number {
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures - FREE))
}

/** Whoever has an IPv6 address has the 64 bits of its network (RFC 6177). */
function networkOf(address: string): string {
  if (!ipaddr.isValid(address)) return address
  const parsed = ipaddr.process(address)
  return parsed.kind() === 'ipv4' ? parsed.toString() : parsed.toByteArray().slice(0, 8).join(':')
}
