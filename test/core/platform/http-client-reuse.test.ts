import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import t, { type Test } from 'tap'
import { createHttpClient, type HttpClientOptions } from '../../../src/core/platform/http-client.js'
import { REQUEST, resolver } from '../../helpers/http-client.js'
import { certificate } from '../../helpers/tls.js'

const ANSWER = 'HTTP/1.1 204 No Content\r\n\r\n'
const HOST = 'hooks.example'

const { cert, key } = await certificate(HOST, { host: HOST })
const SCHEMES = ['http', 'https'] as const

/**
 * A server that speaks bytes: it calls `answer` for every request with its number on its connection, from 1.
 * `requests` are those numbers in the order they came in.
 */
async function rawServer(
  t: Test,
  answer: (socket: Socket, nth: number) => void,
  { scheme = 'http', host = '127.0.0.1', port = 0 }: { scheme?: string; host?: string; port?: number } = {},
) {
  const sockets = new Set<Socket>()
  const requests: number[] = []
  const onSocket = (socket: Socket) => {
    sockets.add(socket)
    let nth = 0
    let text = ''
    socket
      .on('error', () => {})
      .on('data', (data) => {
        text += data.toString('latin1')
        if (!text.endsWith(REQUEST.body)) return
        text = ''
        requests.push(++nth)
        answer(socket, nth)
      })
  }
  const server = scheme === 'http' ? createServer(onSocket) : createTlsServer({ key, cert }, onSocket)
  server.listen(port, host)
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  const bound = (server.address() as AddressInfo).port
  return { url: `${scheme}://${HOST}:${bound}/`, port: bound, requests, sockets }
}

function client(t: Test, options: Partial<HttpClientOptions> = {}) {
  const http = createHttpClient({ allowPrivateTargets: ['127.0.0.1/32'], ...resolver(['127.0.0.1']), ...options })
  t.teardown(() => http.close())
  return {
    close: () => http.close(),
    post: (url: string, timeoutMs = REQUEST.timeoutMs) =>
      http.post(url, { ...REQUEST, timeoutMs, tls: url.startsWith('https') ? { ca: cert } : undefined }),
  }
}

/** Lets the event loop turn, so that undici sees that a connection is free for the next request. */
const turn = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)))

const BREAKS: Record<string, (socket: Socket) => void> = {
  closed: (socket) => socket.end(),
  destroyed: (socket) => socket.destroy(),
  reset: (socket) => socket.resetAndDestroy(),
}

for (const scheme of SCHEMES) {
  for (const [name, breakOff] of Object.entries(BREAKS)) {
    if (scheme === 'https' && name === 'reset') continue // node:tls cannot
    t.test(`${scheme}: a request on a reused connection that is ${name} is sent again on a fresh one`, async (t) => {
      const server = await rawServer(t, (socket, nth) => (nth === 1 ? socket.write(ANSWER) : breakOff(socket)), {
        scheme,
      })
      const http = client(t)
      for (let i = 0; i < 6; i++) {
        t.match(await http.post(server.url), { kind: 'response', statusCode: 204 })
        await turn()
      }
      const broken = server.requests.filter((nth) => nth > 1).length
      t.ok(broken >= 2, `${broken} reused connections broke`)
      t.equal(server.requests.length, 6 + broken, 'each of them cost one request more')
    })
  }
}

t.test('the fresh connection is not an idle one of the pool', async (t) => {
  const waiting: Socket[] = []
  const server = await rawServer(t, (socket, nth) => {
    if (nth > 1) return socket.resetAndDestroy()
    if (server.requests.length > 5) return socket.write(ANSWER)
    waiting.push(socket)
    if (waiting.length === 5) for (const each of waiting) each.write(ANSWER)
  })
  const http = client(t)
  const warmedUp = await Promise.all(Array.from({ length: 5 }, () => http.post(server.url)))
  for (const outcome of warmedUp) t.match(outcome, { statusCode: 204 })
  await turn()
  t.match(await http.post(server.url), { kind: 'response', statusCode: 204 })
  t.same(server.requests, [1, 1, 1, 1, 1, 2, 1])
})

t.test('a request is sent again once, never twice', async (t) => {
  let isDown = false
  const server = await rawServer(t, (socket) => (isDown ? socket.resetAndDestroy() : socket.write(ANSWER)))
  const http = client(t)
  t.match(await http.post(server.url), { statusCode: 204 })
  await turn()
  isDown = true
  t.match(await http.post(server.url), { kind: 'connection_failed', error: /ECONNRESET/ })
  t.same(server.requests, [1, 2, 1])
})

t.test('an answer is lost where the request was sent and its answer did not come whole', async (t) => {
  const lost = async (answer: (socket: Socket) => void, timeoutMs?: number) => {
    const server = await rawServer(t, answer)
    return (await client(t).post(server.url, timeoutMs)).answerLost
  }
  const say =
    (text: string, end = true) =>
    (socket: Socket) =>
      void (end ? socket.end(text) : socket.write(text))
  t.equal(await lost((socket) => socket.resetAndDestroy()), true, 'reset')
  t.equal(await lost(() => {}, 200), true, 'timeout')
  t.equal(await lost(say('no HTTP\r\n\r\n')), true, 'no HTTP')
  t.equal(await lost(say('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"ok"')), true, '200, body broken off')
  t.equal(await lost(say('HTTP/1.1 500 No\r\ncontent-length: 9\r\n\r\n{"ok"')), false, '500, body broken off')
  t.equal(await lost(say(ANSWER)), false, '204')
  const closed = await rawServer(t, () => {})
  const port = await new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
  t.match(
    await client(t).post(`http://${HOST}:${port}/`),
    { kind: 'connection_failed', answerLost: false },
    'no connection',
  )
  t.match(await client(t, { allowPrivateTargets: [] }).post(closed.url), { kind: 'target_refused', answerLost: false })
})

t.test('an answer is lost where the first of two requests was, whatever the second is answered', async (t) => {
  const server = await rawServer(t, (socket, nth) => {
    if (nth > 1) return socket.resetAndDestroy()
    socket.write(server.requests.length === 1 ? ANSWER : 'HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n')
  })
  const http = client(t)
  t.match(await http.post(server.url), { statusCode: 204, answerLost: false })
  await turn()
  t.match(await http.post(server.url), { statusCode: 500, answerLost: true })
  t.same(server.requests, [1, 2, 1])
})

t.test('a request whose fresh connection breaks is not sent again', async (t) => {
  const server = await rawServer(t, (socket) => socket.resetAndDestroy())
  t.match(await client(t).post(server.url), { kind: 'connection_failed', error: /ECONNRESET/ })
  t.same(server.requests, [1])
})

t.test('a request is not sent again after one byte of an answer', async (t) => {
  for (const bytes of ['H', 'HTTP/1.1 20', 'HTTP/1.1 100 Continue\r\n\r\n']) {
    const server = await rawServer(t, (socket, nth) => (nth === 1 ? socket.write(ANSWER) : socket.end(bytes)))
    const http = client(t)
    t.match(await http.post(server.url), { statusCode: 204 })
    await turn()
    t.match(await http.post(server.url), { kind: 'connection_failed', error: /closed/ }, bytes)
    t.same(server.requests, [1, 2], bytes)
  }
})

t.test('the deadline holds for both sends together', async (t) => {
  const server = await rawServer(t, (socket, nth) => {
    if (server.requests.length === 1) socket.write(ANSWER)
    else if (nth === 2) setTimeout(() => socket.destroy(), 700)
  })
  const http = client(t)
  t.match(await http.post(server.url), { statusCode: 204 })
  await turn()
  const outcome = await http.post(server.url, 1_000)
  t.match(outcome, { kind: 'timeout', error: 'no answer within 1000 ms' })
  t.ok(outcome.durationMs >= 999 && outcome.durationMs < 1_600, `${outcome.durationMs} ms`)
  t.same(server.requests, [1, 2, 1])
})

t.test('closing ends a request on a reused connection, and it is not sent again', async (t) => {
  let arrived = (): void => {}
  const second = new Promise<void>((resolve) => (arrived = resolve))
  const server = await rawServer(t, (socket, nth) => (nth === 1 ? socket.write(ANSWER) : arrived()))
  const http = client(t)
  t.match(await http.post(server.url), { statusCode: 204 })
  await turn()
  const posting = http.post(server.url)
  await second
  await http.close()
  t.match(await posting, { kind: 'connection_failed' })
  t.same(server.requests, [1, 2])
})

t.test('the addresses of the fresh connection are checked too', async (t) => {
  const server = await rawServer(t, (socket, nth) => (nth === 1 ? socket.write(ANSWER) : socket.destroy()))
  const inside = await rawServer(t, (socket) => socket.write(ANSWER), { host: '127.0.0.2', port: server.port })
  const http = client(t, resolver(['127.0.0.1'], ['127.0.0.2']))
  t.match(await http.post(server.url), { statusCode: 204 })
  await turn()
  t.match(await http.post(server.url), { kind: 'target_refused', error: /resolves to 127\.0\.0\.2/ })
  t.equal(inside.sockets.size, 0)
})

for (const scheme of SCHEMES) {
  t.test(`${scheme}: a receiver that moved in the DNS is found although traffic never stops`, async (t) => {
    const old = await rawServer(t, (socket) => socket.write(ANSWER), { scheme })
    const moved = await rawServer(t, (socket) => socket.write(ANSWER), { scheme, host: '127.0.0.2', port: old.port })
    let address = '127.0.0.1'
    const http = client(t, {
      allowPrivateTargets: ['127.0.0.0/8'],
      resolve: async () => [{ address, family: 4 }],
      maxConnectionAgeMs: 50,
    })
    const post3 = () => Promise.all(Array.from({ length: 3 }, () => http.post(old.url)))
    await post3()
    address = '127.0.0.2'
    for (let before = -1; before < old.requests.length && before < 900;) {
      before = old.requests.length
      for (const outcome of await post3()) t.match(outcome, { kind: 'response', statusCode: 204 })
    }
    t.ok(old.requests.length < 900, `${old.requests.length} requests to where it was`)
    t.ok(moved.requests.length >= 3, `${moved.requests.length} to where it is`)
  })
}

t.test('a request under way on a connection that became too old is answered', async (t) => {
  const held: Socket[] = []
  const server = await rawServer(t, (socket) => (held.length === 0 ? held.push(socket) : socket.write(ANSWER)))
  const http = client(t, { maxConnectionAgeMs: 1 })
  const posting = http.post(server.url)
  for (let i = 0; server.sockets.size < 4 && i < 1_000; i++) {
    t.match(await http.post(server.url), { statusCode: 204 })
    await turn()
  }
  t.ok(server.sockets.size >= 4, 'others were made meanwhile')
  held[0]!.write(ANSWER)
  t.match(await posting, { kind: 'response', statusCode: 204 })
})
