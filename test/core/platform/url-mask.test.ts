import fc from 'fast-check'
import t from 'tap'
import { isMaskedUrl, maskUrl, secretOfUrl } from '../../../src/core/platform/url-mask.js'

t.test('a URL is shown as its origin and the last four characters of its path and query', async (t) => {
  const shown = {
    'https://hooks.slack.com/services/T0/B0/x9a1b2': 'https://hooks.slack.com/...a1b2',
    'https://EXAMPLE.com:443/a/long/path?token=s3cret': 'https://example.com/...cret',
    'http://127.0.0.1:8080/?token=s3cret': 'http://127.0.0.1:8080/...cret',
    'https://example.com/hook': 'https://example.com/...',
    'https://example.com/a/long/path/😀': 'https://example.com/...8%80',
  }
  for (const [url, masked] of Object.entries(shown)) t.equal(maskUrl(url), masked, url)
})

t.test('what has no path and no query is shown whole', async (t) => {
  const whole = [
    'https://example.com',
    'https://example.com/',
    'arn:aws:sns:us-east-1:123456789012:changes',
    'text',
    '',
  ]
  for (const text of whole) {
    t.equal(maskUrl(text), text)
    t.equal(secretOfUrl(text), undefined)
    t.notOk(isMaskedUrl(text))
  }
  t.equal(maskUrl('https://user:secret@example.com'), 'https://example.com/')
  t.equal(maskUrl('https://user:secret@example.com/...abcd'), 'https://example.com/...')
})

t.test('a masked URL of any other shows four characters at most, and stays as it is', async () => {
  fc.assert(
    fc.property(fc.webUrl({ withQueryParameters: true }), (url) => {
      const masked = maskUrl(url)
      const secret = secretOfUrl(url)
      if (secret === undefined) return masked === url
      const { origin } = new URL(url)
      const shown = masked.slice(`${origin}/...`.length)
      return (
        masked.startsWith(`${origin}/...`) &&
        shown.length <= 4 &&
        secret.endsWith(shown) &&
        isMaskedUrl(masked) &&
        maskUrl(masked) === masked
      )
    }),
  )
})
