/**
 * What `npm run bench -- peers` measures: something that takes messages over HTTP and delivers them to receivers.
 *
 * An adapter speaks the public API that the peer documents. It only makes and removes what is published to; how a message is
 * published is plain data, so that the load needs no code of a peer.
 */

export interface Target {
  readonly name: string
  /** Makes what is published to, so that each message reaches every one of the receivers once. */
  prepare(receivers: readonly string[]): Promise<Prepared>
  /** Ends what the measurement started of it. */
  close(): Promise<void>
}

export interface Prepared {
  publishing: Publishing
  /** Removes what was made: nothing that waits is sent any more. */
  remove(): Promise<void>
}

/** A message is a POST of `before`, the message's JSON and `after`. */
export interface Publishing {
  url: string
  headers: Record<string, string>
  before: string
  after: string
  /** True when the answer comes from the receiver: a connection waits for as long as the receiver takes. */
  answersLate?: boolean
}

/** The one type of all events that are published. */
export const EVENT_TYPE = 'alert.updated'

export type Api = <T = { id: string }>(method: string, path: string, body?: object) => Promise<T>

/** Sends JSON requests to an API; one that is not answered 2xx throws. */
export function createApi(name: string, origin: string, headers: Record<string, string>): Api {
  return async (method, path, body) => {
    const answer = await fetch(at(origin, path), {
      method,
      headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
      body: body && JSON.stringify(body),
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${name}: ${method} ${path}: ${answer.status} ${text.slice(0, 500)}`)
    return (text === '' ? undefined : JSON.parse(text)) as never
  }
}

/** The URL of a path below an address, which may have a path of its own. */
export function at(origin: string, path: string): string {
  return origin.replace(/\/+$/, '') + path
}

export function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` }
}
