import t from 'tap'
import { MASK, maskCredentials, unmask } from '../../../src/core/webhook/credentials-mask.js'
import type { Auth, Credentials } from '../../../src/core/webhook/credentials.js'
import { accepts, expired, fromJson, NONE, other, relay } from './inputs.js'

const current: Credentials = {
  headers: { 'X-Api-Key': 's3cret', cookie: 's3cret' },
  auth: {
    type: 'oauth2',
    token_url: 'https://id.example/token',
    client_id: 'relay',
    client_secret: 's3cret',
    scope: 'write',
  },
  tls: { ...relay, ca: `${other!.client_cert}${expired!.client_cert}` },
}
const basic: Credentials = { ...NONE, auth: { type: 'basic', username: 'relay', password: 's3cret' } }
const bearer: Credentials = { ...NONE, auth: { type: 'bearer', token: 's3cret' } }

t.test('a masked view has every field and no secret', async (t) => {
  const shown = maskCredentials(current)
  t.match(shown, {
    headers: { 'X-Api-Key': MASK, cookie: MASK },
    auth: {
      type: 'oauth2',
      token_url: 'https://id.example/token',
      client_id: 'relay',
      client_secret: MASK,
      scope: 'write',
    },
    tls: {
      client_cert: {
        subject: 'CN=relay',
        expires_at: '2027-01-01T00:00:00.000Z',
        fingerprint_sha256: /^([0-9A-F]{2}:){31}/,
      },
      client_key: MASK,
      ca: [{ subject: 'CN=other' }, { subject: 'CN=expired', expires_at: '2026-06-01T00:00:00.000Z' }],
    },
  })
  t.same(maskCredentials(basic).auth, { type: 'basic', username: 'relay', password: MASK })
  t.same(maskCredentials(bearer).auth, { type: 'bearer', token: MASK })
  for (const credentials of [current, basic, bearer]) {
    t.notMatch(JSON.stringify(maskCredentials(credentials)), /s3cret|BEGIN/)
  }
  t.same(maskCredentials(NONE), NONE)
})

t.test('a masked view that is sent back changes nothing', async (t) => {
  for (const credentials of [
    current,
    basic,
    bearer,
    NONE,
    { ...NONE, tls: relay! },
    { ...NONE, tls: { ca: current.tls!.ca } },
  ]) {
    const shown = fromJson<ReturnType<typeof maskCredentials>>(JSON.stringify(maskCredentials(credentials)))
    t.ok(accepts.headers(shown.headers) && accepts.auth(shown.auth) && accepts.tls(shown.tls))
    t.same(unmask(shown, credentials), { credentials, errors: [] })
  }
})

t.test('a mask keeps the value of its field, whatever the case of a header name', async (t) => {
  const { credentials, errors } = unmask({ headers: { 'x-api-key': MASK, 'x-new': 'v' } }, current)
  t.same([credentials, errors], [{ headers: { 'x-api-key': 's3cret', 'x-new': 'v' } }, []])
  const changed = { type: 'basic', username: 'other', password: MASK } as const
  t.same(unmask({ auth: changed }, basic).credentials, { auth: { ...changed, password: 's3cret' } })
  t.same(unmask({ tls: { ...other, client_key: MASK } }, current).credentials, {
    tls: { client_cert: other!.client_cert, client_key: relay!.client_key },
  })
})

t.test('fields that a patch does not name stay, and null removes one', async (t) => {
  t.same(unmask({}, current), { credentials: {}, errors: [] })
  t.same(unmask({ auth: null, tls: null }, current), { credentials: { auth: null, tls: null }, errors: [] })
})

t.test('a mask without a stored value is refused', async (t) => {
  const refused = (patch: Parameters<typeof unmask>[0], has: Credentials | undefined) => {
    const { errors } = unmask(patch, has)
    t.ok(errors.every(({ detail }) => /nothing to keep|no value to keep|another certificate/.test(detail)))
    return errors.map(({ path }) => path)
  }
  t.same(refused({ headers: { x: MASK, toString: MASK, 'a/b': MASK } }, current), [
    '/headers/x',
    '/headers/toString',
    '/headers/a~1b',
  ])
  t.same(refused({ headers: fromJson(`{"__proto__":"${MASK}"}`) }, current), ['/headers/__proto__'])
  t.same(refused({ auth: { type: 'bearer', token: MASK } }, current), ['/auth/token'])
  t.same(refused({ auth: { type: 'basic', username: 'x', password: MASK } }, bearer), ['/auth/password'])
  const shown = maskCredentials(current)
  const elsewhere = { ...shown.auth, token_url: 'https://evil.example/token' } as Auth
  t.same(refused({ auth: elsewhere }, current), ['/auth/client_secret'], 'a secret goes to no other server')
  t.same(refused({ tls: shown.tls }, { ...NONE, tls: other! }), ['/tls/client_cert', '/tls/ca'])
  t.same(refused({ tls: { ca: [] } }, current), ['/tls/ca'])
  t.same(refused({ tls: { ca: [] } }, NONE), ['/tls/ca'])
  t.same(refused(shown, undefined), [
    '/headers/X-Api-Key',
    '/headers/cookie',
    '/auth/client_secret',
    '/tls/client_cert',
    '/tls/client_key',
    '/tls/ca',
  ])
})
