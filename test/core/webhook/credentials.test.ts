import { generateKeyPairSync } from 'node:crypto'
import { Ajv } from 'ajv'
import formats from 'ajv-formats'
import fc from 'fast-check'
import { generate } from 'selfsigned'
import t from 'tap'
import { MASK, maskCredentials, unmask } from '../../../src/core/webhook/credentials-mask.js'
import {
  Auth,
  checkCredentials,
  Headers,
  Tls,
  tlsMaterialOf,
  type Credentials,
} from '../../../src/core/webhook/credentials.js'

const NOW = new Date('2026-06-01T00:00:00Z')
const NONE: Credentials = { headers: {}, auth: null, tls: null }
const URL = 'https://soar.example/hook'

const check = (credentials: Partial<Credentials>, url = URL) =>
  checkCredentials({ ...NONE, ...credentials, url, now: NOW })
const pathsOf = (credentials: Partial<Credentials>) => check(credentials).map(({ path }) => path)
/** Data as the JSON of a request holds it: `__proto__` is a key. */
const fromJson = <T>(text: string) => JSON.parse(text) as T

const ajv = formats.default(new Ajv({ strict: true }))
const takes = { headers: ajv.compile(Headers), auth: ajv.compile(Auth), tls: ajv.compile(Tls) }

async function pair(commonName: string, from = '2026-01-01', until = '2027-01-01') {
  const { cert, private: key } = await generate([{ name: 'commonName', value: commonName }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(from),
    notAfterDate: new Date(until),
  })
  return { client_cert: cert, client_key: key }
}
const [relay, other, expired, early] = await Promise.all([
  pair('relay'),
  pair('other'),
  pair('expired', '2025-01-01', '2026-06-01'),
  pair('early', '2026-07-01'),
])

t.test('headers', async (t) => {
  t.test("of one's own are taken", async (t) => {
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
    t.ok(takes.headers(headers))
    t.same(check({ headers }), [])
  })

  t.test('that are ours, or speak of the connection, are refused in any case', async (t) => {
    const names = [
      'host',
      'Content-Length',
      'CONTENT-TYPE',
      'content-encoding',
      'transfer-encoding',
      'connection',
      'TE',
    ]
    const more = ['upgrade', 'trailer', 'expect', 'keep-alive', 'proxy-authorization', 'Proxy-Connection', 'user-agent']
    const own = [
      'webhook-id',
      'Webhook-Anything',
      'X-Alert-Relay-Attempt',
      'traceparent',
      'tracestate',
      'http2-settings',
    ]
    for (const name of [...names, ...more, ...own]) {
      t.same(check({ headers: { [name]: 'x' } }), [{ path: `/headers/${name}`, detail: 'is not yours to set' }])
    }
    const proto = fromJson<Headers>('{"__proto__":"x"}')
    t.same(check({ headers: proto }), [{ path: '/headers/__proto__', detail: 'is not yours to set' }])
  })

  t.test('with a name that is none are refused, the place named', async (t) => {
    const names = ['', ' x', 'x ', 'a b', 'a:b', 'x\r\nevil', 'x\n', 'é', 'ｘ', 'a\u0000', '(x)', 'x'.repeat(129), '"']
    for (const name of names) {
      const [error, ...rest] = check({ headers: { [name]: 'x' } })
      t.same(error, { path: `/headers/${name.slice(0, 128)}`, detail: 'is not the name of a header' })
      t.same(rest, [])
    }
    t.equal(check({ headers: { 'a/b~c': 'x' } })[0]?.path, '/headers/a~1b~0c', 'a JSON pointer')
    t.equal(check({ headers: { ['x'.repeat(1e6)]: 'x' } })[0]?.path.length, '/headers/'.length + 128)
  })

  t.test('with a value that would break out of its line are refused, and the value is not repeated', async (t) => {
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

  t.test('that pass hold nothing but what a line of HTTP may hold', async () => {
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

  t.test('are checked in time that grows with their length', async (t) => {
    const started = performance.now()
    check({ headers: { 'x-a': `${'a '.repeat(500_000)}\n`, 'x-b': `${' '.repeat(1e6)}x` } })
    t.ok(performance.now() - started < 1_000)
  })

  t.test('are unique, whatever their case', async (t) => {
    t.same(check({ headers: { 'X-Key': 'a', 'x-other': 'b', 'x-kEY': 'c' } }), [
      { path: '/headers/x-kEY', detail: 'is there twice' },
    ])
  })

  t.test('are at most twenty, of texts of 1 to 2,000 characters', async (t) => {
    const many = (n: number) => Object.fromEntries(Array.from({ length: n }, (_, i) => [`x-${i}`, 'v']))
    for (const headers of [{}, many(20), { x: 'v'.repeat(2000) }]) t.ok(takes.headers(headers))
    const odd = [{ x: 1 }, { x: null }, { x: ['v'] }, { 'a\nb': 1 }, fromJson('{"__proto__":{}}')]
    for (const headers of [many(21), { x: '' }, { x: 'v'.repeat(2001) }, ...odd, [], null]) {
      t.notOk(takes.headers(headers))
    }
  })
})

t.test('auth', async (t) => {
  const oauth2 = {
    type: 'oauth2',
    token_url: 'https://id.example/token?a=b',
    client_id: 'id',
    client_secret: 's',
  } as const
  const basic = { type: 'basic', username: 'relay', password: 'pass:word é' } as const

  t.test('of each type is taken', async (t) => {
    const more = { scope: 'a b:c', audience: 'https://soar.example/', client_auth: 'body' } as const
    for (const auth of [
      null,
      basic,
      { ...basic, username: '' },
      { type: 'bearer', token: 'a.b|c=' },
      oauth2,
      { ...oauth2, ...more },
    ]) {
      t.ok(takes.auth(auth))
      t.same(check({ auth: auth as Auth }), [])
    }
  })

  t.test('lacks nothing of its type and has nothing of another', async (t) => {
    t.notOk(takes.auth({ username: 'x' }))
    t.notOk(takes.auth({ type: 'digest' }))
    t.notOk(takes.auth({ ...basic, extra: 'x' }))
    const mixed = { type: 'basic', username: 'x', token: 's3cret' }
    t.ok(takes.auth(mixed))
    t.same(check({ auth: mixed as unknown as Auth }), [
      { path: '/auth/token', detail: 'is unknown to basic' },
      { path: '/auth/password', detail: 'is required by basic' },
    ])
    t.same(pathsOf({ auth: { type: 'oauth2' } as Auth }), ['/auth/token_url', '/auth/client_id', '/auth/client_secret'])
    t.same(pathsOf({ auth: fromJson('{"type":"bearer","token":"x","__proto__":{}}') }), ['/auth/__proto__'])
  })

  t.test('with what its header cannot hold is refused, field by field, no secret repeated', async (t) => {
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

  t.test("has a token_url like a webhook's", async (t) => {
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

  t.test('and an authorization header exclude each other', async (t) => {
    t.same(check({ headers: { AUTHORIZATION: 'x' }, auth: basic }), [
      { path: '/headers/AUTHORIZATION', detail: 'is set by auth; one of the two must go' },
    ])
  })
})

t.test('tls', async (t) => {
  const ca = other!.client_cert

  t.test('of a pair, of authorities, or of both is taken', async (t) => {
    const chain = `subject=CN = relay\n${relay!.client_cert}\nissuer=\n${ca}\n`
    const rsa = await generate([{ name: 'commonName', value: 'rsa' }], { keySize: 2048, algorithm: 'sha256' })
    const good = [null, relay!, { ca }, { ...relay, ca: `${ca}\r\n${expired!.client_cert}` }, early!]
    for (const tls of [...good, { ...relay, client_cert: chain }, { client_cert: rsa.cert, client_key: rsa.private }]) {
      t.ok(takes.tls(tls))
      t.same(check({ tls }), [])
    }
    t.same(tlsMaterialOf({ ...relay, ca }), { cert: relay!.client_cert, key: relay!.client_key, ca })
    t.equal(tlsMaterialOf(null), undefined)
  })

  t.test('that cannot work is refused, field by field, no PEM repeated', async (t) => {
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

  t.test('is read in time that grows with its length', async (t) => {
    const started = performance.now()
    check({ tls: { ca: '-----BEGIN CERTIFICATE-----'.repeat(5000) } })
    check({ tls: { ca: `-----BEGIN CERTIFICATE-----${'A\n'.repeat(65_000)}` } })
    t.ok(performance.now() - started < 500)
  })

  t.test('is for https, and a topic takes none of it', async (t) => {
    t.same(check({ tls: relay! }, 'http://soar.example/'), [{ path: '/tls', detail: 'needs a url with https://' }])
    const all: Credentials = { headers: { x: 'y' }, auth: { type: 'bearer', token: 'x' }, tls: relay! }
    const errors = check(all, 'arn:aws:sns:eu-west-1:123456789012:changes')
    t.same(
      errors.map(({ path }) => path),
      ['/headers', '/auth', '/tls'],
    )
    t.same(check(NONE, 'arn:aws:sns:eu-west-1:123456789012:changes'), [])
  })
})

t.test('what is shown', async (t) => {
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

  t.test('names everything and holds no secret', async (t) => {
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

  t.test('may be sent back, and then changes nothing', async (t) => {
    for (const credentials of [
      current,
      basic,
      bearer,
      NONE,
      { ...NONE, tls: relay! },
      { ...NONE, tls: { ca: current.tls!.ca } },
    ]) {
      const shown = fromJson<ReturnType<typeof maskCredentials>>(JSON.stringify(maskCredentials(credentials)))
      t.ok(takes.headers(shown.headers) && takes.auth(shown.auth) && takes.tls(shown.tls))
      t.same(unmask(shown, credentials), { credentials, errors: [] })
    }
  })

  t.test('keeps a value at its place, whatever the case of its name', async (t) => {
    const { credentials, errors } = unmask({ headers: { 'x-api-key': MASK, 'x-new': 'v' } }, current)
    t.same([credentials, errors], [{ headers: { 'x-api-key': 's3cret', 'x-new': 'v' } }, []])
    const changed = { type: 'basic', username: 'other', password: MASK } as const
    t.same(unmask({ auth: changed }, basic).credentials, { auth: { ...changed, password: 's3cret' } })
    t.same(unmask({ tls: { ...other, client_key: MASK } }, current).credentials, {
      tls: { client_cert: other!.client_cert, client_key: relay!.client_key },
    })
  })

  t.test('leaves alone what a patch does not name, and takes away what it says is null', async (t) => {
    t.same(unmask({}, current), { credentials: {}, errors: [] })
    t.same(unmask({ auth: null, tls: null }, current), { credentials: { auth: null, tls: null }, errors: [] })
  })

  t.test('is refused where there is nothing to keep', async (t) => {
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
})
