import t from 'tap'
import { flattenContext } from '../../../src/core/alert/context.js'
import { parseJson, type JsonObject } from '../../../src/core/platform/json.js'
import { durationMs } from '../../../src/core/platform/duration.js'
import { expiryOf, indicatorOf, selectIndicators, type Once } from '../../../src/core/indicator/once.js'

const values = (text: string) => flattenContext(parseJson(text) as JsonObject)
const select = (text: string, once: Once) =>
  selectIndicators(values(text), once).map((selected) => {
    const { path, value } = indicatorOf(selected)
    return `${path}=${String(value)}`
  })

t.test('a path selects by whole keys, and a star matches within a key', async (t) => {
  const context =
    '{"file":{"hash":{"sha256":["h"],"md5":["m"]},"name":["n"],"hash2":["x"]},"related":{"ip":["1.1.1.1"]},"a":{"b":{"c":{"d":["deep"]}}}}'
  t.same(select(context, { paths: ['file.hash.*'] }), ['file.hash.sha256=h', 'file.hash.md5=m'])
  t.same(select(context, { paths: ['file.hash.sha*', 'related.ip'] }), ['file.hash.sha256=h', 'related.ip=1.1.1.1'])
  t.same(select(context, { paths: ['a.*', 'file'] }), [], 'no deeper and no shallower')
  t.same(select(context, { paths: ['a.*.*.d'] }), ['a.b.c.d=deep'])
  t.same(select('{"__proto__":{"x":["p"]}}', { paths: ['__proto__.x'] }), ['__proto__.x=p'])
})

t.test('a key of two stars matches any number of keys, none too', async (t) => {
  const context = '{"a":{"b":{"c":{"d":["1"]},"d":["2"]},"d":["3"]},"d":["4"],"e":["5"]}'
  t.same(select(context, { paths: ['**.d'] }), ['a.b.c.d=1', 'a.b.d=2', 'a.d=3', 'd=4'])
  t.same(select(context, { paths: ['a.**.d'] }), ['a.b.c.d=1', 'a.b.d=2', 'a.d=3'])
  t.same(select(context, { paths: ['a.**.b.**.d'] }), ['a.b.c.d=1', 'a.b.d=2'])
  t.same(select(context, { paths: ['a.**'] }), ['a.b.c.d=1', 'a.b.d=2', 'a.d=3'])
  t.same(select(context, { paths: ['**'] }).length, 5)
  const deep = Array.from({ length: 60 }, () => '{"a":').join('') + '["x"]' + '}'.repeat(60)
  t.same(select(deep, { paths: [Array.from({ length: 30 }, () => '**.a').join('.') + '.b'] }), [], 'and ends')
})

t.test('a value counts once whatever its path and its spelling, and is shown where it is no copy', async (t) => {
  const context = `{"related":{"ip":["1.2.3.4"],"hash":["ABCDEF0123456789ABCDEF0123456789"],"hosts":["evil.example"]},
    "destination":{"ip":["::ffff:1.2.3.4"],"domain":["EVIL.example."],"address":["evil.example"]},
    "file":{"hash":{"md5":["abcdef0123456789abcdef0123456789"]}},"url":{"domain":["evil.example"]}}`
  t.same(select(context, { paths: 'indicators' }), [
    'destination.ip=::ffff:1.2.3.4',
    'destination.domain=EVIL.example.',
    'file.hash.md5=abcdef0123456789abcdef0123456789',
  ])
})

t.test('paths lead into the objects of a list', async (t) => {
  const context = `{"threat":{"enrichments":[{"indicator":{"ip":"1.2.3.4","file":{"hash":{"md5":"m"}},"port":1}}]},
    "email":{"attachments":[{"file":{"hash":{"sha1":"s"}}}]},"file":{"elf":{"sections":[{"name":"n"}]}}}`
  t.same(select(context, { paths: 'indicators' }), [
    'threat.enrichments.indicator.ip=1.2.3.4',
    'threat.enrichments.indicator.file.hash.md5=m',
    'email.attachments.file.hash.sha1=s',
  ])
  t.same(select(context, { paths: ['file.elf.sections'] }), ['file.elf.sections=[object Object]'], 'or to an object')
})

t.test('the preset has the observables of ECS 9, and none of what names the own inventory', async (t) => {
  const objectAt = (path: string, value: string) =>
    path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), [value])
  const selected = (path: string) => select(JSON.stringify(objectAt(path, 'v')), { paths: 'indicators' }).length === 1
  const hashes = ['md5', 'sha1', 'sha256', 'sha384', 'sha512', 'ssdeep', 'tlsh', 'cdhash'].map((name) => `hash.${name}`)
  const binary = [
    'pe.imphash',
    'pe.pehash',
    ...['pe', 'elf', 'macho'].flatMap((f) => [`${f}.import_hash`, `${f}.go_import_hash`]),
  ]
  const file = [...hashes, ...binary, 'elf.telfhash', 'macho.symhash', 'code_signature.thumbprint_sha256']
  const origin = ['origin_url', 'origin_referrer_url']
  const url = ['url.full', 'url.original', 'url.domain', 'url.registered_domain']
  const under = (path: string, names: string[]) => names.map((name) => `${path}.${name}`)
  const indicator = [
    ...['ip', 'email.address', 'x509.serial_number', 'x509.alternative_names'],
    ...[...url, ...under('file', [...file, ...origin, 'x509.serial_number'])],
  ]
  const observables = [
    ...['file', 'process', 'process.parent'].flatMap((path) => under(path, file)),
    ...under('dll', [...hashes, ...origin, 'pe.imphash', 'code_signature.thumbprint_sha256']),
    ...[...under('file', origin), 'file.x509.serial_number', ...under('email.attachments.file', hashes)],
    ...['source', 'destination', 'client', 'server'].flatMap((side) =>
      under(side, ['ip', 'nat.ip', 'address', 'domain', 'registered_domain']),
    ),
    ...[...under('threat.indicator', indicator), ...under('threat.enrichments.indicator', indicator)],
    ...['threat.enrichments.matched.atomic', 'service.address', 'network.forwarded_ip', 'container.image.hash.all'],
    ...['related.ip', 'related.hosts', 'related.hash', ...url, 'http.request.referrer', 'package.checksum'],
    ...[
      'dns.question.name',
      'dns.question.registered_domain',
      'dns.resolved_ip',
      'dns.answers.data',
      'dns.answers.name',
    ],
    ...['tls.client.ja3', 'tls.server.ja3s', 'tls.client.server_name', 'tls.client.hash.sha1', 'tls.server.hash.md5'],
    ...['tls.client.x509.serial_number', 'tls.server.x509.serial_number', 'tls.server.x509.alternative_names'],
    ...['from', 'to', 'cc', 'bcc', 'sender', 'reply_to'].map((who) => `email.${who}.address`),
    'process.entry_leader.entry_meta.source.ip',
  ]
  for (const path of observables) t.ok(selected(path), path)
  for (const path of [
    ...[
      'host.ip',
      'host.name',
      'host.mac',
      'observer.ip',
      'user.email',
      'user.domain',
      'user.hash',
      'event.hash',
      'event.url',
    ],
    ...[
      'source.port',
      'source.bytes',
      'event.start',
      'event.sequence',
      'file.name',
      'file.size',
      'file.elf.sections.virtual_address',
    ],
    ...['device.serial_number', 'url.path', 'url.top_level_domain', 'threat.indicator.confidence', 'group.domain'],
  ]) {
    t.notOk(selected(path), path)
  }
})

t.test('the preset selects observables and no values that differ from event to event', async (t) => {
  const context = `{"file":{"hash":{"sha256":["h"]},"size":[7]},"source":{"ip":["8.8.8.8"],"port":[443],"bytes":[1]},"url":{"full":["https://x"]},
    "event":{"start":[1],"sequence":[2],"action":["a"]},"dns":{"question":{"name":["d"]}},"email":{"from":{"address":["e"]}},"user":{"name":["u"]},"related":{"hash":["r"]}}`
  t.same(select(context, { paths: 'indicators' }), [
    'file.hash.sha256=h',
    'source.ip=8.8.8.8',
    'url.full=https://x',
    'dns.question.name=d',
    'email.from.address=e',
    'related.hash=r',
  ])
})

t.test('private addresses are left out on request', async (t) => {
  const context = '{"related":{"ip":["10.0.0.1","8.8.8.8","fe80::1","2606:4700::1111","192.168.1.1","host-10"]}}'
  const paths = ['related.ip']
  t.equal(select(context, { paths }).length, 6)
  t.same(select(context, { paths, exclude_private: true }), [
    'related.ip=8.8.8.8',
    'related.ip=2606:4700::1111',
    'related.ip=host-10',
  ])
  const others =
    '{"x":["http://10.0.0.1/a","http://8.8.8.8/","10.0.0.1:80","8.8.8.8:80","10.0.0.0/8","8.8.8.0/24","http://[::1]:80"]}'
  t.same(select(others, { paths: ['x'], exclude_private: true }), ['x=http://8.8.8.8/', 'x=8.8.8.8:80', 'x=8.8.8.0/24'])
})

t.test('a duration is a number and a unit', async (t) => {
  t.same(['90s', '15m', '12h', '30d'].map(durationMs), [90_000, 900_000, 43_200_000, 2_592_000_000])
  for (const text of ['', '0d', '1', 'd', '1.5h', '-1d', '1w', '100000d', '1d ']) {
    t.equal(durationMs(text), undefined, text)
  }
  const now = new Date('2026-01-31T00:00:00.000Z')
  t.same(expiryOf({ paths: ['a'], within: '30d' }, now), new Date('2026-01-01T00:00:00.000Z'))
  t.equal(expiryOf({ paths: ['a'] }, now), undefined)
})
