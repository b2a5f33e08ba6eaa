import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import t, { type Test } from 'tap'
import { createHttpClient } from '../../../src/core/platform/http-client.js'
import { certificate } from '../../helpers/tls.js'

const HOST = 'hooks.example'
const { cert, key } = await certificate(HOST, { host: HOST })
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi'

type Answer = (socket: Socket) => void | Promise<void>

/** A server that answers every request with bytes, and a way to post to it. */
async function receiver(t: Test, answer: Answer, scheme: 'http' | 'https' = 'http') {
  const sockets = new Set<Socket>()
  const onSocket = (socket: Socket) => {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => {}).on('data', () => void answer(socket))
  }
  const server = scheme === 'http' ? createServer(onSocket) : createTlsServer({ key, cert }, onSocket)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const http = createHttpClient({
    allowPrivateTargets: ['127.0.0.1/32'],
    resolve: async () => [{ address: '127.0.0.1', family: 4 }],
  })
  t.teardown(async () => {
    await http.close()
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  const { port } = server.address() as AddressInfo
  const tls = scheme === 'https' ? { ca: cert } : undefined
  const post = () => http.post(`${scheme}://${HOST}:${port}/`, { headers: {}, body: '{}', timeoutMs: 10_000, tls })
  return { post, sockets }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

for (const scheme of ['http', 'https'] as const) {
  t.test(`${scheme}: an unasked 100 Continue is passed over, and the connection serves the next try`, async (t) => {
    const { post, sockets } = await receiver(t, (s) => void s.write(`HTTP/1.1 100 Continue\r\n\r\n${OK}`), scheme)
    for (let i = 0; i < 10; i++) t.match(await post(), { kind: 'response', statusCode: 200, body: 'hi' })
    t.ok(sockets.size <= 2, `${sockets.size} connections`)
  })

  t.test(`${scheme}: interim answers in a row are passed over, in whatever packets they come`, async (t) => {
    const interim =
      'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\nx: y\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'
    const bytes = `${interim}HTTP/1.1 100 \r\n\r\n${OK}`
    let size = 1
    const answer = async (socket: Socket) => {
      for (let at = 0; at < bytes.length; at += size) {
        socket.write(bytes.slice(at, at + size))
        await turn()
      }
    }
    const { post, sockets } = await receiver(t, answer, scheme)
    for (size of [1, 2, 7, 24, 25, 26, 60, 1_000]) {
      t.match(await post(), { kind: 'response', statusCode: 200, body: 'hi' }, `${size} bytes a packet`)
    }
    t.ok(sockets.size <= 2, `${sockets.size} connections`)
  })
}

t.test('a body that looks like an interim answer is left alone', async (t) => {
  const body = 'HTTP/1.1 100 Continue\r\n\r\n'
  const { post } = await receiver(t, async (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`)
    await turn()
    socket.write(body)
  })
  for (let i = 0; i < 3; i++) t.match(await post(), { kind: 'response', statusCode: 200, body })
})

t.test('interim answers beyond 64 KiB are an invalid response', async (t) => {
  const one = `HTTP/1.1 103 Early Hints\r\nlink: ${'x'.repeat(20_000)}\r\n\r\n`
  const three = await receiver(t, (socket) => void socket.write(one.repeat(3) + OK))
  t.match(await three.post(), { kind: 'response', statusCode: 200 })
  const error = 'more than 65536 bytes of interim answers'
  const four = await receiver(t, (socket) => void socket.write(one.repeat(4) + OK))
  t.match(await four.post(), { kind: 'invalid_response', error })
  const endless = await receiver(t, (socket) => void socket.write(`HTTP/1.1 100 Continue\r\nx: ${'y'.repeat(70_000)}`))
  t.match(await endless.post(), { kind: 'invalid_response', error })
})

t.test('a 101 Switching Protocols that nobody asked for is an invalid response', async (t) => {
  for (const headers of ['', 'connection: upgrade\r\nupgrade: x\r\n']) {
    const { post } = await receiver(t, (s) => void s.write(`HTTP/1.1 101 Switching Protocols\r\n${headers}\r\n${OK}`))
    t.match(await post(), { kind: 'invalid_response', error: '101 Switching Protocols, which was not asked for' })
  }
})

t.test('headers of an answer up to 64 KiB are read, and more are an invalid response', async (t) => {
  let length = 60_000
  const { post } = await receiver(t, (socket) => {
    socket.write(`HTTP/1.1 503 Busy\r\nx: ${'y'.repeat(length)}\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n`)
  })
  t.match(await post(), { kind: 'response', statusCode: 503, retryAfter: '7' })
  length = 65_536
  t.match(await post(), { kind: 'invalid_response', error: 'Headers Overflow Error' })
})

t.test('a Content-Length twice, or beside Transfer-Encoding, is an invalid response that says so', async (t) => {
  const protocol = 'Response does not match the HTTP/1.1 protocol'
  const wrong: [head: string, error: string][] = [
    ['Content-Length: 2\r\nContent-Length: 2', `${protocol} (Duplicate Content-Length)`],
    ['content-length: 2\r\nx: y\r\nCONTENT-LENGTH: 3', `${protocol} (Duplicate Content-Length)`],
    ['Content-Length: 0\r\nContent-Length: 0', `${protocol} (Duplicate Content-Length)`],
    [
      'Transfer-Encoding: chunked\r\nContent-Length: 2',
      `${protocol} (Content-Length can't be present with Transfer-Encoding)`,
    ],
    [
      'Content-Length: 2\r\nTransfer-Encoding: chunked',
      `${protocol} (Transfer-Encoding can't be present with Content-Length)`,
    ],
    ['Content-Length: 2, 2', protocol],
    ['Content-Length: 2\r\nno header', protocol],
  ]
  for (const [head, error] of wrong) {
    const whole = await receiver(t, (socket) => void socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n\r\nhi`))
    t.match(await whole.post(), { kind: 'invalid_response', error }, head)
    const dripping = await receiver(t, async (socket) => {
      for (const byte of `HTTP/1.1 200 OK\r\n${head}\r\n\r\nhi`) {
        socket.write(byte)
        await turn()
      }
    })
    t.match(await dripping.post(), { kind: 'invalid_response', error }, `${head}, byte by byte`)
  }
})

t.test('a body shorter than its Content-Length leaves the status to count', async (t) => {
  const { post } = await receiver(t, (s) => void s.end('HTTP/1.1 202 Accepted\r\ncontent-length: 100\r\n\r\npartial'))
  t.match(await post(), { kind: 'response', statusCode: 202, body: 'partial' })
})
