/**
 * A concurrency limiter: how many attempts this process makes at once, at one webhook and in all, and how many bytes of
 * bodies these hold.
 *
 * Guarantee: webhooks that hang, however many, leave room for those that answer. What gets no place waits in the database, so
 * memory is bounded.
 *
 * A webhook's places are bounded by its window (window.ts) or its own `max_in_flight`, and by a share of those that are free,
 * so that the limiter never fills up (dynamic thresholds: Choudhury and Hahne, 1998).
 */
import { afterAttempt, FIRST_SIZE, FIRST_WINDOW, type AttemptResult, type Window } from './window.js'

/** What some webhooks share. One of them holds at most `share` of what is free. */
interface Room {
  places: number
  bytes: number
  share: number
}

const MIB = 1024 * 1024
/** For webhooks that answer. */
const ANSWERING: Room = { places: 4096, bytes: 96 * MIB, share: 1 / 2 }
/** For webhooks that gave no answer lately, or none yet. */
const UNPROVEN: Room = { places: 512, bytes: 32 * MIB, share: 1 / 8 }
/** A larger body counts as this many bytes, so that there is room for it. */
const MAX_BYTES_EACH = 16 * MIB
/** No place of a webhook came free for so long: its waiters are refused. */
const STALLED_MS = 150
const MAX_WAIT_MS = 1000

/** What is taken of a room, or by a webhook. */
interface Taken {
  places: number
  bytes: number
}

interface Held extends Taken {
  window: Window
}

/** A place that an attempt has taken. */
export interface Place {
  bytes: number
  /** Attempts at its webhook then, itself included. */
  inFlight: number
}

/** Callers that wait for a place of one webhook, first come first served. */
interface WaitList {
  waiters: { bytes: number; sinceMs: number; resolve: (place: Place | undefined) => void }[]
  stalled: NodeJS.Timeout
}

export interface Limiter {
  /** How long a webhook takes to answer at present, in milliseconds; 0: not known. */
  latencyMs(webhookId: string): number
  /** How many places of a webhook are free. @param own its `max_in_flight` */
  available(webhookId: string, own?: number | null): number
  /** Takes a place of a webhook, if there is one. @param bytes of the body, as far as is known */
  tryAcquire(webhookId: string, bytes?: number, own?: number | null): Place | undefined
  /** Takes a place as soon as there is one; undefined when that is not soon. First come, first served. */
  acquire(webhookId: string, bytes?: number): Promise<Place | undefined>
  release(webhookId: string, place: Place, end: { result: AttemptResult; latencyMs: number }): void
}

export function createLimiter({ now = () => performance.now() }: { now?: () => number } = {}): Limiter {
  const held = new Map<string, Held>()
  const waitLists = new Map<string, WaitList>()
  const taken = new Map<Room, Taken>([ANSWERING, UNPROVEN].map((room) => [room, { places: 0, bytes: 0 }]))
  const heldBy = (webhookId: string): Held => held.get(webhookId) ?? { places: 0, bytes: 0, window: FIRST_WINDOW }

  /** What is free of the room that a webhook has a share of. */
  function freeFor({ window }: Held): Room {
    const room = window.size > FIRST_SIZE ? ANSWERING : UNPROVEN
    const { places, bytes } = taken.get(room)!
    return { places: Math.max(0, room.places - places), bytes: Math.max(0, room.bytes - bytes), share: room.share }
  }

  /** Its own limit counts while nothing speaks against it. */
  function available(webhookId: string, own: number | null = null): number {
    const one = heldBy(webhookId)
    const { places, share } = freeFor(one)
    const { size } = one.window
    const limit = own === null ? size : size < FIRST_SIZE ? Math.min(own, size) : own
    return Math.max(0, Math.min(Math.floor(limit), Math.ceil(places * share)) - one.places)
  }

  function fits(webhookId: string, bytes: number): boolean {
    const one = heldBy(webhookId)
    const free = freeFor(one)
    return one.places === 0 ? bytes <= free.bytes : one.bytes + bytes <= free.bytes * free.share
  }

  /** Changes what a webhook holds; its window decides which room that is of. */
  function change(webhookId: string, { places, bytes, window }: Taken & { window?: Window }): void {
    const before = heldBy(webhookId)
    const after = { places: before.places + places, bytes: before.bytes + bytes, window: window ?? before.window }
    add(before, -1)
    add(after, 1)
    // only a window that differs from the first is worth keeping
    if (after.places === 0 && after.window.size === FIRST_SIZE) held.delete(webhookId)
    else held.set(webhookId, after)
  }

  function add({ places, bytes, window }: Held, sign: 1 | -1): void {
    const sum = taken.get(window.size > FIRST_SIZE ? ANSWERING : UNPROVEN)!
    sum.places += sign * places
    sum.bytes += sign * bytes
  }

  function tryAcquire(webhookId: string, bytes = 0, own: number | null = null): Place | undefined {
    const counted = Math.min(bytes, MAX_BYTES_EACH)
    if (available(webhookId, own) === 0 || !fits(webhookId, counted)) return undefined
    change(webhookId, { places: 1, bytes: counted })
    return { bytes: counted, inFlight: heldBy(webhookId).places }
  }

  function refuseAll(webhookId: string): void {
    const list = waitLists.get(webhookId)
    waitLists.delete(webhookId)
    for (const { resolve } of list?.waiters ?? []) resolve(undefined)
  }

  function admit(webhookId: string, { waiters, stalled }: WaitList): void {
    for (let [first] = waiters; first; [first] = waiters) {
      const place = tryAcquire(webhookId, first.bytes)
      if (!place) break
      waiters.shift()
      first.resolve(place)
    }
    const latestMs = now() - MAX_WAIT_MS
    while (waiters.length > 0 && waiters[0]!.sinceMs < latestMs) waiters.shift()!.resolve(undefined)
    if (waiters.length > 0) return void stalled.refresh()
    clearTimeout(stalled)
    waitLists.delete(webhookId)
  }

  function newWaitList(webhookId: string): WaitList {
    const list = { waiters: [], stalled: setTimeout(refuseAll, STALLED_MS, webhookId) }
    waitLists.set(webhookId, list)
    return list
  }

  return {
    latencyMs: (webhookId) => heldBy(webhookId).window.latencyMs,
    available,
    tryAcquire,
    async acquire(webhookId, bytes = 0) {
      const list = waitLists.get(webhookId)
      const place = list ? undefined : tryAcquire(webhookId, bytes)
      if (place) return place
      return new Promise((resolve) => {
        const { waiters } = list ?? newWaitList(webhookId)
        waiters.push({ bytes, sinceMs: now(), resolve })
      })
    },
    release(webhookId, { bytes, inFlight: inFlightBefore }, { result, latencyMs }) {
      const { places: inFlight, window } = heldBy(webhookId)
      const next = afterAttempt(window, { result, latencyMs, inFlightBefore, inFlight, nowMs: now() })
      change(webhookId, { places: -1, bytes: -bytes, window: next })
      const list = waitLists.get(webhookId)
      if (list) admit(webhookId, list)
    },
  }
}
