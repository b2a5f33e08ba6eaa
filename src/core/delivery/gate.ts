/**
 * The gate: how many attempts this process makes at once, at one webhook and in all.
 *
 * Promise: webhooks that hang, however many, leave room for those that answer, and memory is bounded, since what finds no
 * place waits in the database.
 *
 * A webhook's window grows by one with every success and is halved by every attempt that nobody answered (additive
 * increase, multiplicative decrease, as TCP has it in RFC 5681). Whatever its window, a webhook may hold no more than a
 * share of what is free: the fuller the gate, the smaller the share, so it never fills up (the dynamic thresholds of shared
 * memory switches: Choudhury and Hahne, 1998).
 */

const FIRST_WINDOW = 16
const LARGEST_WINDOW = 64
const MOST_IN_ALL = 1024
/** Webhooks that did not answer lately, or never yet, find no place beyond so many in all. */
const MOST_UNPROVEN = 512
/** A webhook may hold this part of what is free. */
const SHARE = 1 / 8
/** Nobody left for so long: the receiver hangs, and who waits there is sent away. */
const STALLED_MS = 150
/** Nobody waits longer, however fast places come free. */
const LONGEST_WAIT_MS = 1000

interface Places {
  window: number
  taken: number
}

/** Those who wait for a place at one webhook. */
interface Line {
  waiting: { sinceMs: number; resolve: (entered: boolean) => void }[]
  stalled: NodeJS.Timeout
}

export interface Gate {
  /** Takes a place at a webhook, if there is one. */
  enter(webhookId: string): boolean
  /** Takes a place as soon as there is one; false when that is not soon. First come, first served. */
  wait(webhookId: string): Promise<boolean>
  leave(webhookId: string, result: 'succeeded' | 'failed' | 'unanswered'): void
  /** How many places are free at a webhook. */
  room(webhookId: string): number
}

export function createGate(): Gate {
  const held = new Map<string, Places>()
  const lines = new Map<string, Line>()
  let inAll = 0
  const room = (webhookId: string) => {
    const { window, taken } = held.get(webhookId) ?? { window: FIRST_WINDOW, taken: 0 }
    const most = window > FIRST_WINDOW ? MOST_IN_ALL : MOST_UNPROVEN
    const share = Math.ceil(Math.max(0, most - inAll) * SHARE)
    return Math.max(0, Math.min(window, share) - taken)
  }
  const enter = (webhookId: string) => {
    if (room(webhookId) === 0) return false
    const places = held.get(webhookId) ?? { window: FIRST_WINDOW, taken: 0 }
    places.taken++
    inAll++
    held.set(webhookId, places)
    return true
  }
  const sendAway = (webhookId: string) => {
    const line = lines.get(webhookId)
    lines.delete(webhookId)
    for (const { resolve } of line?.waiting ?? []) resolve(false)
  }
  const admit = (webhookId: string, line: Line) => {
    const { waiting, stalled } = line
    while (waiting.length > 0 && enter(webhookId)) waiting.shift()!.resolve(true)
    const latestMs = performance.now() - LONGEST_WAIT_MS
    while (waiting.length > 0 && waiting[0]!.sinceMs < latestMs) waiting.shift()!.resolve(false)
    if (waiting.length > 0) return void stalled.refresh()
    clearTimeout(stalled)
    lines.delete(webhookId)
  }
  return {
    room,
    enter,
    async wait(webhookId) {
      const line = lines.get(webhookId)
      if (!line && enter(webhookId)) return true
      return new Promise<boolean>((resolve) => {
        const { waiting } = line ?? newLine(webhookId)
        waiting.push({ sinceMs: performance.now(), resolve })
      })
    },
    leave(webhookId, result) {
      const places = held.get(webhookId)
      if (!places) return
      places.taken--
      inAll--
      if (result === 'succeeded') places.window = Math.min(places.window + 1, LARGEST_WINDOW)
      if (result === 'unanswered') places.window = Math.max(1, Math.floor(places.window / 2))
      // What is as new is not kept: a webhook that is gone leaves nothing behind but its window.
      if (places.taken === 0 && places.window === FIRST_WINDOW) held.delete(webhookId)
      const line = lines.get(webhookId)
      if (line) admit(webhookId, line)
    },
  }

  function newLine(webhookId: string): Line {
    const line = { waiting: [], stalled: setTimeout(sendAway, STALLED_MS, webhookId) }
    lines.set(webhookId, line)
    return line
  }
}
