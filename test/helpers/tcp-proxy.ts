/** One address for several servers, as a load balancer or a DNS name is: what is connected stays where it is. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'

export interface TcpProxy {
  /** The URL it was made with, at the proxy's address. */
  url: string
  /** New connections go to this URL's host and port from now on. */
  point(url: string): void
}

export async function startProxy(t: Pick<Test, 'teardown'>, firstUrl: string): Promise<TcpProxy> {
  let target = new URL(firstUrl)
  const sockets = new Set<Socket>()
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    return socket
  }
  const server = createServer((inside) => {
    const outside = keep(connect(Number(target.port), target.hostname))
    keep(inside)
    inside.pipe(outside).pipe(inside)
    inside.on('close', () => outside.destroy())
    outside.on('close', () => inside.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    server.close()
    for (const socket of sockets) socket.destroy()
    await once(server, 'close')
  })
  const url = new URL(firstUrl)
  url.port = String((server.address() as AddressInfo).port)
  return { url: url.href, point: (next) => (target = new URL(next)) }
}
