import fc from 'fast-check'
import t from 'tap'
import { fieldKind, normalForm as formOf } from '../../../src/core/alert/normal-form.js'
import type { Json } from '../../../src/core/platform/json.js'

const normalForm = (path: readonly string[], value: Json) => formOf(fieldKind(path), value)

const at = (path: string, value: Json) => {
  const { kind, text } = normalForm(path.split('.'), value)
  return `${kind} ${text}`
}
const PATHS = ['related.hosts', 'related.hash', 'file.name', 'url.original', 'x.y']

/** Asserts that all of these are one value at each of these paths. */
const oneValue = (
  t: { equal: (a: string, b: string, message: string) => unknown },
  expected: string,
  values: string[],
) => {
  for (const value of values) for (const path of ['x.y', 'related.hosts']) t.equal(at(path, value), expected, value)
}

t.test('spellings of one thing are one value', async (t) => {
  oneValue(t, 'address 2001:db8::1', ['2001:db8::1', '2001:DB8:0:0:0:0:0:1', '[2001:db8::0:1]'])
  oneValue(t, 'address 1.2.3.4', ['1.2.3.4', '::ffff:1.2.3.4', '::FFFF:102:304'])
  oneValue(t, 'address [2001:db8::1]:53', ['[2001:DB8::1]:53', '[2001:db8:0::1]:0053'])
  oneValue(t, 'address 2001:db8::/32', ['2001:DB8::/32', '2001:db8:0:0::/032'])
  oneValue(t, 'domain evil.example', ['evil.example', 'EVIL.Example', 'evil.example.'])
  oneValue(t, 'domain xn--bcher-kva.example', ['bücher.example', 'BÜCHER.example', 'XN--bcher-kva.example.'])
  oneValue(t, 'email Bob@corp.example', ['Bob@corp.example', 'Bob@CORP.example.'])
  const sha256 = 'ab'.repeat(32)
  oneValue(t, `hash ${sha256}`, [sha256, sha256.toUpperCase(), `sha256:${sha256}`, 'AB:'.repeat(31) + 'AB'])
  oneValue(t, 'url http://evil.example/~a/c?q=%2F#x', [
    'http://evil.example/~a/c?q=%2F#x',
    'HTTP://EVIL.example:80/%7ea/./b/../c?q=%2f#x',
    'http://evil.ex%41mple:/%7Ea/c?%71=%2f#%78',
  ])
  oneValue(t, 'url https://[2001:db8::1]:8443/', ['https://[2001:DB8:0::1]:8443', 'https://[2001:db8::1]:08443/'])
  oneValue(t, 'url http://xn--bcher-kva.example/', ['http://bücher.example', 'http://BÜCHER.example:80'])
  t.equal(at('x', 1), at('y', 1), 'numbers too')
})

t.test('the examples of RFC 3986 sections 5.2.4 and 6.2 come out as there', async (t) => {
  for (const [from, to] of [
    ['http://a/b/c/./../../g', 'http://a/g'],
    ['http://a/mid/content=5/../6', 'http://a/mid/6'],
    ['http://a/../../..', 'http://a/'],
    ['http://a/b/..', 'http://a/'],
    ['http://a/b/.', 'http://a/b/'],
    ['http://a/b//../c', 'http://a/b/c'],
    ['http://example.com', 'http://example.com/'],
    ['http://example.com:/', 'http://example.com/'],
    ['http://example.com:80/', 'http://example.com/'],
    ['eXAMPLE://a/./b/../b/%63/%7bfoo%7d', 'example://a/b/c/%7Bfoo%7D'],
    ['http://u%2Dser:P%40ss@HOST/', 'http://u-ser:P%40ss@host/'],
  ] as const) {
    t.equal(at('x', from), `url ${to}`)
  }
})

t.test('the field decides where a value is ambiguous', async (t) => {
  t.equal(at('related.hosts', 'HOST-1'), 'domain host-1')
  t.equal(at('x', 'HOST-1'), 'other "HOST-1"')
  t.equal(at('file.name', 'Setup.exe'), 'other "Setup.exe"')
  t.equal(at('tls.server.x509.serial_number', '55FB'), 'hash 55fb')
  t.equal(at('x', '55FB'), 'other "55FB"')
  t.equal(at('host.name', 'WEB.corp.example'), 'domain web.corp.example')
  t.equal(at('related.ip', '::%-'), 'other "::%-"', 'a zone that ipaddr.js does not take')
  t.equal(at('server.address', '/var/Run.sock'), 'other "/var/Run.sock"')
  t.equal(at('file.name', 'Http://evil.example'), 'url http://evil.example/', 'no file name')
})

t.test('different values never have one normal form', async (t) => {
  for (const [a, b] of [
    ['http://e.example/A', 'http://e.example/a'],
    ['http://e.example/a', 'http://e.example/a/'],
    ['http://e.example/a', 'https://e.example/a'],
    ['http://e.example:80/a', 'http://e.example:8080/a'],
    ['http://e.example/?', 'http://e.example/'],
    ['http://e.example/a%2Fb', 'http://e.example/a/b'],
    ['http://e.example/a%', 'http://e.example/a%25'],
    ['http://e.example/%%34%31', 'http://e.example/%41'],
    ['http://e.example/a\\b', 'http://e.example/a/b'],
    ['http://U@e.example/', 'http://u@e.example/'],
    ['Bob@e.example', 'bob@e.example'],
    ['3:AXGBicFlgVNhBGcL6wCrFQEv:AXGHsNhxLsr2C', '3:axgbicflgvnhbgcl6wcrfqev:axghsnhxlsr2c'],
    ['1.2.3.4', '1.2.3.4:80'],
    ['1.2.3.0', '1.2.3.0/24'],
    ['::1.2.3.4', '1.2.3.4'],
    ['fe80::1%eth0', 'fe80::1%ETH0'],
    ['evil.example', 'evil.example..'],
    ['10.0.0.1', '010.0.0.1'],
    ['a b', 'A b'],
  ] as const) {
    for (const path of PATHS) t.not(at(path, a), at(path, b), `${a} and ${b} at ${path}`)
  }
  t.not(at('x', 1), at('x', '1'))
  t.not(at('x', '{"a":1}'), at('x', { a: 1 }))
  t.not(at('x', null), at('x', 'null'))
})

t.test('what leads to an address that is not public is private', async (t) => {
  const isPrivate = (value: string) => normalForm(['x'], value).isPrivate()
  for (const value of [
    ...[
      '10.0.0.1',
      '::ffff:10.0.0.1',
      'fe80::1%eth0',
      '[::1]',
      '127.0.0.1:80',
      '[fd00::1]:443',
      '10.0.0.0/8',
      'fc00::/7',
    ],
    ...['http://10.0.0.1/x', 'HTTPS://u@192.168.0.1:8443', 'http://[::1]/', 'http://0x7f.1/', 'http://2130706433/'],
    ...['http://localhost:8080/', 'http://a.localhost./', 'root@[10.0.0.1]', 'root@[IPv6:fe80::1]'],
  ]) {
    t.equal(isPrivate(value), true, value)
  }
  for (const value of [
    '8.8.8.8',
    '8.8.8.8:53',
    'http://8.8.8.8/10.0.0.1',
    '0.0.0.0/0',
    '8.0.0.0/5',
    'a@b.example',
    '10',
    'x',
  ]) {
    t.equal(isPrivate(value), false, value)
  }
})

const hex = (minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength, maxLength })
const path = fc.constantFrom(...PATHS).map((path) => path.split('.'))
const hostChars = fc.string({
  unit: fc.constantFrom('a', 'B', 'é', '.', '-', '1', '%41', '%', '[', ':', '_'),
  maxLength: 8,
})
const urlChars = fc.string({
  unit: fc.constantFrom('a', 'A', '/', '.', '..', '/./', '%2e', '%2F', '%', '%25', '34', '?', '#', '@', ':', '\\', ' '),
  maxLength: 10,
})
const url = fc
  .tuple(fc.constantFrom('http', 'HTTP', 'https', 'x+y'), hostChars, fc.constantFrom('', ':', ':80', ':0443'), urlChars)
  .map(([scheme, host, port, rest]) => `${scheme}://${host}${port}${rest}`)
const anything = fc.oneof(
  ...[
    url,
    hostChars,
    fc.webUrl(),
    fc.emailAddress(),
    fc.domain(),
    fc.ipV4Extended(),
    fc.ipV6(),
    fc.string({ unit: 'binary' }),
  ],
  fc.string({ unit: fc.constantFrom('a', 'F', '0', ':', '.', '/', '@', 't1', '[', ']', '::') }),
  fc
    .tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.constantFrom('/8', '/032', ':80', '%eth0'))
    .map((parts) => parts.join('')),
  fc.tuple(fc.constantFrom('', 'sha256:', 'MD5:'), hex(30, 66)).map((p) => p.join('')),
)

t.test('the normal form of a normal form is itself', async () => {
  fc.assert(
    fc.property(path, anything, (path, value) => {
      const { kind, text } = normalForm(path, value)
      const again = kind === 'other' ? normalForm(path, JSON.parse(text) as string) : normalForm(path, text)
      return again.kind === kind && again.text === text
    }),
    { numRuns: 5_000 },
  )
})

t.test('equal spellings have one normal form at every path', async () => {
  const flips = fc.infiniteStream(fc.boolean())
  const recase = (text: string, flip: Iterator<boolean>) =>
    [...text].map((char) => (flip.next().value ? char.toUpperCase() : char.toLowerCase())).join('')
  const escape = (text: string, flip: Iterator<boolean>) =>
    text.replace(/%[0-9a-f]{2}|[a-z]/gi, (char) =>
      char.length === 1 && flip.next().value ? `%${char.charCodeAt(0).toString(16)}` : char,
    )
  const groups = fc.array(fc.nat(0xffff), { minLength: 8, maxLength: 8 })
  const respelled = fc.oneof(
    fc.tuple(fc.domain(), flips).map(([name, flip]) => [name, `${recase(name, flip)}${flip.next().value ? '.' : ''}`]),
    fc.tuple(hex(32, 64), flips).map(([hex, flip]) => [hex, recase(hex, flip)]),
    fc.tuple(groups, flips).map(([groups, flip]) => {
      const hex = groups.map((group) => group.toString(16))
      return [hex.join(':'), recase(hex.map((group) => group.padStart(4, '0')).join(':'), flip)]
    }),
    fc
      .tuple(fc.domain(), fc.webPath(), flips)
      .map(([name, path, flip]) => [
        `https://${name}${path}`,
        `${recase('https', flip)}://${recase(name, flip)}:443${path === '' ? '/' : `/.${escape(path, flip)}`}`,
      ]),
    fc.tuple(fc.emailAddress(), flips).map(([mail, flip]) => {
      const at = mail.lastIndexOf('@')
      return [mail, mail.slice(0, at) + recase(mail.slice(at), flip)]
    }),
  )
  fc.assert(
    fc.property(path, path, respelled, (one, other, [a, b]) => {
      // In a field of other names, a name is no domain.
      if (String(one) === 'file,name' || String(other) === 'file,name') return true
      const [first, second] = [normalForm(one, a!), normalForm(other, b!)]
      return first.kind === second.kind && first.text === second.text
    }),
    { numRuns: 3_000 },
  )
})

t.test('URLs with one normal form are one URL for the URL class too', async () => {
  /** What the URL class leaves as it is: letters that are percent-encoded, and the digits of the others. */
  const oracle = (text: string) => {
    if (!URL.canParse(text)) return undefined
    const decode = (part: string) =>
      part.replace(/%[0-9a-f]{2}/gi, (code) =>
        /%(2d|2e|5f|7e|3\d|4[1-9a-f]|5[0-9a]|6[1-9a-f]|7[0-9a])/i.test(code)
          ? decodeURIComponent(code)
          : code.toUpperCase(),
      )
    const { protocol, username, password, host, pathname, search, hash } = new URL(text)
    return [protocol, username, password, host, ...[pathname, search, hash].map(decode)].join('\n')
  }
  const few = fc.tuple(
    fc.constantFrom('http', 'HTTP'),
    fc.string({ unit: fc.constantFrom('a', 'A'), minLength: 1, maxLength: 2 }),
    fc.constantFrom('', ':80'),
    fc.string({ unit: fc.constantFrom('/', '/a', '/..', '/.', '%61', '?', '%2f'), maxLength: 3 }),
  )
  const fewUrls = few.map(([scheme, host, port, rest]) => `${scheme}://${host}${port}${rest}`)
  const pairs = fc.tuple(fewUrls, fewUrls)
  let equal = 0
  fc.assert(
    fc.property(pairs, ([a, b]) => {
      if (normalForm(['x'], a).text !== normalForm(['x'], b).text) return true
      equal++
      return oracle(a) === oracle(b)
    }),
    { numRuns: 5_000 },
  )
  t.ok(equal > 100, `${equal} pairs were equal`)
})

t.test(
  'an international name is one as a whole: what follows it, or is longer than a name, stays as it is',
  async (t) => {
    for (const rest of ['/a', '/b', '?a', '#a', '\\a', '\n', '%2e']) {
      for (const path of PATHS) {
        t.equal(at(path, `bücher.example${rest}`), `other ${JSON.stringify(`bücher.example${rest}`)}`)
        t.equal(at(path, `bob@bücher.example${rest}`), `other ${JSON.stringify(`bob@bücher.example${rest}`)}`)
      }
    }
    t.not(at('x.y', 'http://bücher.example\\a/'), at('x.y', 'http://bücher.example\\b/'))
    t.not(at('x.y', 'http://bücher.example\\a/'), at('x.y', 'http://bücher.example/'))
    t.not(at('x.y', 'http://büch\ter.example/'), at('x.y', 'http://bücher.example/'))
    const long = `${'ü'.repeat(254)}.example`
    t.equal(at('x.y', long), `other "${long}"`)
    t.equal(at('x.y', `http://${long}/`), `url http://${long}/`)
  },
)
