import { Ajv } from 'ajv'
import ajvFormats from 'ajv-formats'
import fc from 'fast-check'
import t from 'tap'
import { fit, linkOf, manyLines, oneLine } from '../../../src/core/format/text.js'

t.test('a text is cut to its escaped length, never inside a character or an escape', async (t) => {
  const amp = (char: string) => (char === '&' ? '&amp;' : char)
  t.equal(fit('abc', 3), 'abc')
  t.equal(fit('abcd', 3), 'ab…')
  t.equal(fit('\u{1f600}\u{1f600}', 3), '\u{1f600}…')
  t.equal(fit('\u{1f600}\u{1f600}', 4), '\u{1f600}\u{1f600}')
  t.equal(fit('&&', 10, amp), '&amp;&amp;')
  t.equal(fit('&&', 9, amp), '&amp;…')
  t.equal(fit('&&', 5, amp), '…')
})

t.test('a clean text has no control characters, direction marks or lone surrogates', async (t) => {
  t.equal(oneLine(' a\r\nb\u0000\u0085c\u2028d\ud800\u202ee '), 'a b c d\ufffd\ufffde')
  t.equal(manyLines('a\r\nb\rc\u2028d\te\u0000f\n'), 'a\nb\nc\nd e f')
})

t.test('a link is an http or https URL and nothing else', async (t) => {
  t.equal(linkOf(' HTTPS://Example.com/a?b=c&d#e '), 'https://example.com/a?b=c&d#e')
  t.equal(linkOf('https://x.example/(a)|<b>"\'`\\{c}é'), 'https://x.example/%28a%29%7C%3Cb%3E%22%27%60/%7Bc%7D%C3%A9')
  t.equal(linkOf('https://x.example/[?%#a#b%2F'), 'https://x.example/%5B?%25#a%23b%2F', 'URL parsers leave these')
  t.equal(linkOf('http://[::1]:8080/'), 'http://[::1]:8080/')
  t.equal(linkOf('https://еxample.com/'), 'https://xn--xample-2of.com/', 'a name in other letters is shown as punycode')
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

t.test('every link is a URI of RFC 3986', async () => {
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
