import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { generate } from 'selfsigned'
import t from 'tap'
import { checkCredentials } from '../../../src/core/webhook/credentials-check.js'
import { tlsMaterialOf, type Auth, type Credentials, type Headers } from '../../../src/core/webhook/credentials.js'
import { accepts, early, expired, fromJson, NONE, other, relay } from './inputs.js'

const NOW = new Date('2026-06-01T00:00:00Z')
const URL = 'https://soar.example/hook'

const check = (credentials: Partial<Credentials>, url = URL) =>
  checkCredentials({ ...NONE, ...credentials, url, now: NOW })
const pathsOf = (credentials: Partial<Credentials>) => check(credentials).map(({ path }) => path)

t.test('ordinary headers are accepted', async (t) => {
  const headers = {
    Authorization: 'Splunk 1234',
    'X-Api-Key': 'a b~!"é\u00ff',
    'DD-API-KEY': 'x',
    accept: '*/*',
    cookie: 'a=b; c=d',
    "!#$%&'*+-.^_`|~": 'x',
    constructor: 'x',
    'x-forwarded-for': 'x',
  }
  t.ok(accepts.headers(headers))
  t.same(check({ headers }), [])
})

t.test('reserved headers and those of the connection are refused in any case', async (t) => {
  const names = ['host', 'Content-Length', 'CONTENT-TYPE', 'content-encoding', 'transfer-encoding', 'connection', 'TE']
  const more = ['upgrade', 'trailer', 'expect', 'keep-alive', 'proxy-authorization', 'Proxy-Connection', 'user-agent']
  const own = ['webhook-id', 'Webhook-Anything', 'X-Alert-Relay-Attempt', 'traceparent', 'tracestate', 'http2-settings']
  for (const name of [...names, ...more, ...own]) {
    t.same(check({ headers: { [name]: 'x' } }), [{ path: `/headers/${name}`, detail: 'is not yours to set' }])
  }
  const proto = fromJson<Headers>('{"__proto__":"x"}')
  t.same(check({ headers: proto }), [{ path: '/headers/__proto__', detail: 'is not yours to set' }])
})

t.test('a header with an invalid name is refused with its path', async (t) => {
  const names = ['', ' x', 'x ', 'a b', 'a:b', 'x\r\nevil', 'x\n', 'é', 'ｘ', 'a\u0000', '(x)', 'x'.repeat(129), '"']
  for (const name of names) {
    const [error, ...rest] = check({ headers: { [name]: 'x' } })
    t.same(error, { path: `/headers/${name.slice(0, 128)}`, detail: 'is not the name of a header' })
    t.same(rest, [])
  }
  t.equal(check({ headers: { 'a/b~c': 'x' } })[0]?.path, '/headers/a~1b~0c', 'a JSON pointer')
  t.equal(check({ headers: { ['x'.repeat(1e6)]: 'x' } })[0]?.path.length, '/headers/'.length + 128)
})

t.test('a header value that would end its line is refused and not quoted', async (t) => {
  const ends = [
    '\r\nx: y',
    '\n',
    '\r',
    '\u0000',
    '\t',
    '\u007f',
    '\u0085',
    '\u2028',
    '\u010d\u010a',
    '\ud800',
    '\u{1f512}',
  ]
  for (const value of [...ends.map((end) => `s3cret${end}z`), ' s3cret', 's3cret ', '\u00a0s3cret\n', '', ' ']) {
    const errors = check({ headers: { 'X-Key': value } })
    t.match(
      errors,
      [{ path: '/headers/X-Key', detail: /^has a value with a control character/ }],
      encodeURI(value.toWellFormed()),
    )
    t.notMatch(JSON.stringify(errors), /s3cret/)
  }
})

t.test('accepted headers have only characters that HTTP allows', async () => {
  const text = (...units: string[]) => fc.string({ unit: fc.constantFrom(...units), maxLength: 6 })
  const names = text('a', 'Z', '-', '_', '\r', '\n', ':', ' ', 'é', '\u0000')
  const values = text('a', '"', '~', ' ', 'é', '\t', '\r', '\n', '\u0000', '\u0085', '\u010a')
  fc.assert(
    fc.property(names, values, (name, value) => {
      const passes = check({ headers: Object.fromEntries([[name, value]]) }).length === 0
      return passes === (/^[aZ_-]+$/.test(name) && /^[a"~ é]+$/.test(value) && value.trim() === value)
    }),
    { numRuns: 2_000 },
  )
})

t.test('headers are checked in time linear in their length', async (t) => {
  const started = performance.now()
  check({ headers: { 'x-a': `${'a '.repeat(500_000)}\n`, 'x-b': `${' '.repeat(1e6)}x` } })
  t.ok(performance.now() - started < 1_000)
})

t.test('header names are unique in any case', async (t) => {
  t.same(check({ headers: { 'X-Key': 'a', 'x-other': 'b', 'x-kEY': 'c' } }), [
    { path: '/headers/x-kEY', detail: 'is there twice' },
  ])
})

t.test('there are at most twenty headers, with values of 1 to 2,000 characters', async (t) => {
  const many = (n: number) => Object.fromEntries(Array.from({ length: n }, (_, i) => [`x-${i}`, 'v']))
  for (const headers of [{}, many(20), { x: 'v'.repeat(2000) }]) t.ok(accepts.headers(headers))
  const odd = [{ x: 1 }, { x: null }, { x: ['v'] }, { 'a\nb': 1 }, fromJson('{"__proto__":{}}')]
  for (const headers of [many(21), { x: '' }, { x: 'v'.repeat(2001) }, ...odd, [], null]) {
    t.notOk(accepts.headers(headers))
  }
})

const oauth2 = {
  type: 'oauth2',
  token_url: 'https://id.example/token?a=b',
  client_id: 'id',
  client_secret: 's',
} as const
const basic = { type: 'basic', username: 'relay', password: 'pass:word é' } as const

t.test('auth of each type is accepted', async (t) => {
  const more = { scope: 'a b:c', audience: 'https://soar.example/', client_auth: 'body' } as const
  for (const auth of [
    null,
    basic,
    { ...basic, username: '' },
    { type: 'bearer', token: 'a.b|c=' },
    oauth2,
    { ...oauth2, ...more },
  ]) {
    t.ok(accepts.auth(auth))
    t.same(check({ auth: auth as Auth }), [])
  }
})

t.test('auth has all fields of its type and none of another', async (t) => {
  t.notOk(accepts.auth({ username: 'x' }))
  t.notOk(accepts.auth({ type: 'digest' }))
  t.notOk(accepts.auth({ ...basic, extra: 'x' }))
  const mixed = { type: 'basic', username: 'x', token: 's3cret' }
  t.ok(accepts.auth(mixed))
  t.same(check({ auth: mixed as unknown as Auth }), [
    { path: '/auth/token', detail: 'is unknown to basic' },
    { path: '/auth/password', detail: 'is required by basic' },
  ])
  t.same(pathsOf({ auth: { type: 'oauth2' } as Auth }), ['/auth/token_url', '/auth/client_id', '/auth/client_secret'])
  t.same(pathsOf({ auth: fromJson('{"type":"bearer","token":"x","__proto__":{}}') }), ['/auth/__proto__'])
})

t.test('auth that its header cannot represent is refused field by field, and no secret is quoted', async (t) => {
  const wrong: [Auth, string[]][] = [
    [{ ...basic, username: 'a:b' }, ['/auth/username']],
    [{ ...basic, username: 'a\nb', password: 's3cret\u0000' }, ['/auth/username', '/auth/password']],
    [{ type: 'bearer', token: 's3cret\r\nx: y' }, ['/auth/token']],
    [{ type: 'bearer', token: 'Bearer s3cret' }, ['/auth/token']],
    [{ type: 'bearer', token: 's3crét' }, ['/auth/token']],
    [{ ...oauth2, client_id: 'é', client_secret: 's3cret\n' }, ['/auth/client_id', '/auth/client_secret']],
    [{ ...oauth2, scope: 'a  b', audience: 'a b' }, ['/auth/scope', '/auth/audience']],
    [{ ...oauth2, scope: 'a"b' }, ['/auth/scope']],
  ]
  for (const [auth, paths] of wrong) {
    const errors = check({ auth })
    t.same(
      errors.map(({ path }) => path),
      paths,
    )
    t.notMatch(JSON.stringify(errors), /s3cr/)
  }
})

t.test('a token_url follows the rules of a webhook URL', async (t) => {
  const urls = [
    'id.example',
    '/token',
    'ftp://id.example/',
    'https://u:s3cret@id.example/',
    'https://id.example/#x',
    'arn:aws:x',
  ]
  for (const url of urls) {
    const errors = check({ auth: { ...oauth2, token_url: url } })
    t.same(
      errors.map(({ path }) => path),
      ['/auth/token_url'],
      url,
    )
    t.notMatch(JSON.stringify(errors), /s3cret/)
  }
})

t.test('auth and an authorization header exclude each other', async (t) => {
  t.same(check({ headers: { AUTHORIZATION: 'x' }, auth: basic }), [
    { path: '/headers/AUTHORIZATION', detail: 'is set by auth; one of the two must go' },
  ])
})

const ca = other!.client_cert

t.test('a certificate with its key, authorities, or both are accepted', async (t) => {
  const chain = `subject=CN = relay\n${relay!.client_cert}\nissuer=\n${ca}\n`
  const rsa = await generate([{ name: 'commonName', value: 'rsa' }], { keySize: 2048, algorithm: 'sha256' })
  const good = [null, relay!, { ca }, { ...relay, ca: `${ca}\r\n${expired!.client_cert}` }, early!]
  for (const tls of [...good, { ...relay, client_cert: chain }, { client_cert: rsa.cert, client_key: rsa.private }]) {
    t.ok(accepts.tls(tls))
    t.same(check({ tls }), [])
  }
  t.same(tlsMaterialOf({ ...relay, ca }), { cert: relay!.client_cert, key: relay!.client_key, ca })
  t.equal(tlsMaterialOf(null), undefined)
})

t.test('tls that cannot work is refused field by field, and no PEM is quoted', async (t) => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const locked = (type: 'pkcs8' | 'sec1') =>
    String(privateKey.export({ type, format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }))
  const weak = await generate([{ name: 'commonName', value: 'weak' }], {
    keySize: 512,
    algorithm: 'sha256',
    notBeforeDate: NOW,
  })
  const cert = relay!.client_cert
  const broken = cert.replace(/\n[A-Za-z0-9+/]{20}/, '\nAAAA')
  const wrong: [Credentials['tls'], string, RegExp][] = [
    [{}, '/tls', /is empty/],
    [{ client_cert: cert }, '/tls/client_key', /is required by client_cert/],
    [{ client_key: relay!.client_key }, '/tls/client_cert', /is required by client_key/],
    [{ ...relay, client_key: other!.client_key }, '/tls/client_key', /does not belong/],
    [{ ...relay, client_cert: `${ca}${cert}` }, '/tls/client_key', /does not belong to the first/],
    [{ ...relay, client_key: locked('pkcs8') }, '/tls/client_key', /encrypted; give it without a passphrase/],
    [{ ...relay, client_key: locked('sec1') }, '/tls/client_key', /encrypted; give it without a passphrase/],
    [{ ...relay, client_key: cert }, '/tls/client_key', /not a private key in PEM/],
    [
      { ...relay, client_key: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----' },
      '/tls/client_key',
      /cannot be read/,
    ],
    [{ ...relay, client_cert: relay!.client_key }, '/tls/client_cert', /holds a private key/],
    [{ ...relay, client_cert: 'nonsense' }, '/tls/client_cert', /not a certificate in PEM/],
    [{ ...relay, client_cert: broken }, '/tls/client_cert', /cannot be read/],
    [{ ...relay, client_cert: `${cert}-----BEGIN CERTIFICATE-----\n` }, '/tls/client_cert', /a broken one/],
    [expired!, '/tls/client_cert', /^expired at 2026-06-01T00:00:00\.000Z$/],
    [{ ca: expired!.client_cert }, '/tls/ca', /has expired/],
    [{ ca: `${ca}${relay!.client_key}` }, '/tls/ca', /holds a private key/],
    [{ ca: 'x' }, '/tls/ca', /not a certificate/],
    [{ ca: ca.repeat(51) }, '/tls/ca', /more than 50/],
    [{ client_cert: weak.cert, client_key: weak.private }, '/tls/client_cert', /too weak/],
  ]
  for (const [tls, path, detail] of wrong) {
    const errors = check({ tls })
    t.match(errors, [{ path, detail }], String(detail))
    t.equal(errors.length, 1)
    t.notMatch(JSON.stringify(errors), /M[IH][A-Za-z0-9+/]{20}|passphrase: x/)
  }
})

t.test('PEM is read in time linear in its length', async (t) => {
  const started = performance.now()
  check({ tls: { ca: '-----BEGIN CERTIFICATE-----'.repeat(5000) } })
  check({ tls: { ca: `-----BEGIN CERTIFICATE-----${'A\n'.repeat(65_000)}` } })
  t.ok(performance.now() - started < 500)
})

t.test('tls needs https, and a topic takes no credentials', async (t) => {
  t.same(check({ tls: relay! }, 'http://soar.example/'), [{ path: '/tls', detail: 'needs a url with https://' }])
  const all: Credentials = { headers: { x: 'y' }, auth: { type: 'bearer', token: 'x' }, tls: relay! }
  const errors = check(all, 'arn:aws:sns:eu-west-1:123456789012:changes')
  t.same(
    errors.map(({ path }) => path),
    ['/headers', '/auth', '/tls'],
  )
  t.same(check(NONE, 'arn:aws:sns:eu-west-1:123456789012:changes'), [])
})
