/** Certificates, and an HTTPS server that requests client certificates. */
import { once } from 'node:events'
import { createServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { generate } from 'selfsigned'
import type { Test } from 'tap'

interface Pair {
  cert: string
  key: string
}

/** A certificate that is issued by an authority, or is one. */
export async function certificate(commonName: string, options: { ca?: Pair; host?: string; isCa?: boolean } = {}) {
  const { ca, host, isCa = false } = options
  const { cert, private: key } = await generate([{ name: 'commonName', value: commonName }], {
    keyType: 'ec',
    algorithm: 'sha256',
    ca,
    extensions: [
      { name: 'basicConstraints', cA: isCa, critical: true },
      ...(host ? [{ name: 'subjectAltName' as const, altNames: [{ type: 2 as const, value: host }] }] : []),
    ],
  })
  return { cert, key }
}

/** An HTTPS server that responds with the client's common name; `resumed` counts connections that resumed a TLS session. */
export async function tlsReceiver(t: Test, options: ServerOptions) {
  const counts = { connections: 0, resumed: 0, requests: 0 }
  const server = createServer(options, (request, response) => {
    counts.requests++
    const { subject } = (request.socket as TLSSocket).getPeerCertificate()
    response.end(String(subject?.CN ?? 'no certificate'))
  })
  server.on('secureConnection', (socket: TLSSocket) => {
    counts.connections++
    if (socket.isSessionReused()) counts.resumed++
  })
  server.on('tlsClientError', () => {}).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  })
  return { port: (server.address() as AddressInfo).port, counts }
}
