import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { gzipSync } from 'node:zlib'
import { generate } from 'selfsigned'
import t from 'tap'
import { client, rawServer, receiver, REQUEST, resolver } from '../../helpers/http-client.js'
import { createReceiver } from '../../helpers/receiver.js'

function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()))
}

t.test('a URL that is not http or https is refused', async (t) => {
  const http = client(t)
  for (const url of ['file:///etc/passwd', 'gopher://127.0.0.1/', 'nonsense', '']) {
    t.match(await http.post(url, REQUEST), { kind: 'target_refused', error: 'not an http or https URL' }, url)
  }
})

t.test('a redirect is a response and is not followed', async (t) => {
  const inside = await receiver(t, { status: 204 })
  const target = await receiver(t, { status: 307, headers: { location: inside.url } })
  t.match(await client(t).post(target.url, REQUEST), { kind: 'response', statusCode: 307 })
  t.equal(inside.connectionCount, 0)
})

t.test('proxy variables are not read', async (t) => {
  const proxy = await receiver(t, { status: 502 })
  const before = { ...process.env }
  t.teardown(() => (process.env = before))
  Object.assign(process.env, { http_proxy: proxy.url, HTTP_PROXY: proxy.url, NODE_USE_ENV_PROXY: '1' })
  const target = await receiver(t, { status: 204 })
  t.match(await client(t).post(target.url, REQUEST), { kind: 'response', statusCode: 204 })
  t.equal(proxy.connectionCount, 0)
})

t.test('the deadline', async (t) => {
  const DEADLINE = { ...REQUEST, timeoutMs: 150 }

  t.test('a receiver that never answers is a timeout', async (t) => {
    const target = await receiver(t, { status: 200, hang: true })
    const outcome = await client(t).post(target.url, DEADLINE)
    t.match(outcome, { kind: 'timeout', error: 'no answer within 150 ms' })
    t.ok(outcome.durationMs >= 149 && outcome.durationMs < 2_000, `${outcome.durationMs} ms`)
  })

  t.test('a DNS server that never answers is a timeout', async (t) => {
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
    const answered = new Promise<void>((resolve) => (answer = resolve))
    const resolve = () => answered.then(() => [{ address: '127.0.0.1', family: 4 }])
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

  t.test('headers that are not complete by the deadline are a timeout', async (t) => {
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

  t.test('a body that is not complete by the deadline is a response with its status', async (t) => {
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
  t.test('its status and body are returned, and its connection is reused', async (t) => {
    const target = await receiver(t, { status: 418, body: 'short and stout' })
    const http = client(t)
    for (let i = 0; i < 10; i++) {
      t.match(await http.post(target.url, REQUEST), { kind: 'response', statusCode: 418, body: 'short and stout' })
    }
    t.ok(target.connectionCount <= 2, 'undici opens a second one while the first ends its request, then reuses both')
    t.match(target.received[9], { method: 'POST', body: '{"a":1}', headers: { 'content-type': 'application/json' } })
  })

  t.test('the first 4 KiB of its body are kept, and after a longer one the connection is reused', async (t) => {
    const target = await receiver(t, { status: 200, body: 'x'.repeat(60_000) })
    const http = client(t)
    for (let i = 0; i < 10; i++) {
      t.match(await http.post(target.url, REQUEST), { kind: 'response', statusCode: 200, body: 'x'.repeat(4096) })
    }
    t.ok(target.connectionCount <= 2)
  })

  t.test('a body of 100 MB is not read to its end', async (t) => {
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

  t.test('a gzip bomb is not decompressed', async (t) => {
    const bomb = gzipSync(Buffer.alloc(4 * 1024 * 1024))
    const target = await receiver(t, { status: 200, body: bomb, headers: { 'content-encoding': 'gzip' } })
    const outcome = await client(t).post(target.url, REQUEST)
    t.match(outcome, { kind: 'response', statusCode: 200 })
    t.ok(outcome.kind === 'response' && outcome.body.length <= 4096 && outcome.body.startsWith('\u001f\ufffd'))
    t.notOk(target.received[0]?.headers['accept-encoding'])
  })

  t.test('NUL and invalid UTF-8 become U+FFFD', async (t) => {
    const target = await receiver(t, { status: 200, body: Buffer.from([0x61, 0x00, 0xff, 0xc3, 0xa9]) })
    t.match(await client(t).post(target.url, REQUEST), { kind: 'response', body: 'a\ufffd\ufffdé' })
  })

  t.test('a connection that breaks off in the body is a response with its status', async (t) => {
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
    const { resolve } = resolver(['127.0.0.1', '127.0.0.2'])
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

  t.test('an untrusted certificate is a connection failure', async (t) => {
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

  t.test('closing ends requests in flight', async (t) => {
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

t.test('keepBytes of the body are kept, and at most 64 KiB', async (t) => {
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
