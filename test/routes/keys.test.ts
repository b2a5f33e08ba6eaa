import t from 'tap'
import type { ApiKey } from '../../src/core/access/api-key.js'
import { FULL_KEY, openTestApi } from '../helpers/api.js'

const MINUTE_MS = 60_000
const WEBHOOK = { url: 'https://example.com/hook' }

t.test('a key is shown once, and is in no list, log, database or audit log', async (t) => {
  const { call, makeKey, database, lines, entries } = await openTestApi(t)
  const made = await makeKey({ scope: 'write', name: 'the SOAR' })
  const { key, ...shown } = made
  t.match(key, /^ark_[0-9a-f]{32}_[\w-]{43}$/)
  t.match(shown, { id: /^key_[0-9a-f]{32}$/, name: 'the SOAR', scope: 'write', expires_at: null, revoked_at: null })
  const secret = key.split('_').slice(2).join('_')
  t.equal((await call(key, 'POST', '/v1/webhooks', WEBHOOK)).statusCode, 201)
  t.equal((await call(`${key}x`, 'GET', '/v1/webhooks')).statusCode, 401)
  t.equal((await call(key, 'GET', '/v1/keys')).statusCode, 403)
  const list = await call(FULL_KEY, 'GET', '/v1/keys')
  t.match(list.json(), { data: [shown.id].map((id) => ({ id, last_used_at: String })), next_cursor: null })
  const { rows } = await database.query<{ digest: Buffer }>('select * from api_keys')
  t.equal(rows[0]!.digest.length, 32)
  const texts = {
    list: list.body,
    rows: JSON.stringify(rows),
    log: lines.join(''),
    audit: JSON.stringify(await entries()),
  }
  for (const [source, text] of Object.entries(texts)) {
    t.ok(text.length > 0)
    for (const hidden of [secret, FULL_KEY, rows[0]!.digest.toString('hex')]) t.notOk(text.includes(hidden), source)
  }
  t.notOk(list.body.includes('digest'))
})

t.test('a revoked key is refused at once in every instance, without details', async (t) => {
  const { call, startInstance, makeKey, entries } = await openTestApi(t)
  const other = await startInstance()
  const { key, id } = await makeKey({ scope: 'admin' })
  for (const instance of [call, other]) t.equal((await instance(key, 'GET', '/v1/webhooks')).statusCode, 200)
  t.equal((await call(FULL_KEY, 'DELETE', `/v1/keys/${id}`)).statusCode, 204)
  const unknown = `ark_${'0'.repeat(32)}_${'a'.repeat(43)}`
  const swapped = key.slice(0, -1) + (key.endsWith('A') ? 'B' : 'A')
  for (const instance of [call, other]) {
    const answers = await Promise.all([key, unknown, swapped].map((text) => instance(text, 'GET', '/v1/webhooks')))
    for (const answer of answers) {
      t.equal(answer.statusCode, 401)
      t.equal(answer.headers['www-authenticate'], 'Bearer')
      t.match(answer.json(), { type: 'urn:alert-relay:problem:unauthorized', detail: /not known, or was revoked/ })
      t.equal(answer.body, answers[0]!.body)
    }
  }
  t.equal((await other(FULL_KEY, 'DELETE', `/v1/keys/${id}`)).statusCode, 204, 'again changes nothing')
  t.equal((await call(FULL_KEY, 'DELETE', `/v1/keys/key_${'0'.repeat(32)}`)).statusCode, 404)
  t.match(await entries('actor=API_KEYS'), [
    { action: 'key.revoked', actor: 'API_KEYS', target: id, changes: {} },
    { action: 'key.created', actor: 'API_KEYS', target: id, changes: { scope: { after: 'admin' } } },
  ])
  t.match((await call(FULL_KEY, 'GET', '/v1/keys')).json(), { data: [{ id, revoked_at: String }] })
})

t.test('an expired key is refused, with that reason', async (t) => {
  let now = new Date()
  const { call, makeKey } = await openTestApi(t, () => now)
  const expires = new Date(now.getTime() + 10 * MINUTE_MS)
  const { key } = await makeKey({ scope: 'read', expires_at: expires.toISOString() })
  t.equal((await call(key, 'GET', '/v1/webhooks')).statusCode, 200)
  now = new Date(expires.getTime() - 1)
  t.equal((await call(key, 'GET', '/v1/webhooks')).statusCode, 200)
  now = expires
  const answer = await call(key, 'GET', '/v1/webhooks')
  t.equal(answer.statusCode, 401)
  t.match(answer.json(), { detail: /^This key has expired\./ })
})

t.test('the last use is recorded once a minute, and a refused request does not count', async (t) => {
  let now = new Date()
  const { call, makeKey } = await openTestApi(t, () => now)
  const { key } = await makeKey({ scope: 'read' })
  const lastUse = async () => (await call(FULL_KEY, 'GET', '/v1/keys')).json<{ data: ApiKey[] }>().data[0]!.last_used_at
  t.equal((await call(key, 'GET', '/v1/keys')).statusCode, 403)
  t.equal(await lastUse(), null)
  await call(key, 'GET', '/v1/webhooks')
  const first = now.toISOString()
  t.equal(await lastUse(), first)
  now = new Date(now.getTime() + MINUTE_MS)
  await call(key, 'GET', '/v1/webhooks')
  t.equal(await lastUse(), first)
  now = new Date(now.getTime() + 1)
  await call(key, 'GET', '/v1/webhooks')
  t.equal(await lastUse(), now.toISOString())
})

t.test('an invalid request for a key is refused with its field', async (t) => {
  const { call } = await openTestApi(t)
  const good = { name: 'x', scope: 'read' }
  for (const [body, path] of [
    [{ scope: 'read' }, '/name'],
    [{ ...good, name: '' }, '/name'],
    [{ ...good, name: 'x'.repeat(201) }, '/name'],
    [{ ...good, name: 'a\u001b[2J' }, '/name'],
    [{ ...good, name: 'a\u009b2J' }, '/name'],
    [{ ...good, name: 'a\u0000' }, '/name'],
    [{ name: 'x' }, '/scope'],
    [{ ...good, scope: 'root' }, '/scope'],
    [{ ...good, scope: '__proto__' }, '/scope'],
    [{ ...good, expires_at: 'tomorrow' }, '/expires_at'],
    [{ ...good, expires_at: '2020-01-01T00:00:00Z' }, '/expires_at'],
    [{ ...good, id: 'key_x' }, '/id'],
  ] as const) {
    const answer = await call(FULL_KEY, 'POST', '/v1/keys', body)
    t.equal(answer.statusCode, 400, JSON.stringify(body).slice(0, 60))
    t.match(answer.json(), { errors: [{ path }] })
  }
  t.match((await call(FULL_KEY, 'GET', '/v1/keys')).json(), { data: [] })
})

t.test('keys are listed in pages, newest first', async (t) => {
  const { call, makeKey } = await openTestApi(t)
  const made = [await makeKey({ scope: 'read' }), await makeKey({ scope: 'write' }), await makeKey({ scope: 'admin' })]
  const first = (await call(FULL_KEY, 'GET', '/v1/keys?limit=2')).json<{ data: ApiKey[]; next_cursor: string }>()
  const rest = (await call(FULL_KEY, 'GET', `/v1/keys?limit=2&cursor=${first.next_cursor}`)).json<typeof first>()
  t.same(
    [...first.data, ...rest.data].map(({ id }) => id),
    made.map(({ id }) => id).reverse(),
  )
  t.equal(rest.next_cursor, null)
})
