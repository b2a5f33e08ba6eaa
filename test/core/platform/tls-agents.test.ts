import type { ServerOptions } from 'node:https'
import t from 'tap'
import { createTlsAgents, type TlsMaterial } from '../../../src/core/platform/tls-agents.js'
import { client, receiver, REQUEST } from '../../helpers/http-client.js'
import { certificate, tlsReceiver } from '../../helpers/tls.js'

function setUp() {
  const agents: { number: number; destroyed: boolean; destroy(): Promise<void> }[] = []
  const pool = createTlsAgents(() => {
    const agent = {
      number: agents.length,
      destroyed: false,
      async destroy() {
        agent.destroyed = true
      },
    }
    agents.push(agent)
    return agent
  })
  const use = (tls: TlsMaterial | undefined, until?: Promise<void>) =>
    pool.use(
      tls,
      async (agent) => {
        await until
        return agent.number
      },
      () => -1,
    )
  return { pool, agents, use }
}

/** OpenSSL accepts a text that is not PEM as a list without authorities. */
const material = (n: number): TlsMaterial => ({ ca: `not PEM ${n}` })

t.test('equal material shares an agent, other material does not, and no material uses the default agent', async (t) => {
  const { use, agents } = setUp()
  t.same(await Promise.all([use(undefined), use(material(1)), use({ ...material(1) }), use(material(2))]), [0, 1, 1, 2])
  t.equal(agents.length, 3)
})

t.test('above 200 agents the least recently used is destroyed, unless it has work in flight', async (t) => {
  const { use, agents } = setUp()
  let release = (): void => {}
  const released = new Promise<void>((resolve) => (release = resolve))
  const working = use(material(1), released)
  for (let n = 2; n <= 200; n++) await use(material(n))
  await use(material(2))
  t.notOk(agents.some(({ destroyed }) => destroyed))
  await use(material(201))
  const destroyed = () => agents.filter(({ destroyed }) => destroyed).map(({ number }) => number)
  t.same(destroyed(), [3], 'the first has work in flight, the second was used again')
  release()
  t.equal(await working, 1)
  await use(material(202))
  t.same(destroyed(), [1, 3])
  t.equal(await use(material(3)), 203, 'a destroyed agent is made again')
})

t.test('work that fails is no longer in flight', async (t) => {
  const { pool, use, agents } = setUp()
  const failing = pool.use(
    material(1),
    async () => {
      throw new Error('a bug')
    },
    () => -1,
  )
  await t.rejects(failing, { message: 'a bug' })
  for (let n = 2; n <= 201; n++) await use(material(n))
  t.ok(agents[1]!.destroyed)
})

t.test('material that OpenSSL does not accept makes no agent', async (t) => {
  const { use, agents } = setUp()
  t.equal(await use({ cert: 'nonsense', key: 'nonsense' }), -1)
  t.equal(agents.length, 1)
})

t.test('closing destroys all agents, and later work gets the default agent', async (t) => {
  const { pool, use, agents } = setUp()
  await use(material(1))
  await pool.close()
  t.ok(agents.every(({ destroyed }) => destroyed))
  t.equal(await use(material(1)), 0)
  t.equal(agents.length, 2)
})

t.test('posts with TLS material', async (t) => {
  const host = 'hooks.example'
  const resolve = async () => [{ address: '127.0.0.1', family: 4 }]
  const [ca, otherCa] = await Promise.all(['a private CA', 'another CA'].map((cn) => certificate(cn, { isCa: true })))
  const [serverPair, relay, second, foreign] = await Promise.all([
    certificate('a server', { ca, host }),
    certificate('relay', { ca }),
    certificate('second', { ca }),
    certificate('foreign', { ca: otherCa }),
  ])
  const mutual: ServerOptions = { ...serverPair, ca: ca!.cert, requestCert: true, rejectUnauthorized: true }

  t.test('a receiver that requires a client certificate gets it, and its private authority is trusted', async (t) => {
    const { port } = await tlsReceiver(t, mutual)
    const tls = { ...relay, ca: ca!.cert }
    const outcome = await client(t, { resolve }).post(`https://${host}:${port}/`, { ...REQUEST, tls })
    t.match(outcome, { kind: 'response', statusCode: 200, body: 'relay' })
  })

  t.test('without a client certificate, or with one of another authority, the connection fails', async (t) => {
    const { port } = await tlsReceiver(t, mutual)
    const http = client(t, { resolve })
    for (const tls of [{ ca: ca!.cert }, { ...foreign, ca: ca!.cert }]) {
      const outcome = await http.post(`https://${host}:${port}/`, { ...REQUEST, tls })
      t.equal(outcome.kind, 'connection_failed')
    }
  })

  t.test('a receiver whose authority is not trusted is a connection failure', async (t) => {
    const { port, counts } = await tlsReceiver(t, serverPair!)
    const http = client(t, { resolve })
    for (const tls of [undefined, {}, relay, { ca: otherCa!.cert }, { ca: 'not PEM' }]) {
      const outcome = await http.post(`https://${host}:${port}/`, { ...REQUEST, tls })
      t.match(outcome, { kind: 'connection_failed', error: /unable to (verify|get)|self-signed/ })
    }
    t.equal((await http.post(`https://${host}:${port}/`, { ...REQUEST, tls: { ca: ca!.cert } })).kind, 'response')
    t.equal(counts.requests, 1)
  })

  t.test("the receiver's own certificate may be trusted without its authority", async (t) => {
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

  t.test('one identity never uses the connection or the session of another', async (t) => {
    const { port, counts } = await tlsReceiver(t, { ...mutual, rejectUnauthorized: false, maxVersion: 'TLSv1.2' })
    const http = client(t, { resolve })
    const who = async (tls: object) => {
      const outcome = await http.post(`https://${host}:${port}/`, { ...REQUEST, tls: { ...tls, ca: ca!.cert } })
      return outcome.kind === 'response' ? outcome.body : outcome.error
    }
    for (let i = 0; i < 3; i++) {
      t.equal(await who(relay!), 'relay')
      t.equal(await who(second!), 'second')
      t.equal(await who({}), 'no certificate')
    }
    t.ok(counts.connections - counts.resumed >= 3, 'each identity made a session of its own')
    t.ok(counts.connections <= 6, 'and equal material shares connections')
  })

  t.test('material that OpenSSL does not accept is a connection failure that quotes none of it', async (t) => {
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

  t.test('closing ends requests in flight, and nothing is sent afterwards', async (t) => {
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
