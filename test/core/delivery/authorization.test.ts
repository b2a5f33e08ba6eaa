import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { createAuthorizer, type Authorization } from '../../../src/core/delivery/authorization.js'
import { createHttpClient } from '../../../src/core/platform/http-client.js'
import type { Auth } from '../../../src/core/webhook/credentials.js'
import { createReceiver, type Respond } from '../../helpers/receiver.js'

type OAuth2 = Extract<Auth, { type: 'oauth2' }>

const SECRET = 's3cret'
const granted = (fields: object = {}) => ({
  status: 200,
  body: JSON.stringify({ access_token: 'tk-1', token_type: 'Bearer', expires_in: 3600, ...fields }),
})
/** Grants tk-1, tk-2, ... */
const counting: Respond = (_request, count) => granted({ access_token: `tk-${count}` })

async function setUp(t: Test, respond: Respond = counting, allowPrivateTargets = ['127.0.0.1/32']) {
  const endpoint = await createReceiver({ respond })
  const http = createHttpClient({ allowPrivateTargets })
  t.teardown(() => Promise.all([http.close(), endpoint.close()]))
  const clock = { ms: 1_000_000_000_000 }
  const authorizer = createAuthorizer({ http, now: () => clock.ms })
  const auth: OAuth2 = { type: 'oauth2', token_url: endpoint.url, client_id: 'relay', client_secret: SECRET }
  const ask = (change: Partial<OAuth2> = {}, webhookId = 'wh_1', timeoutMs = 10_000) =>
    authorizer.headersFor(webhookId, { ...auth, ...change }, timeoutMs)
  return { endpoint, authorizer, clock, auth, ask }
}

const bearer = (token: string): Authorization => ({ ok: true, headers: { authorization: `Bearer ${token}` } })

t.test('without auth there is no header; basic and bearer credentials make theirs', async (t) => {
  const { authorizer, endpoint } = await setUp(t)
  const of = (auth: Auth | null) => authorizer.headersFor('wh_1', auth, 1000)
  t.same(await of(null), { ok: true, headers: {} })
  t.same(await of({ type: 'bearer', token: 'tk|1:x' }), bearer('tk|1:x'))
  const basic = await of({ type: 'basic', username: 'Zoë', password: 'a:b' })
  t.same(basic, { ok: true, headers: { authorization: `Basic ${Buffer.from('Zoë:a:b').toString('base64')}` } })
  authorizer.forget('wh_1', null)
  t.equal(endpoint.received.length, 0)
})

t.test('a token is requested as RFC 6749 says', async (t) => {
  t.test('with the client credentials in the header, form-encoded', async (t) => {
    const { ask, endpoint } = await setUp(t)
    t.same(await ask({ client_id: 'a b:c', client_secret: 'p+%', scope: 'read write' }), bearer('tk-1'))
    const [{ method, headers, body } = { method: '', headers: {}, body: '' }] = endpoint.received
    t.equal(method, 'POST')
    t.match(headers, {
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
      authorization: `Basic ${Buffer.from('a+b%3Ac:p%2B%25').toString('base64')}`,
    })
    t.same(
      [...new URLSearchParams(body)],
      [
        ['grant_type', 'client_credentials'],
        ['scope', 'read write'],
      ],
    )
  })

  t.test('or in the body, where a value cannot add a field', async (t) => {
    const { ask, endpoint } = await setUp(t)
    await ask({ client_auth: 'body', client_secret: 'x&scope=admin', audience: 'https://soar.example/' })
    t.notOk(endpoint.received[0]!.headers.authorization)
    t.same(
      [...new URLSearchParams(endpoint.received[0]!.body)],
      [
        ['grant_type', 'client_credentials'],
        ['audience', 'https://soar.example/'],
        ['client_id', 'relay'],
        ['client_secret', 'x&scope=admin'],
      ],
    )
  })
})

t.test('a token is cached', async (t) => {
  t.test('for one webhook and its current credentials', async (t) => {
    const { ask, endpoint } = await setUp(t)
    t.same(await ask(), bearer('tk-1'))
    t.same(await ask(), bearer('tk-1'))
    t.same(await ask({}, 'wh_2'), bearer('tk-2'))
    const changes = [{ client_secret: 'new' }, { client_id: 'new' }, { scope: 'x' }, { audience: 'x' }] as const
    for (const change of changes) await ask(change)
    t.equal(endpoint.received.length, 2 + changes.length)
    t.same(await ask(), bearer('tk-1'))
  })

  t.test('until shortly before it expires', async (t) => {
    for (const [expiresIn, keptMs] of [
      [3600, 3_540_000],
      ['3600', 3_540_000],
      [300, 270_000],
      [1, 5_000],
      [0, 5_000],
      [1e12, 86_340_000],
    ] as const) {
      const respond: Respond = (_request, count) => granted({ access_token: `tk-${count}`, expires_in: expiresIn })
      const { ask, clock } = await setUp(t, respond)
      await ask()
      clock.ms += keptMs - 1
      t.same(await ask(), bearer('tk-1'), `${expiresIn}`)
      clock.ms += 1
      t.same(await ask(), bearer('tk-2'), `${expiresIn}`)
    }
  })

  t.test('for five minutes when the answer has no usable expires_in', async (t) => {
    const odd = ['null', '-1', '"soon"', '""', '{}', '[]', 'true', '"1e99"', '{"toString":1,"valueOf":1}']
    for (const text of ['', ...odd.map((value) => `,"expires_in":${value}`)]) {
      const respond: Respond = (_request, count) => ({
        status: 200,
        body: `{"access_token":"tk-${count}","token_type":"bearer"${text}}`,
      })
      const { ask, clock } = await setUp(t, respond)
      t.same(await ask(), bearer('tk-1'), text)
      clock.ms += 300_000
      t.same(await ask(), bearer('tk-2'), text)
    }
  })

  t.test('and concurrent attempts wait for one request', async (t) => {
    let answer = (): void => {}
    const held = new Promise<void>((resolve) => (answer = resolve))
    const { ask, endpoint, clock, authorizer, auth } = await setUp(t, async () => {
      await held
      return granted()
    })
    const asked = Array.from({ length: 50 }, () => ask())
    await endpoint.waitFor(1)
    clock.ms += 3_600_000
    authorizer.forget('wh_1', auth)
    asked.push(ask())
    answer()
    t.same(await Promise.all(asked), Array(51).fill(bearer('tk-1')), 'also after a long wait and a forget')
    t.equal(endpoint.received.length, 1)
  })

  t.test('for the thousand webhooks that used one last', async (t) => {
    const { ask, endpoint } = await setUp(t)
    const names = Array.from({ length: 1000 }, (_, i) => `wh_${i}`)
    await Promise.all(names.map((name) => ask({}, name)))
    await ask({}, 'wh_0')
    t.equal(endpoint.received.length, 1000)
    await ask({}, 'wh_new')
    await ask({}, 'wh_0')
    t.equal(endpoint.received.length, 1001, 'the first was used again, and kept')
    await ask({}, 'wh_1')
    t.equal(endpoint.received.length, 1002, 'the second was evicted')
  })
})

t.test('a token that a receiver refused is replaced, unless it is new', async (t) => {
  const { ask, authorizer, auth, clock } = await setUp(t)
  await ask()
  clock.ms += 4_999
  authorizer.forget('wh_1', auth)
  t.same(await ask(), bearer('tk-1'))
  clock.ms += 1
  authorizer.forget('wh_2', auth)
  authorizer.forget('wh_1', { ...auth, client_secret: 'other' })
  t.same(await ask(), bearer('tk-1'), 'another webhook or other credentials do not affect it')
  authorizer.forget('wh_1', auth)
  t.same(await ask(), bearer('tk-2'))
  authorizer.forget('wh_1', auth)
  t.same(await ask(), bearer('tk-2'), 'a late answer to the old one does not replace the new one')
})

t.test('a failed token request', async (t) => {
  t.test('is cached for five seconds, also after a forget', async (t) => {
    const { ask, endpoint, clock, authorizer, auth } = await setUp(t, (_request, count) =>
      count === 1 ? { status: 503 } : granted(),
    )
    const failed = { ok: false, error: 'no token: the token endpoint answered 503' }
    t.same(await ask(), failed)
    clock.ms += 4_999
    authorizer.forget('wh_1', auth)
    t.same(await ask(), failed)
    t.equal(endpoint.received.length, 1)
    clock.ms += 1
    t.same(await ask(), bearer('tk-1'))
  })

  t.test('reports the error codes of RFC 6749 and no other text of the answer', async (t) => {
    const answers: [status: number, body: string, error: string][] = [
      [401, '{"error":"invalid_client"}', 'answered 401 invalid_client'],
      [400, `{"error":"invalid_scope","error_description":"${SECRET}"}`, 'answered 400 invalid_scope'],
      [400, `{"error":"${SECRET}"}`, 'answered 400'],
      [500, `<p>${SECRET}`, 'answered 500'],
      [200, '', 'has no access_token'],
      [200, '[]', 'has no access_token'],
      [200, 'null', 'has no access_token'],
      [200, '"tk"', 'has no access_token'],
      [200, `not json ${SECRET}`, 'has no access_token'],
      [200, '{"__proto__":{"access_token":"tk","token_type":"bearer"}}', 'has no access_token'],
      [200, '['.repeat(20_000), 'has no access_token'],
      [200, '{"access_token":"","token_type":"bearer"}', 'has no access_token'],
      [200, '{"access_token":7,"token_type":"bearer"}', 'has no access_token'],
      [200, '{"access_token":"a\\r\\nx-evil: 1","token_type":"bearer"}', 'has no access_token'],
      [200, '{"access_token":"a b","token_type":"bearer"}', 'has no access_token'],
      [200, '{"access_token":"é","token_type":"bearer"}', 'has no access_token'],
      [200, `{"access_token":"${'x'.repeat(12_001)}","token_type":"bearer"}`, 'has no access_token'],
      [200, `{"access_token":"${'x'.repeat(60_000)}","token_type":"bearer"}`, 'has no access_token'],
      [200, '{"access_token":"tk"}', 'another token_type'],
      [200, `{"access_token":"${SECRET}","token_type":"mac"}`, 'another token_type'],
      [201, '{"access_token":"tk","token_type":"bearer"}', 'answered 201'],
      [204, '', 'answered 204'],
    ]
    for (const [status, body, error] of answers) {
      const { ask } = await setUp(t, () => ({ status, body }))
      const outcome = await ask()
      t.ok(!outcome.ok && outcome.error.startsWith('no token: ') && outcome.error.includes(error), `${status} ${error}`)
      t.notMatch(JSON.stringify(outcome), SECRET)
    }
  })

  t.test('does not follow a redirect', async (t) => {
    const other = await createReceiver({ respond: () => granted() })
    t.teardown(() => other.close())
    const { ask } = await setUp(t, () => ({ status: 307, headers: { location: other.url } }))
    t.same(await ask(), { ok: false, error: 'no token: the token endpoint answered 307' })
    t.equal(other.connectionCount, 0)
  })

  t.test('does not connect to a private address', async (t) => {
    const { ask, endpoint } = await setUp(t, counting, [])
    const outcome = await ask()
    t.match(outcome, { ok: false, error: /^no token: the target is 127\.0\.0\.1, not a public address/ })
    t.equal(endpoint.connectionCount, 0)
  })

  t.test('reports a refused connection without path and query', async (t) => {
    const { ask, endpoint, auth } = await setUp(t)
    await endpoint.close()
    const outcome = await ask({ token_url: `${auth.token_url}/${SECRET}?key=${SECRET}` })
    t.match(outcome, { ok: false, error: /^no token: .*ECONNREFUSED/ })
    t.notMatch(JSON.stringify(outcome), SECRET)
  })

  t.test('reads little of an answer of 100 MB', async (t) => {
    const chunk = Buffer.alloc(64 * 1024, ' ')
    let sent = 0
    const server = createServer((_request, response) => {
      response.on('error', () => {})
      const pump = () => {
        while (!response.destroyed && sent < 100 * 1024 * 1024) {
          sent += chunk.length
          if (!response.write(chunk)) return void response.once('drain', pump)
        }
      }
      pump()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const { ask } = await setUp(t)
    const { port } = server.address() as AddressInfo
    t.match(await ask({ token_url: `http://127.0.0.1:${port}/` }), { ok: false, error: /has no access_token/ })
    t.ok(sent < 25 * 1024 * 1024, `${sent} bytes went into the socket's buffers`)
  })

  t.test('is an error when the timeout of the attempt is over; a token that arrives later is cached', async (t) => {
    let answer = (): void => {}
    const held = new Promise<void>((resolve) => (answer = resolve))
    const { ask, endpoint } = await setUp(t, async () => {
      await held
      return granted()
    })
    const outcome = await ask({}, 'wh_1', 50)
    t.match(outcome, { ok: false, error: /^the token endpoint took longer than 50 ms/ })
    answer()
    t.same(await ask(), bearer('tk-1'))
    t.equal(endpoint.received.length, 1)
  })
})

t.test('a token of 12,000 characters is accepted', async (t) => {
  const token = randomBytes(6_000).toString('hex')
  const { ask } = await setUp(t, () => granted({ access_token: token, id_token: 'x'.repeat(10_000) }))
  t.same(await ask(), bearer(token))
})
