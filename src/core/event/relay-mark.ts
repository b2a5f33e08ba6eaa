/**
 * What a body says of the relay that made it: its `relay` object. Pure.
 *
 * Guarantee: `hops` grows by one with every relay that passes a message on, so that a loop through several relays, none of
 * which knows the others' events, comes to an end.
 */
import { Refusal } from '../platform/errors.js'
import { integerOf, isJsonObject, type Json, type JsonObject } from '../platform/json.js'
import { readPayload } from './reading.js'

export interface RelayMark {
  /** The event that the body is of, in the relay that made it. */
  eventId: string
  sequence: bigint | null
  /** True where parts of the body were left out. */
  isCut: boolean
  /** How many relays the message came through before. */
  hops: number
}

/** The highest `hops` of a body: SMTP ends loops in the same way (RFC 5321 section 6.3). */
export const MAX_HOPS = 5

/** A body with the id of an event in it, also within a JSON string; others, nearly all, need no parsing. */
const EVENT_ID = /event_id\\*"\s*:\s*\\*"evt_[0-9a-f]{32}/
const ID = /^evt_[0-9a-f]{32}$/

/** The document of a payload that a relay made, and its mark; undefined for what no relay made. */
export function readMarked(payload: string): { document: JsonObject; mark: RelayMark } | undefined {
  if (!EVENT_ID.test(payload)) return undefined
  const document = onlyEntry(readPayload(payload).document)
  const mark = relayMarkOf(document)
  return mark && { document: document as JsonObject, mark }
}

/** The mark of a body in the format `change`, or in that format within a CloudEvent; undefined: there is none. */
function relayMarkOf(document: Json): RelayMark | undefined {
  if (!isJsonObject(document)) return undefined
  const relay = document.relay ?? (isJsonObject(document.data) ? document.data.relay : undefined)
  if (!isJsonObject(relay) || typeof relay.event_id !== 'string' || !ID.test(relay.event_id)) return undefined
  const { event_id: eventId, sequence, cut, hops } = relay
  const count = integerOf(hops) ?? 0n
  return {
    eventId,
    sequence: integerOf(sequence) ?? null,
    isCut: cut === true,
    hops: count < 0n ? 0 : Number(count),
  }
}

/** The `hops` of a body that is made of this document. */
export function hopsOf(document: Json): number {
  const mark = relayMarkOf(onlyEntry(document))
  return mark === undefined ? 0 : mark.hops + 1
}

/** @throws Refusal 'too_many_hops' for a message of which no body could be made within `MAX_HOPS` */
export function checkHops({ hops }: RelayMark): void {
  if (hops < MAX_HOPS) return
  const detail = `relay.hops is ${hops}: more than ${MAX_HOPS} relays passed this message on, so it goes round in a loop`
  throw new Refusal('too_many_hops', `${detail}. Subscribe no topic that what this relay sends comes back through.`, {
    errors: [{ path: '/Message', detail }],
  })
}

/** A list of one counts as its entry. */
function onlyEntry(document: Json): Json {
  return Array.isArray(document) && document.length === 1 ? document[0]! : document
}
