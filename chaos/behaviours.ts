/**
 * The behaviours of receivers: well-behaved, or failing in a way that is known from real receivers.
 *
 * Guarantee: `accept` is called just before a 2xx is sent, and only then; every behaviour accepts any event in the end.
 */
import type { ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { between, type Random } from './random.js'

export interface Exchange {
  response: ServerResponse
  random: Random
  /** Milliseconds since the receivers were started. */
  atMs: number
  alertId: string | null
  /** Of the body. */
  bytes: number
  /** Counts the event as received. */
  accept(): void
  /** Counts the event as one whose body was refused. */
  refuse(): void
}

export type Behaviour = (exchange: Exchange) => void | Promise<void>
export type BehaviourName = keyof typeof BEHAVIOURS

/** A receiver with a limit answers 413 to bodies beyond it. */
const BODY_LIMIT_BYTES = 256 * 1024
const HUGE_BYTES = 100 * 1024 * 1024
const CHUNK = Buffer.alloc(64 * 1024, 'x')

export const BEHAVIOURS = {
  well,
  steady: async (exchange) => {
    await pause(between(exchange.random, 30, 60))
    well(exchange)
  },
  slow: async (exchange) => {
    if (exchange.random() < 0.4) await pause(between(exchange.random, 300, 2500))
    well(exchange)
  },
  errors: (exchange) => {
    if (exchange.random() < 0.65) return well(exchange)
    const { response } = exchange
    if (exchange.random() < 0.5) response.writeHead(500).end('<h1>Oops</h1>')
    else response.writeHead(503, { 'retry-after': '1' }).end()
  },
  faltering: async (exchange) => {
    await pause(between(exchange.random, 0, 20))
    if (exchange.random() < 0.9) return well(exchange)
    exchange.response.writeHead(500).end()
  },
  resets: (exchange) => {
    if (exchange.random() < 0.65) return well(exchange)
    exchange.response.socket?.resetAndDestroy()
  },
  hangs: (exchange) => {
    if (exchange.atMs % 25_000 > 10_000) well(exchange)
  },
  outages: (exchange) => {
    if (exchange.atMs % 20_000 > 8000) return well(exchange)
    exchange.response.writeHead(503).end()
  },
  drips,
  /** Refuses long bodies always, and those of some alerts for half a minute. */
  refuses: ({ response, alertId, bytes, atMs, accept, refuse }) => {
    if (!isOpen(response)) return
    const isOdd = alertId?.endsWith('7') === true && atMs % 60_000 < 30_000
    if (bytes <= BODY_LIMIT_BYTES && !isOdd) {
      accept()
      response.writeHead(204).end()
    } else {
      refuse()
      response.writeHead(bytes > BODY_LIMIT_BYTES ? 413 : 422).end()
    }
  },
  garbage: (exchange) => {
    if (exchange.random() < 0.65) return well(exchange)
    exchange.response.socket?.end(Buffer.from('\u0000\u0001 HTTP? 200 \r\n\r\n\u00ff'.repeat(10), 'latin1'))
  },
  huge: async (exchange) => {
    if (exchange.random() < 0.5) return well(exchange)
    const { response } = exchange
    if (!isOpen(response)) return
    exchange.accept()
    response.writeHead(200, { 'content-length': HUGE_BYTES })
    for (let sent = 0; sent < HUGE_BYTES && isOpen(response); sent += CHUNK.length) {
      if (!response.write(CHUNK)) await drained(response)
    }
    response.end()
  },
} satisfies Record<string, Behaviour>

function well({ response, accept }: Exchange): void {
  if (!isOpen(response)) return
  accept()
  response.writeHead(204).end()
}

/** Answers byte by byte: the body after a prompt status, or the whole answer, which takes longer than the timeout. */
async function drips(exchange: Exchange): Promise<void> {
  const { response, random } = exchange
  const share = random()
  if (share < 0.4) return well(exchange)
  if (!isOpen(response)) return
  if (share < 0.8) {
    exchange.accept()
    response.writeHead(200, { 'content-length': 30 })
    await drip('this answer has thirty bytes..', (byte) => response.write(byte), response)
    response.end()
  } else {
    await drip('HTTP/1.1 204 No Content\r\n\r\n', (byte) => response.socket?.write(byte), response)
    response.socket?.destroy()
  }
}

async function drip(text: string, write: (byte: string) => unknown, response: ServerResponse): Promise<void> {
  for (const byte of text) {
    if (!isOpen(response)) return
    write(byte)
    await pause(100)
  }
}

function isOpen({ socket, destroyed }: ServerResponse): boolean {
  return !destroyed && socket !== null && !socket.destroyed
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      response.off('drain', end)
      response.off('close', end)
      resolve()
    }
    response.on('drain', end)
    response.on('close', end)
  })
}
