/** Identifiers: a prefix for the kind, and a UUIDv7 (RFC 9562) in hex, so that ids sort by creation time. */
import { uuidv7obj } from 'uuidv7'

export type IdPrefix = 'wh' | 'evt' | 'dlv' | 'att' | 'rec' | 'key' | 'aud' | 'req' | 'src'

/** A new id such as `evt_0192f3c8a7e07c1f8f0a5d2b9c3e4f10`; later ids of one process are greater. */
export function newId(prefix: IdPrefix): string {
  return `${prefix}_${uuidv7obj().toHex()}`
}

/** Matches what `idPattern` returns; the group is the prefix. */
export const ID_PATTERN = /^\^(\w+)_\[0-9a-f\]\{32\}\$$/

/** The pattern of ids of a kind, for request schemas. */
export function idPattern(prefix: IdPrefix): string {
  return `^${prefix}_[0-9a-f]{32}$`
}
