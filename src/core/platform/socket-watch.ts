/**
 * What undici does not report of a connection: whether it was reused when it broke, and what it had received. Also
 * removes interim answers (answer-head.ts) from what undici reads.
 *
 * undici reads with `socket.read`, and writes a whole request with `socket.write` before the first byte of its answer
 * can be read. Both methods are replaced on the socket itself, which is cheaper than a stream around it.
 */
import type { Socket } from 'node:net'
import { createInterimFilter, headFault, MAX_HEAD_BYTES } from './answer-head.js'

/** The state of a connection when an error ended it. */
export interface Break {
  /** It was reused, and no byte of an answer to its last request was received. */
  isStale: boolean
  /** Why the head of the answer was refused. */
  headFault(): string
}

const breaks = new WeakMap<Error, Break>()

/** @returns undefined if the error did not end a watched connection */
export function breakOf(error: Error): Break | undefined {
  return breaks.get(error)
}

/** To be called once, before undici gets the socket; returns it. */
export function watchSocket<S extends Socket>(socket: S): S {
  const filter = createInterimFilter()
  const read: (size?: number) => Buffer | null = socket.read.bind(socket)
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
  let requests = 0
  let isUnanswered = false
  /** The start of the answer, in chunks. */
  let received: Buffer[] = []
  let receivedBytes = 0

  function begin(): void {
    requests++
    isUnanswered = true
    received = []
    receivedBytes = 0
    filter.begin()
  }

  /** @returns null if the bytes ended the connection */
  function receive(chunk: Buffer): Buffer | null {
    isUnanswered = false
    try {
      const bytes = filter.strip(chunk)
      if (bytes.length > 0 && receivedBytes < MAX_HEAD_BYTES) received.push(bytes)
      receivedBytes += bytes.length
      return bytes
    } catch (error) {
      socket.destroy(error as Error)
      return null
    }
  }

  socket.write = (...args: unknown[]) => {
    if (!isUnanswered) begin()
    return write(...args)
  }
  socket.read = (size?: number) => {
    for (let chunk = read(size); chunk !== null; chunk = read(size)) {
      const bytes = receive(chunk)
      if (bytes === null || bytes.length > 0) return bytes
    }
    return null
  }
  socket.on('error', (error) => {
    const answer = received
    breaks.set(error, {
      isStale: isUnanswered && requests > 1,
      headFault: () => headFault(Buffer.concat(answer).toString('latin1')),
    })
  })
  return socket
}
