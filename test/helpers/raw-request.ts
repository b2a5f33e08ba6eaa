/** Requests that are written to a socket, as no client writes them. */
import type { AddressInfo } from 'node:net'

/** Listens on a free port of this machine. @returns the port */
export async function listen(server: {
  listen(address: object): Promise<string>
  server: { address(): unknown }
}): Promise<number> {
  await server.listen({ host: '127.0.0.1', port: 0 })
  return (server.server.address() as AddressInfo).port
}

/** The head of a POST to /sns. */
export function headOf(headers: Record<string, string>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return `POST /sns HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`
}
