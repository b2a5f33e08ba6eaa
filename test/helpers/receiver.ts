/**
 * A webhook receiver on loopback, for tests of deliveries.
 *
 * Guarantee: it records every request, verified by the `standardwebhooks` library (not by the relay's code), and responds as
 * the test specifies. `waitFor` resolves on the request itself, without polling.
 *
 *   const receiver = await createReceiver({ secret, respond: (_request, count) => ({ status: count < 3 ? 500 : 204 }) })
 *   t.teardown(() => receiver.close())
 *   ... make a webhook with `receiver.url`; the relay needs ALLOW_PRIVATE_TARGETS=127.0.0.0/8 ...
 *   await receiver.waitFor(3)
 *   t.ok(receiver.received.every((request) => request.verified))
 *
 * - `secrets` may be set later, when the relay has made the webhook; `verified` is true if any one of them verifies the
 *   request, and is decided when the request comes in.
 * - `respond` may be replaced at any time. It may be async: the request is in `received` before `respond` is called, so a
 *   test can hold an answer back with a promise of its own. `hang: true` never answers.
 * - A closed receiver refuses connections. `createReceiver({ port: old.port })` starts a new one on its port.
 */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'

export interface ReceivedRequest {
  method: string
  /** Path and query. */
  path: string
  /** The `webhook-id` header. */
  id: string
  /** The `x-alert-relay-attempt` header; NaN without one. */
  attempt: number
  headers: IncomingHttpHeaders
  body: string
  /** The body parsed by JSON.parse; undefined if it is not JSON. */
  json: unknown
  verified: boolean
}

export interface Reply {
  status: number
  body?: string | Buffer
  headers?: Record<string, string>
  /** When true, no response is sent until `close`. */
  hang?: boolean
  /** When true, the connection is closed instead of a response. */
  breaks?: boolean
}

/** @param count the number of this request, from 1 */
export type Respond = (request: ReceivedRequest, count: number) => Reply | Promise<Reply>

export interface Receiver {
  readonly url: string
  readonly port: number
  /** In order of arrival. */
  readonly received: readonly ReceivedRequest[]
  /** TCP connections accepted so far. */
  readonly connectionCount: number
  secrets: string[]
  respond: Respond
  /**
   * Resolves to `received` once it has that many requests, or once the predicate is true of it.
   * Rejects after `timeoutMs` (30 s), with the received requests in the message, and when the receiver closes.
   */
  waitFor(
    condition: number | ((received: readonly ReceivedRequest[]) => boolean),
    options?: { timeoutMs?: number },
  ): Promise<readonly ReceivedRequest[]>
  /** Stops listening and destroys every connection. */
  close(): Promise<void>
}

export async function createReceiver(
  options: { secret?: string; respond?: Respond; port?: number } = {},
): Promise<Receiver> {
  const received: ReceivedRequest[] = []
  const waiting = new Set<{ check(): void; fail(error: Error): void }>()
  let connectionCount = 0

  const server = createServer((message, response) => {
    handle(message, response).catch((error: Error) => response.destroy(error))
  })
  server.on('connection', () => connectionCount++)
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  async function handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = await read(message, receiver.secrets)
    received.push(request)
    for (const wait of [...waiting]) wait.check()
    const reply = await receiver.respond(request, received.length)
    if (reply.breaks) message.socket.destroy()
    else if (!reply.hang) response.writeHead(reply.status, reply.headers).end(reply.body)
  }

  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}/hook`,
    port,
    received,
    get connectionCount() {
      return connectionCount
    },
    secrets: options.secret === undefined ? [] : [options.secret],
    respond: options.respond ?? (() => ({ status: 204 })),
    waitFor(condition, { timeoutMs = 30_000 } = {}) {
      const holds = typeof condition === 'number' ? () => received.length >= condition : () => condition(received)
      return new Promise((resolve, reject) => {
        const end = (settle: () => void) => {
          clearTimeout(timer)
          waiting.delete(wait)
          settle()
        }
        const wait = {
          check: () => holds() && end(() => resolve(received)),
          fail: (error: Error) => end(() => reject(error)),
        }
        const timer = setTimeout(() => wait.fail(new Error(`after ${timeoutMs} ms: ${summary(received)}`)), timeoutMs)
        waiting.add(wait)
        wait.check()
      })
    },
    async close() {
      for (const wait of [...waiting]) wait.fail(new Error(`the receiver was closed: ${summary(received)}`))
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
  return receiver
}

async function read(message: IncomingMessage, secrets: string[]): Promise<ReceivedRequest> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks).toString('utf8')
  const { headers, method = '', url: path = '' } = message
  return {
    method,
    path,
    id: String(headers['webhook-id'] ?? ''),
    attempt: Number(headers['x-alert-relay-attempt']),
    headers,
    body,
    json: parse(body),
    verified: secrets.some((secret) => verifies(secret, body, headers)),
  }
}

function verifies(secret: string, body: string, headers: IncomingHttpHeaders): boolean {
  try {
    new Webhook(secret).verify(body, headers as Record<string, string>, { jsonParse: false })
    return true
  } catch {
    return false
  }
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

function summary(received: readonly ReceivedRequest[]): string {
  const list = received.map(({ id, attempt, verified }) => `${id} #${attempt}${verified ? '' : ' unverified'}`)
  return `${received.length} requests${list.length > 0 ? `: ${list.join(', ')}` : ''}`
}
