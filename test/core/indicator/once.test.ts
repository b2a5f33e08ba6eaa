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
