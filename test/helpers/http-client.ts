/** HTTP clients and servers for their tests. */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Test } from 'tap'
import { createHttpClient, type HttpClient, type HttpClientOptions } from '../../src/core/platform/http-client.js'
import { createReceiver, type Reply } from './receiver.js'

const LOOPBACK = ['127.0.0.1/32']
export const REQUEST = { headers: { 'content-type': 'application/json' }, body: '{"a":1}', timeoutMs: 10_000 }

export function client(t: Test, options: Partial<HttpClientOptions> = {}): HttpClient {
  const http = createHttpClient({ allowPrivateTargets: LOOPBACK, ...options })
  t.teardown(() => http.close())
  return http
}

export async function receiver(t: Test, reply: Reply) {
  const created = await createReceiver({ respond: () => reply })
  t.teardown(() => created.close())
  return created
}

/** A TCP server, for responses that no HTTP library would send. */
export async function rawServer(t: Test, onRequest: (socket: Socket) => void, host = '127.0.0.1') {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).once('data', () => onRequest(socket))
  }).listen(0, host)
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://${host}:${port}/`, port, server, sockets }
}

/** A resolver that returns the listed answers in order, then repeats the last; `queries` are the hostnames it received. */
export function resolver(...turns: string[][]): { resolve: HttpClientOptions['resolve']; queries: string[] } {
  const queries: string[] = []
  const resolve = async (hostname: string) => {
    const turn = turns[Math.min(queries.length, turns.length - 1)] ?? []
    queries.push(hostname)
    return turn.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  }
  return { resolve, queries }
}
