/**
 * A delivery that takes several requests, each of which depends on the answer before it. Pure: a generator yields the
 * requests and is given the answers; delivery/converse.ts sends them.
 */

/** One request of a conversation. */
export interface Step {
  /** For the attempt log: what it is for, such as "comment". */
  name: string
  method: 'GET' | 'POST'
  /** Relative to the webhook's URL. */
  path: string
  /** JSON; undefined for a GET. */
  body?: string
  /** True where it changes something at the receiver. */
  writes: boolean
}

/** What this process knows of the object that a conversation is about. */
export interface Known {
  /** The receiver's id of it; undefined: a request that makes it was sent and its answer was lost. */
  id: string | undefined
  /** The event that made it. */
  eventId: string
}

/** `later`: it cannot be done yet. `refused`: it can never be done as it is. Errors are one line. */
export type Verdict =
  { kind: 'done'; known: Known | undefined } | { kind: 'later'; error: string } | { kind: 'refused'; error: string }

export interface Conversation {
  /** What the object is remembered by. */
  key: string
  eventId: string
  /**
   * The steps, each given the body of its answer, which is a 2xx; any other answer ends the conversation.
   * @param options.isRepeat true when an earlier attempt may have done some of it
   */
  steps(options: { known: Known | undefined; isRepeat: boolean }): Generator<Step, Verdict, string>
}
