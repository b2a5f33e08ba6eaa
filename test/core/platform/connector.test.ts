import t from 'tap'
import { client, rawServer, receiver, REQUEST, resolver } from '../../helpers/http-client.js'
import { certificate, tlsReceiver } from '../../helpers/tls.js'

t.test('a private address in the URL is refused in every spelling, without a connection', async (t) => {
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

t.test('a name is refused when every DNS answer is private', async (t) => {
  const target = await receiver(t, { status: 204 })
  const { resolve, queries } = resolver(['127.0.0.1', '::1', 'fd00::1'])
  const http = client(t, { allowPrivateTargets: [], resolve })
  const outcome = await http.post(`http://hooks.example:${target.port}/`, REQUEST)
  t.match(outcome, {
    kind: 'target_refused',
    error: /^hooks\.example resolves to 127\.0\.0\.1, ::1, fd00::1, not a public/,
  })
  t.same(queries, ['hooks.example'])
  t.equal(target.connectionCount, 0)
})

t.test('localhost is refused with the resolver of the operating system', async (t) => {
  const outcome = await client(t, { allowPrivateTargets: [] }).post('http://localhost:9/', REQUEST)
  t.match(outcome, { kind: 'target_refused', error: /^localhost resolves to / })
})

t.test('refused DNS answers are dropped, and the others are used', async (t) => {
  const target = await receiver(t, { status: 204 })
  const other = await rawServer(t, () => {}, '127.0.0.2')
  const { resolve } = resolver(['127.0.0.2', '10.0.0.1', '127.0.0.1'])
  const outcome = await client(t, { resolve }).post(`http://hooks.example:${target.port}/x?y=1`, REQUEST)
  t.match(outcome, { kind: 'response', statusCode: 204 })
  t.match(target.received, [{ path: '/x?y=1', headers: { host: `hooks.example:${target.port}` } }])
  t.equal(other.sockets.size, 0)
})

t.test('a name whose answer becomes private between two connections is refused', async (t) => {
  const target = await receiver(t, { status: 204, headers: { connection: 'close' } })
  const inside = await rawServer(t, (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'), '127.0.0.2')
  const { resolve, queries } = resolver(['127.0.0.1'], ['127.0.0.2'])
  const http = client(t, { resolve })
  t.match(await http.post(`http://rebind.example:${target.port}/`, REQUEST), { kind: 'response' })
  t.match(await http.post(`http://rebind.example:${inside.port}/`, REQUEST), { kind: 'target_refused' })
  t.match(await http.post(`http://rebind.example:${target.port}/`, REQUEST), { kind: 'target_refused' })
  t.equal(queries.length, 3, 'one query per connection: the checked address is the one that is connected')
  t.equal(inside.sockets.size, 0)
  t.equal(target.received.length, 1)
})

t.test('the address of the peer is checked once connected', async (t) => {
  // 0.0.0.0 is listed and passes; the system connects it to 127.0.0.1, which is not.
  const target = await receiver(t, { status: 204 })
  const http = client(t, { allowPrivateTargets: ['0.0.0.0/32'] })
  const outcome = await http.post(`http://0.0.0.0:${target.port}/`, REQUEST)
  t.match(outcome, { kind: 'target_refused', error: /^connected to 127\.0\.0\.1, not a public address/ })
  t.equal(target.received.length, 0)
})

t.test('connections with TLS material are checked too', async (t) => {
  const host = 'hooks.example'
  const resolve = async () => [{ address: '127.0.0.1', family: 4 }]
  const ca = await certificate('a private CA', { isCa: true })
  const { port, counts } = await tlsReceiver(t, await certificate('a server', { ca, host }))
  const http = client(t, { allowPrivateTargets: [], resolve })
  for (const target of [host, '127.0.0.1']) {
    const outcome = await http.post(`https://${target}:${port}/`, { ...REQUEST, tls: { ca: ca.cert } })
    t.match(outcome, { kind: 'target_refused' })
  }
  // 0.0.0.0 is listed and passes; the system connects it to 127.0.0.1, which is not.
  const zero = { allowPrivateTargets: ['0.0.0.0/32'], resolve: async () => [{ address: '0.0.0.0', family: 4 }] }
  const outcome = await client(t, zero).post(`https://${host}:${port}/`, { ...REQUEST, tls: { ca: ca.cert } })
  t.match(outcome, { kind: 'target_refused', error: /^connected to 127\.0\.0\.1/ })
  t.equal(counts.requests, 0)
})
