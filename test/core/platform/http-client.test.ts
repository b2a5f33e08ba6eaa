import { once } from 'node:events'
import { createServer as createHttpsServer, type ServerOptions } from 'node:https'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { gzipSync } from 'node:zlib'
import { generate } from 'selfsigned'
import t, { type Test } from 'tap'
import { createHttpClient, type HttpClient, type HttpClientOptions } from '../../../src/core/platform/http-client.js'
import { createReceiver, type Reply } from '../../helpers/receiver.js'

const LOOPBACK = ['127.0.0.1/32']
const REQUEST = { headers: { 'content-type': 'application/json' }, body: '{"a":1}', timeoutMs: 10_000 }

function client(t: Test, options: Partial<HttpClientOptions> = {}): HttpClient {
  const http = createHttpClient({ allowPrivateTargets: LOOPBACK, ...options })
  t.teardown(() => http.close())
  return http
}

async function receiver(t: Test, reply: Reply) {
  const created = await createReceiver({ respond: () => reply })
  t.teardown(() => created.close())
  return created
}

/** A server that speaks bytes, for what no HTTP library would send. */
async function rawServer(t: Test, onRequest: (socket: Socket) => void, host = '127.0.0.1') {
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

interface Pair {
  cert: string
  key: string
}

/** A certificate of an authority, or one that is an authority. */
async function certificate(commonName: string, options: { ca?: Pair; host?: string; isCa?: boolean } = {}) {
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

/** An https server that says in its answer whom it talks to; `resumed` counts connections that resumed a TLS session. */
async function tlsReceiver(t: Test, options: ServerOptions) {
  const counts = { connections: 0, resumed: 0, requests: 0 }
  const server = createHttpsServer(options, (request, response) => {
    counts.requests++
    const { subject } = (request.socket as TLSSocket).getPeerCertificate()
    response.end(String(subject?.CN ?? 'nobody'))
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

function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()))
}

/** A resolver that gives the listed answers in turn, the last one for ever. */
function answers(...turns: string[][]): { resolve: HttpClientOptions['resolve']; asked: string[] } {
  const asked: string[] = []
  const resolve = async (hostname: string) => {
    const turn = turns[Math.min(asked.length, turns.length - 1)] ?? []
    asked.push(hostname)
    return turn.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  }
  return { resolve, asked }
}

t.test('the wall', async (t) => {
  t.test('an address written in the URL is refused in every form, and nothing connects', async (t) => {
    const target = await receiver(t, { status: 204 })
    const http = client(t, { allowPrivateTargets: [] })
    const forms = ['127.0.0.1', '127.1', '0x7f.1', '0177.0.0.1', '2130706433', '127.0.0.1.', '１２７.0.0.1']
    for (const host of [...forms, '[::1]', '[::ffff:127.0.0.1]', '[::127.0.0.1]', '[64:ff9b::7f00:1]', '0.0.0.0']) {
      const outcome = await http.post(`http://${host}:${target.port}/`, REQUEST)
      t.match(
        outcome,
        { kind: 'target_refused', error: /^the target is \S+, not a public address; ALLOW_PRIVATE_TARGETS/ },
        host,
      )
    }
    t.equal(target.connectionCount, 0)
  })

  t.test('a URL that is not http or https is refused', async (t) => {
    const http = client(t)
    for (const url of ['file:///etc/passwd', 'gopher://127.0.0.1/', 'nonsense', '']) {
      t.match(await http.post(url, REQUEST), { kind: 'target_refused', error: 'not an http or https URL' }, url)
    }
  })

  t.test('a name is refused if every answer is private', async (t) => {
    const target = await receiver(t, { status: 204 })
    const { resolve, asked } = answers(['127.0.0.1', '::1', 'fd00::1'])
    const http = client(t, { allowPrivateTargets: [], resolve })
    const outcome = await http.post(`http://hooks.example:${target.port}/`, REQUEST)
    t.match(outcome, {
      kind: 'target_refused',
      error: /^hooks\.example resolves to 127\.0\.0\.1, ::1, fd00::1, not a public/,
    })
    t.same(asked, ['hooks.example'])
    t.equal(target.connectionCount, 0)
  })

  t.test('localhost is refused by the system resolver too', async (t) => {
    const outcome = await client(t, { allowPrivateTargets: [] }).post('http://localhost:9/', REQUEST)
    t.match(outcome, { kind: 'target_refused', error: /^localhost resolves to / })
  })

  t.test('refused answers are dropped and the others used', async (t) => {
    const target = await receiver(t, { status: 204 })
    const other = await rawServer(t, () => {}, '127.0.0.2')
    const { resolve } = answers(['127.0.0.2', '10.0.0.1', '127.0.0.1'])
    const outcome = await client(t, { resolve }).post(`http://hooks.example:${target.port}/x?y=1`, REQUEST)
    t.match(outcome, { kind: 'response', statusCode: 204 })
    t.match(target.received, [{ path: '/x?y=1', headers: { host: `hooks.example:${target.port}` } }])
    t.equal(other.sockets.size, 0)
  })

  t.test('a name that turns private between two connections reaches nothing', async (t) => {
    const target = await receiver(t, { status: 204, headers: { connection: 'close' } })
    const inside = await rawServer(t, (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'), '127.0.0.2')
    const { resolve, asked } = answers(['127.0.0.1'], ['127.0.0.2'])
    const http = client(t, { resolve })
    t.match(await http.post(`http://rebind.example:${target.port}/`, REQUEST), { kind: 'response' })
    t.match(await http.post(`http://rebind.example:${inside.port}/`, REQUEST), { kind: 'target_refused' })
    t.match(await http.post(`http://rebind.example:${target.port}/`, REQUEST), { kind: 'target_refused' })
    t.equal(asked.length, 3, 'once a connection: what was checked is what is connected to')
    t.equal(inside.sockets.size, 0)
    t.equal(target.received.length, 1)
  })

  t.test('the peer is checked again once connected', async (t) => {
    // 0.0.0.0 is listed and passes; the system connects it to 127.0.0.1, which is not.
    const target = await receiver(t, { status: 204 })
    const http = client(t, { allowPrivateTargets: ['0.0.0.0/32'] })
    const outcome = await http.post(`http://0.0.0.0:${target.port}/`, REQUEST)
    t.match(outcome, { kind: 'target_refused', error: /^connected to 127\.0\.0\.1, not a public address/ })
    t.equal(target.received.length, 0)
  })

  t.test('a redirect is an answer and is not followed', async (t) => {
    const inside = await receiver(t, { status: 204 })
    const target = await receiver(t, { status: 307, headers: { location: inside.url } })
    t.match(await client(t).post(target.url, REQUEST), { kind: 'response', statusCode: 307 })
    t.equal(inside.connectionCount, 0)
  })

  t.test('proxy variables are ignored', async (t) => {
    const proxy = await receiver(t, { status: 502 })
    const before = { ...process.env }
    t.teardown(() => (process.env = before))
    Object.assign(process.env, { http_proxy: proxy.url, HTTP_PROXY: proxy.url, NODE_USE_ENV_PROXY: '1' })
    const target = await receiver(t, { status: 204 })
    t.match(await client(t).post(target.url, REQUEST), { kind: 'response', statusCode: 204 })
    t.equal(proxy.connectionCount, 0)
  })
})

t.test('the deadline', async (t) => {
  const DEADLINE = { ...REQUEST, timeoutMs: 150 }

  t.test('a receiver that never answers is a timeout', async (t) => {
    const target = await receiver(t, { status: 200, hang: true })
    const outcome = await client(t).post(target.url, DEADLINE)
    t.match(outcome, { kind: 'timeout', error: 'no answer within 150 ms' })
    t.ok(outcome.durationMs >= 149 && outcome.durationMs < 2_000, `${outcome.durationMs} ms`)
  })

  t.test('a DNS that never answers is a timeout', async (t) => {
    const http = client(t, { resolve: () => new Promise(() => {}) })
    t.match(await http.post('http://hooks.example/', DEADLINE), { kind: 'timeout', error: 'no answer within 150 ms' })
  })

  t.test('a request whose deadline passed while it was connecting is never sent', async (t) => {
    const sent: string[] = []
    const target = await rawServer(t, () => {})
    target.server.on('connection', (socket) => {
      socket.on('data', (data) => {
        sent.push(String(data).split(' ')[1] ?? '')
        socket.write('HTTP/1.1 204 No Content\r\n\r\n')
      })
    })
    let answer = (): void => {}
    const held = new Promise<void>((resolve) => (answer = resolve))
    const resolve = () => held.then(() => [{ address: '127.0.0.1', family: 4 }])
    const http = client(t, { resolve })
    const url = `http://hooks.example:${target.port}`
    t.match(await http.post(`${url}/late`, DEADLINE), { kind: 'timeout' })
    const connected = once(target.server, 'connection')
    answer()
    await connected
    t.match(await http.post(`${url}/next`, REQUEST), { kind: 'response', statusCode: 204 })
    t.same(sent, ['/next'])
  })

  t.test('a TLS handshake that never ends is a timeout', async (t) => {
    const target = await rawServer(t, () => {})
    const outcome = await client(t).post(target.url.replace('http:', 'https:'), DEADLINE)
    t.match(outcome, { kind: 'timeout' })
  })

  t.test('headers that drip past it are a timeout', async (t) => {
    const target = await rawServer(t, (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n')
      const drip = setInterval(() => socket.write('x-drip: 1\r\n'), 20)
      socket.on('close', () => clearInterval(drip))
    })
    t.match(await client(t).post(target.url, DEADLINE), { kind: 'timeout' })
  })

  t.test('an interim 1xx answer does not count as a status', async (t) => {
    const target = await rawServer(t, (socket) => socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'))
    t.match(await client(t).post(target.url, DEADLINE), { kind: 'timeout' })
  })

  t.test('a body that drips past it leaves the status to count', async (t) => {
    let closed = Promise.resolve()
    const target = await rawServer(t, (socket) => {
      closed = closeOf(socket)
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n')
      const drip = setInterval(() => socket.write('1\r\n.\r\n'), 20)
      socket.on('close', () => clearInterval(drip))
    })
    const outcome = await client(t).post(target.url, DEADLINE)
    t.match(outcome, { kind: 'response', statusCode: 200, body: /^hi\.*$/ })
    t.ok(outcome.durationMs < 2_000)
    await closed
  })
})

t.test('the answer', async (t) => {
  t.test('its status and body come back, its connection serves the next try', async (t) => {
    const target = await receiver(t, { status: 418, body: 'short and stout' })
    const http = client(t)
    for (let i = 0; i < 10; i++) {
      t.match(await http.post(target.url, REQUEST), { kind: 'response', statusCode: 418, body: 'short and stout' })
    }
    t.ok(target.connectionCount <= 2, 'undici takes a second one while the first settles, then reuses both')
    t.match(target.received[9], { method: 'POST', body: '{"a":1}', headers: { 'content-type': 'application/json' } })
  })

  t.test('the first 4 KiB of its body are kept, and a longer one still leaves the connection', async (t) => {
    const target = await receiver(t, { status: 200, body: 'x'.repeat(60_000) })
    const http = client(t)
    for (let i = 0; i < 10; i++) {
      t.match(await http.post(target.url, REQUEST), { kind: 'response', statusCode: 200, body: 'x'.repeat(4096) })
    }
    t.ok(target.connectionCount <= 2)
  })

  t.test('of 100 MB almost nothing is read', async (t) => {
    const size = 100 * 1024 * 1024
    const chunk = Buffer.alloc(64 * 1024, 'x')
    let sent = 0
    let closed = Promise.resolve()
    const target = await rawServer(t, (socket) => {
      closed = closeOf(socket)
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`)
      const pump = () => {
        while (sent < size && !socket.destroyed) {
          sent += chunk.length
          if (!socket.write(chunk)) {
            socket.once('drain', pump)
            return
          }
        }
      }
      pump()
    })
    t.match(await client(t).post(target.url, REQUEST), { kind: 'response', statusCode: 200, body: 'x'.repeat(4096) })
    await closed
    t.ok(sent < size / 4, `${sent} bytes went into the socket's buffers`)
  })

  t.test('a gzip bomb is kept as the bytes it is', async (t) => {
    const bomb = gzipSync(Buffer.alloc(4 * 1024 * 1024))
    const target = await receiver(t, { status: 200, body: bomb, headers: { 'content-encoding': 'gzip' } })
    const outcome = await client(t).post(target.url, REQUEST)
    t.match(outcome, { kind: 'response', statusCode: 200 })
    t.ok(outcome.kind === 'response' && outcome.body.length <= 4096 && outcome.body.startsWith('\u001f\ufffd'))
    t.notOk(target.received[0]?.headers['accept-encoding'])
  })

  t.test('NUL and what is not UTF-8 become U+FFFD', async (t) => {
    const target = await receiver(t, { status: 200, body: Buffer.from([0x61, 0x00, 0xff, 0xc3, 0xa9]) })
    t.match(await client(t).post(target.url, REQUEST), { kind: 'response', body: 'a\ufffd\ufffdé' })
  })

  t.test('a connection that breaks off in the body leaves the status to count', async (t) => {
    const target = await rawServer(t, (socket) => {
      socket.write('HTTP/1.1 202 Accepted\r\ncontent-length: 100\r\n\r\npartial', () => socket.destroy())
    })
    t.match(await client(t).post(target.url, REQUEST), { kind: 'response', statusCode: 202, body: 'partial' })
  })

  t.test('an answer that is not HTTP is an invalid response', async (t) => {
    const garbage = await rawServer(t, (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'))
    t.match(await client(t).post(garbage.url, REQUEST), { kind: 'invalid_response', error: /HTTP\/1\.1 protocol/ })
    const endless = await rawServer(t, (socket) => socket.write(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(70_000)}`))
    t.match(await client(t).post(endless.url, REQUEST), { kind: 'invalid_response', error: /Headers Overflow/i })
  })
})

t.test('no answer', async (t) => {
  t.test('a connection refused, reset or closed is a connection failure', async (t) => {
    const reset = await rawServer(t, (socket) => socket.resetAndDestroy())
    t.match(await client(t).post(reset.url, REQUEST), { kind: 'connection_failed', error: /ECONNRESET/ })
    const closing = await rawServer(t, (socket) => socket.destroy())
    t.match(await client(t).post(closing.url, REQUEST), { kind: 'connection_failed', error: /closed/ })
    const gone = await createReceiver()
    await gone.close()
    t.match(await client(t).post(gone.url, REQUEST), { kind: 'connection_failed', error: /ECONNREFUSED/ })
    const { resolve } = answers(['127.0.0.1', '127.0.0.2'])
    const named = await client(t, { resolve, allowPrivateTargets: ['127.0.0.0/8'] }).post(
      `http://hooks.example:${gone.port}/`,
      REQUEST,
    )
    t.match(named, { kind: 'connection_failed', error: /ECONNREFUSED.*; .*ECONNREFUSED/ }, 'every address is named')
  })

  t.test('a name that does not resolve is a connection failure', async (t) => {
    const resolve = async () => {
      throw Object.assign(new Error('getaddrinfo ENOTFOUND hooks.example'), { code: 'ENOTFOUND' })
    }
    const outcome = await client(t, { resolve }).post('http://hooks.example/', REQUEST)
    t.match(outcome, { kind: 'connection_failed', error: 'getaddrinfo ENOTFOUND hooks.example' })
  })

  t.test('a certificate nobody trusts is a connection failure', async (t) => {
    const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], { keySize: 2048 })
    const server = createTlsServer({ key, cert }, (socket) => socket.end()).on('tlsClientError', () => {})
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const { port } = server.address() as AddressInfo
    const outcome = await client(t).post(`https://127.0.0.1:${port}/`, REQUEST)
    t.match(outcome, { kind: 'connection_failed', error: /self.signed certificate/ })
  })

  t.test('an error never repeats the path, the query or a header', async (t) => {
    const gone = await createReceiver()
    await gone.close()
    const request = { ...REQUEST, headers: { authorization: 'Bearer s3cret', bad: 'line\r\nbreak s3cret' } }
    for (const headers of [REQUEST.headers, request.headers]) {
      const outcome = await client(t).post(`${gone.url}/s3cret?token=s3cret`, { ...REQUEST, headers })
      t.equal(outcome.kind, 'connection_failed')
      t.notMatch(JSON.stringify(outcome), /s3cret/)
    }
  })

  t.test('closing ends what is in flight', async (t) => {
    const target = await receiver(t, { status: 200, hang: true })
    const http = client(t)
    const posting = http.post(target.url, REQUEST)
    await target.waitFor(1)
    await http.close()
    t.match(await posting, { kind: 'connection_failed' })
    t.match(await http.post(target.url, REQUEST), { kind: 'connection_failed' })
    t.equal(target.received.length, 1)
  })
})

t.test('TLS material', async (t) => {
  const host = 'hooks.example'
  const resolve = async () => [{ address: '127.0.0.1', family: 4 }]
  const [ca, otherCa] = await Promise.all(['a private CA', 'another CA'].map((cn) => certificate(cn, { isCa: true })))
  const [serverPair, relay, second, stranger] = await Promise.all([
    certificate('a server', { ca, host }),
    certificate('relay', { ca }),
    certificate('second', { ca }),
    certificate('stranger', { ca: otherCa }),
  ])
  const mutual: ServerOptions = { ...serverPair, ca: ca!.cert, requestCert: true, rejectUnauthorized: true }

  t.test('a receiver that asks for a client certificate gets it, and its private authority is trusted', async (t) => {
    const { port } = await tlsReceiver(t, mutual)
    const tls = { ...relay, ca: ca!.cert }
    const outcome = await client(t, { resolve }).post(`https://${host}:${port}/`, { ...REQUEST, tls })
    t.match(outcome, { kind: 'response', statusCode: 200, body: 'relay' })
  })

  t.test('without a pair, or with a stranger, such a receiver is a connection failure', async (t) => {
    const { port } = await tlsReceiver(t, mutual)
    const http = client(t, { resolve })
    for (const tls of [{ ca: ca!.cert }, { ...stranger, ca: ca!.cert }]) {
      const outcome = await http.post(`https://${host}:${port}/`, { ...REQUEST, tls })
      t.equal(outcome.kind, 'connection_failed')
    }
  })

  t.test('an authority that is not listed is a connection failure, listed or not among the public ones', async (t) => {
    const { port, counts } = await tlsReceiver(t, serverPair!)
    const http = client(t, { resolve })
    for (const tls of [undefined, {}, relay, { ca: otherCa!.cert }, { ca: 'nobody' }]) {
      const outcome = await http.post(`https://${host}:${port}/`, { ...REQUEST, tls })
      t.match(outcome, { kind: 'connection_failed', error: /unable to (verify|get)|self-signed/ })
    }
    t.equal((await http.post(`https://${host}:${port}/`, { ...REQUEST, tls: { ca: ca!.cert } })).kind, 'response')
    t.equal(counts.requests, 1)
  })

  t.test('the very certificate may stand for its authority', async (t) => {
    const { port } = await tlsReceiver(t, serverPair!)
    const tls = { ca: serverPair!.cert }
    const outcome = await client(t, { resolve }).post(`https://${host}:${port}/`, { ...REQUEST, tls })
    t.match(outcome, { kind: 'response', statusCode: 200 })
  })

  t.test('a certificate for another host is a connection failure', async (t) => {
    const { port } = await tlsReceiver(t, serverPair!)
    const http = client(t, { resolve })
    for (const other of ['other.example', '127.0.0.1']) {
      const outcome = await http.post(`https://${other}:${port}/`, { ...REQUEST, tls: { ca: ca!.cert } })
      t.match(outcome, { kind: 'connection_failed', error: /does not match certificate's altnames|is not in the cert/ })
    }
  })

  t.test('the wall stands with it too', async (t) => {
    const { port, counts } = await tlsReceiver(t, serverPair!)
    const http = client(t, { allowPrivateTargets: [], resolve })
    for (const target of [host, '127.0.0.1']) {
      const outcome = await http.post(`https://${target}:${port}/`, { ...REQUEST, tls: { ca: ca!.cert } })
      t.match(outcome, { kind: 'target_refused' })
    }
    // 0.0.0.0 is listed and passes; the system connects it to 127.0.0.1, which is not.
    const zero = { allowPrivateTargets: ['0.0.0.0/32'], resolve: async () => [{ address: '0.0.0.0', family: 4 }] }
    const outcome = await client(t, zero).post(`https://${host}:${port}/`, { ...REQUEST, tls: { ca: ca!.cert } })
    t.match(outcome, { kind: 'target_refused', error: /^connected to 127\.0\.0\.1/ })
    t.equal(counts.requests, 0)
  })

  t.test('one identity never rides on the connection or the session of another', async (t) => {
    const { port, counts } = await tlsReceiver(t, { ...mutual, rejectUnauthorized: false, maxVersion: 'TLSv1.2' })
    const http = client(t, { resolve })
    const who = async (tls: object) => {
      const outcome = await http.post(`https://${host}:${port}/`, { ...REQUEST, tls: { ...tls, ca: ca!.cert } })
      return outcome.kind === 'response' ? outcome.body : outcome.error
    }
    for (let i = 0; i < 3; i++) {
      t.equal(await who(relay!), 'relay')
      t.equal(await who(second!), 'second')
      t.equal(await who({}), 'nobody')
    }
    t.ok(counts.connections - counts.resumed >= 3, 'each made a session of its own')
    t.ok(counts.connections <= 6, 'and equal material shares connections')
  })

  t.test('material that OpenSSL does not take is a connection failure that quotes none of it', async (t) => {
    const target = await receiver(t, { status: 204 })
    const http = client(t)
    const wrong = [
      { cert: 'c3VwZXJzZWNyZXQ', key: 'c3VwZXJzZWNyZXQ' },
      { cert: relay!.cert, key: second!.key },
      { cert: '-----BEGIN CERTIFICATE-----\nc3VwZXJzZWNyZXQ=\n-----END CERTIFICATE-----' },
    ]
    for (const tls of wrong) {
      const outcome = await http.post(target.url, { ...REQUEST, tls })
      t.match(outcome, { kind: 'connection_failed', error: /^the TLS material is unfit: / })
      t.notMatch(JSON.stringify(outcome), /c3VwZXJ|BEGIN/)
    }
    t.equal(target.connectionCount, 0)
  })

  t.test('closing ends what is in flight with it, and nothing starts afterwards', async (t) => {
    const target = await receiver(t, { status: 200, hang: true })
    const http = client(t)
    const request = { ...REQUEST, tls: { ca: ca!.cert } }
    const posting = http.post(target.url, request)
    await target.waitFor(1)
    await http.close()
    t.match(await posting, { kind: 'connection_failed' })
    t.match(await http.post(target.url, request), { kind: 'connection_failed' })
    t.match(await http.post(target.url, { ...REQUEST, tls: relay }), { kind: 'connection_failed' })
    t.equal(target.received.length, 1)
  })
})

t.test('as much of the body is kept as was asked for, and at most 64 KiB', async (t) => {
  const target = await receiver(t, { status: 200, body: 'x'.repeat(65_000) })
  const http = client(t)
  for (const [keepBytes, kept] of [
    [undefined, 4096],
    [10, 10],
    [20_000, 20_000],
    [1_000_000, 65_000],
  ] as const) {
    const outcome = await http.post(target.url, { ...REQUEST, keepBytes })
    t.equal(outcome.kind === 'response' && outcome.body.length, kept)
  }
  const endless = await receiver(t, { status: 200, body: 'x'.repeat(1_000_000) })
  const outcome = await http.post(endless.url, { ...REQUEST, keepBytes: 1_000_000 })
  t.equal(outcome.kind === 'response' && outcome.body.length, 64 * 1024)
})
