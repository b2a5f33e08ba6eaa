import { Ajv } from 'ajv'
import ajvFormats from 'ajv-formats'
import fc from 'fast-check'
import t from 'tap'
import { FORMATS } from '../../../src/core/format/format-names.js'
import { checkFormat, FormatOptions, hideSecrets } from '../../../src/core/format/options.js'
import { fit, linkOf, manyLines, oneLine } from '../../../src/core/format/text.js'
import { ROUTING_KEY } from './inputs.js'

t.test('a format that needs an option says so, and refuses those of others', async (t) => {
  for (const format of FORMATS) {
    const missing = checkFormat(format, {}).map(({ path }) => path)
    const needed = { pagerduty: ['/routing_key'], jira: ['/project_key'], template: ['/template'] }
    t.same(missing, (needed as Record<string, string[]>)[format] ?? [], format)
  }
  t.same(checkFormat('pagerduty', { routing_key: ROUTING_KEY }), [])
  t.same(checkFormat('jira', { project_key: 'SEC' }), [])
  t.same(checkFormat('jira', { project_key: 'SEC', issue_type: 'Incident' }), [])
  t.same(checkFormat('template', { template: '$' }), [])
  t.match(checkFormat('template', { template: '{' }), [{ path: '/template', detail: /^is no JSONata/ }])
  t.same(checkFormat('slack', { template: '{', project_key: 'SEC' }), [
    { path: '/template', detail: 'is unknown to the format slack' },
    { path: '/project_key', detail: 'is unknown to the format slack' },
  ])
})

t.test('the shapes of the options are the schema’s', async (t) => {
  const validate = new Ajv({ strict: false }).compile(FormatOptions)
  const right = [
    {},
    { routing_key: ROUTING_KEY },
    { project_key: 'SEC' },
    { project_key: 'S_2', issue_type: 'Sécurité' },
  ]
  for (const options of right) t.ok(validate(options), JSON.stringify(options))
  const wrong = [
    ...['', 'x'.repeat(31), 'x'.repeat(33), `${'x'.repeat(31)}\n`, `${'x'.repeat(31)}-`].map((key) => ({
      routing_key: key,
    })),
    ...['', 'S', 'sec', '1SEC', 'SEC-1', 'SEC\n'].map((key) => ({ project_key: key })),
    { issue_type: '' },
    { issue_type: 'a\nb' },
    { template: '' },
    { template: 'x'.repeat(20_000) },
    { other: 1 },
  ]
  for (const options of wrong) t.notOk(validate(options), JSON.stringify(options).slice(0, 80))
})

t.test('a secret is hidden wherever options are shown', async (t) => {
  t.same(hideSecrets({ routing_key: ROUTING_KEY, project_key: 'SEC' }), { routing_key: '********', project_key: 'SEC' })
  t.same(hideSecrets({ template: '$' }), { template: '$' })
})

t.test('a text is cut at its escaped length, never inside a character or an escape', async (t) => {
  const amp = (char: string) => (char === '&' ? '&amp;' : char)
  t.equal(fit('abc', 3), 'abc')
  t.equal(fit('abcd', 3), 'ab…')
  t.equal(fit('\u{1f600}\u{1f600}', 3), '\u{1f600}…')
  t.equal(fit('\u{1f600}\u{1f600}', 4), '\u{1f600}\u{1f600}')
  t.equal(fit('&&', 10, amp), '&amp;&amp;')
  t.equal(fit('&&', 9, amp), '&amp;…')
  t.equal(fit('&&', 5, amp), '…')
})

t.test('a text is clean: no control characters, no reversed reading, no lone surrogates', async (t) => {
  t.equal(oneLine(' a\r\nb\u0000\u0085c\u2028d\ud800\u202ee '), 'a b c d\ufffd\ufffde')
  t.equal(manyLines('a\r\nb\rc\u2028d\te\u0000f\n'), 'a\nb\nc\nd e f')
})

t.test('a link is an http or https URL and nothing else', async (t) => {
  t.equal(linkOf(' HTTPS://Example.com/a?b=c&d#e '), 'https://example.com/a?b=c&d#e')
  t.equal(linkOf('https://x.example/(a)|<b>"\'`\\{c}é'), 'https://x.example/%28a%29%7C%3Cb%3E%22%27%60/%7Bc%7D%C3%A9')
  t.equal(linkOf('https://x.example/[?%#a#b%2F'), 'https://x.example/%5B?%25#a%23b%2F', 'browsers leave these')
  t.equal(linkOf('http://[::1]:8080/'), 'http://[::1]:8080/')
  t.equal(linkOf('https://еxample.com/'), 'https://xn--xample-2of.com/', 'a name in other letters shows')
  const none = [
    '',
    'x',
    'ftp://x.example',
    'javascript:alert(1)',
    'https://a b',
    'https://',
    'https://u@x.example',
    'https://x.example{b}',
    '//x',
    'data:,x',
  ]
  for (const text of [...none, `https://x.example/${'a'.repeat(2000)}`]) {
    t.equal(linkOf(text), undefined, text.slice(0, 40))
  }
})

t.test('any link is a URI of RFC 3986', async () => {
  const isUri = ajvFormats.default(new Ajv()).compile({ type: 'string', format: 'uri' })
  const markup = fc.string({ unit: fc.constantFrom(...'[]%#?/\\\'"`<>(){}|^ab2é@:&'), maxLength: 12 })
  fc.assert(
    fc.property(fc.oneof(markup, fc.string({ unit: 'binary' })), (text) => {
      const link = linkOf(`https://x.example${text}`)
      return link === undefined || isUri(link)
    }),
    { numRuns: 2000 },
  )
})
