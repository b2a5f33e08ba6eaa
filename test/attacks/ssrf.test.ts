/** Webhooks that point inside: literals in every spelling, and names whose DNS answers are or become private. */
import t from 'tap'
import { createAddressRule } from '../../src/core/platform/address.js'
import { edgesOf, SPECIAL_IPV4, SPECIAL_IPV6, specialAddresses, spellingsOf } from '../helpers/addresses.js'
import { reportCount } from '../helpers/attacks.js'
import { createDnsServer } from '../helpers/dns-server.js'
import { client, rawServer, receiver, REQUEST } from '../helpers/http-client.js'

const RANGES = [...SPECIAL_IPV4, ...SPECIAL_IPV6]

t.test('the rule of addresses agrees with IANA at the ends of every range and at random', async (t) => {
  const mayReach = createAddressRule([])
  const isSpecial = specialAddresses()
  const random = (bytes: number) => Array.from({ length: bytes }, () => Math.floor(Math.random() * 256))
  const hex = (bytes: number[]) => bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('')
  const ipv6 = (bytes: number[]) => hex(bytes).match(/.{4}/g)!.join(':')
  const addresses = [
    ...RANGES.flatMap((range) => [...edgesOf(range).inside, ...edgesOf(range).beside]),
    ...Array.from({ length: 20_000 }, () => random(4).join('.')),
    ...Array.from({ length: 10_000 }, () => ipv6(random(16))),
    // in 2000::/3, and near what is special in it
    ...Array.from({ length: 10_000 }, () => ipv6([0x20 + Math.floor(Math.random() * 32), ...random(15)])),
    ...Array.from({ length: 10_000 }, () => ipv6([0x20, 1 + Math.floor(Math.random() * 3), ...random(14)])),
  ]
  const wrong = addresses.filter((address) => mayReach(address) && isSpecial(address))
  t.same(wrong, [], 'none that is special may be reached')
  const ordinary = addresses.filter((address) => !mayReach(address) && !isSpecial(address))
  // ipaddr.js refuses some more, in 2001::/23 and 2620:4f:8000::/48 (AS112)
  t.same(
    ordinary.filter(
      (address) => !/^(2001:0{0,3}1?[0-9a-f]{1,2}:|2620:4f:8000:|192\.(31\.196|52\.193|175\.48)\.)/.test(address),
    ),
    [],
    'and none that is not is refused',
  )
  reportCount(t, addresses.length, 'addresses compared with the registries of IANA')
})

t.test('a special address in a URL is refused in every spelling, without a connection', async (t) => {
  const inside = await receiver(t, { status: 204 })
  const http = client(t, { allowPrivateTargets: [] })
  const hosts = [
    ...SPECIAL_IPV4.flatMap((range) => edgesOf(range).inside).flatMap(spellingsOf),
    ...SPECIAL_IPV6.flatMap((range) => edgesOf(range).inside).map((ip) => `[${ip}]`),
    ...['[::1]', '[0:0::1]', '[::]', '[fe80::1]', '[fd00:ec2::254]', '127.1', '0', '0x7f.1', '0177.1'],
  ]
  const urls = hosts.map((host) => `http://${host}:${inside.port}/`)
  const readable = urls.filter((url) => URL.canParse(url))
  t.ok(readable.length > urls.length * 0.9)
  for (const url of readable) {
    const outcome = await http.post(url, REQUEST)
    if (outcome.kind !== 'target_refused') t.fail(`${url}: ${outcome.kind}`)
  }
  t.equal(inside.connectionCount, 0)
  reportCount(t, readable.length, 'spellings of special addresses in URLs')
})

t.test('a name is refused whatever special address its DNS server answers', async (t) => {
  const inside = await receiver(t, { status: 204 })
  const dns = await createDnsServer(t)
  const http = client(t, { allowPrivateTargets: [], resolve: dns.resolve })
  const addresses = RANGES.flatMap((range) => edgesOf(range).inside)
  const mapped = SPECIAL_IPV4.flatMap((range) => edgesOf(range).inside).flatMap((ip) => [
    `::ffff:${ip}`,
    `::${ip}`,
    `64:ff9b::${ip}`,
  ])
  const all = [...addresses, ...mapped]
  for (const [i, address] of all.entries()) {
    dns.names.set(`name-${i}.test`, () => [address])
    dns.aliases.set(`alias-${i}.test`, `name-${i}.test`)
    for (const name of [`name-${i}.test`, `alias-${i}.test`]) {
      const outcome = await http.post(`http://${name}:${inside.port}/`, REQUEST)
      t.match(outcome, { kind: 'target_refused', error: new RegExp(`^${name} resolves to `) }, address)
    }
  }
  t.equal(inside.connectionCount, 0)
  reportCount(t, 2 * all.length, 'names with a special address')
})

t.test('a name whose answers change between two queries reaches no address that was not checked', async (t) => {
  const ALLOWED = '127.0.0.2'
  const outside = await rawServer(
    t,
    (socket) => socket.end('HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n'),
    ALLOWED,
  )
  const inside = await rawServer(t, (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'))
  const dns = await createDnsServer(t)
  const http = client(t, { allowPrivateTargets: [`${ALLOWED}/32`], resolve: dns.resolve })
  const changing = [
    ['every second time', (query: number) => [query % 2 === 0 ? ALLOWED : '127.0.0.1']],
    ['after the first time', (query: number) => [query === 0 ? ALLOWED : '127.0.0.1']],
    ['both at once', () => [ALLOWED, '127.0.0.1']],
    ['both at once, the private one first', () => ['127.0.0.1', ALLOWED]],
    ['IPv6 loopback beside it', () => ['::1', ALLOWED]],
    ['mapped', (query: number) => (query % 2 === 0 ? [ALLOWED] : ['::ffff:127.0.0.1'])],
  ] as const
  let count = 0
  const reached = { response: 0, target_refused: 0 }
  for (const [name, answer] of changing) {
    const host = `${name.replaceAll(/\W+/g, '-')}.test`
    dns.names.set(host, answer)
    for (let i = 0; i < 40; i++) {
      const port = i % 4 === 3 ? inside.port : outside.port
      const { kind } = await http.post(`http://${host}:${port}/`, REQUEST)
      if (kind === 'response' || kind === 'target_refused') reached[kind]++
      count++
    }
  }
  t.equal(inside.sockets.size, 0, 'the server inside has seen nobody')
  t.ok(reached.response > 50 && reached.target_refused > 30, JSON.stringify(reached))
  reportCount(t, count, 'requests to names that change')
})
