/**
 * Sends the requests of a conversation, one after the other, by one deadline.
 *
 * Guarantee: it never rejects; whatever the receiver does is the outcome of the request that it answered, with the name of
 * its step. What was made at the receiver a short while ago is known, though its search may not list it yet.
 */
import type { Conversation, Known, Step, Verdict } from '../format/conversation.js'
import type { HttpOutcome } from '../platform/http-client.js'

/** An answer of the last request, or that nothing can be sent yet. `step` is its name, where it is the one that failed. */
export type Conversed = (HttpOutcome | { kind: 'not_sent'; error: string; durationMs: number; answerLost: boolean }) & {
  step?: string
}

/** `url`: absolute. `body`: empty for a GET. */
export type StepRequest = Pick<Step, 'method' | 'writes'> & { url: string; body: string; timeoutMs: number }

export interface ConverseInput {
  conversation: Conversation
  /** The webhook's URL: paths are relative to it. */
  url: string
  timeoutMs: number
  isRepeat: boolean
  send(request: StepRequest): Promise<HttpOutcome>
}

export type Converse = (input: ConverseInput) => Promise<Conversed>

/** An object that was made is known for longer than the receiver's search lags: "a few seconds to minutes". */
const KNOWN_MS = 600_000
/** After so long without an answer, a search says whether it was made. */
const UNSURE_MS = 60_000
const MAX_KNOWN = 10_000
const NOT_FOUND = 404

export function createConverse({ now = Date.now }: { now?: () => number } = {}): Converse {
  /** By URL and key, the oldest first. */
  const remembered = new Map<string, { known: Known; until: number }>()

  const remember = (key: string, known: Known | undefined) => {
    remembered.delete(key)
    if (known === undefined) return
    remembered.set(key, { known, until: now() + (known.id === undefined ? UNSURE_MS : KNOWN_MS) })
    if (remembered.size > MAX_KNOWN) remembered.delete(remembered.keys().next().value!)
  }

  return async (input) => {
    const { conversation } = input
    const key = `${input.url} ${conversation.key}`
    const entry = remembered.get(key)
    const known = entry && entry.until > now() ? entry.known : undefined
    const { result, verdict, lost } = await exchange(input, known)
    if (verdict?.kind === 'done') remember(key, verdict.known)
    else if (lost === 'create') remember(key, { id: undefined, eventId: conversation.eventId })
    // it was deleted: the next attempt searches
    else if (result.kind === 'response' && result.statusCode === NOT_FOUND) remember(key, undefined)
    return result
  }
}

interface Exchanged {
  result: Conversed
  verdict?: Verdict
  /** The writing step whose answer was lost. */
  lost?: string
}

async function exchange(input: ConverseInput, known: Known | undefined): Promise<Exchanged> {
  const { conversation, url, timeoutMs, isRepeat, send } = input
  const startedMs = performance.now()
  const tookMs = () => Math.round(performance.now() - startedMs)
  const steps = conversation.steps({ known, isRepeat })
  let wrote = false
  let last: HttpOutcome | undefined
  for (let next = steps.next(); ; next = steps.next(last.kind === 'response' ? last.body : '')) {
    if (next.done) return { result: concluded(next.value, last, { durationMs: tookMs(), wrote }), verdict: next.value }
    const { name, method, path, body = '', writes } = next.value
    const leftMs = Math.max(1, Math.round(timeoutMs - (performance.now() - startedMs)))
    last = await send({ method, writes, url: new URL(path, url).href, body, timeoutMs: leftMs })
    const isTaken = last.kind === 'response' && last.statusCode >= 200 && last.statusCode < 300
    if (!isTaken) {
      const lost = writes && isLost(last)
      const result = { ...last, durationMs: tookMs(), answerLost: wrote || lost, step: name }
      return { result, ...(lost ? { lost: name } : {}) }
    }
    wrote ||= writes
  }
}

/** True when it may have been done: there was no answer, or one of a server or gateway that failed, other than 503. */
function isLost(outcome: HttpOutcome): boolean {
  return outcome.answerLost || (outcome.kind === 'response' && outcome.statusCode >= 500 && outcome.statusCode !== 503)
}

/** The outcome of a conversation that ended by itself: that of its last request. */
function concluded(
  verdict: Verdict,
  last: HttpOutcome | undefined,
  { durationMs, wrote }: { durationMs: number; wrote: boolean },
): Conversed {
  if (verdict.kind === 'later' || last === undefined) {
    const error = verdict.kind === 'done' ? 'nothing was sent' : verdict.error
    return { kind: 'not_sent', error, durationMs, answerLost: wrote }
  }
  const final = verdict.kind === 'refused' ? { final: verdict.error } : {}
  return { ...last, ...final, durationMs, answerLost: wrote }
}
