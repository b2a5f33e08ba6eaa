import t from 'tap'
import { hideSecrets, secretTexts } from '../../../src/core/delivery/echo.js'

const URL = 'https://hooks.example.com/services/T024BE7LH9/x9a1b2c3d4?channel=alerts&key=%C3%A9-0123456789'
const target = (url: string) => ({ url, headers: {}, auth: null, format_options: {} })

t.test('an answer that quotes the path or the query of the URL is kept without them', async (t) => {
  const secrets = secretTexts(target(URL), {})
  for (const [quoted, hidden] of [
    ['Cannot POST /services/T024BE7LH9/x9a1b2c3d4', 'Cannot POST ********'],
    ['no route for /services/T024BE7LH9/x9a1b2c3d4?channel=alerts&key=%C3%A9-0123456789', 'no route for ********'],
    ['the token x9a1b2c3d4 is unknown', 'the token ******** is unknown'],
    ['{"channel":"alerts","key":"é-0123456789"}', '{"channel":"alerts","key":"********"}'],
    ['cut: /services/T024BE7', 'cut: ********'],
    ['no services here', 'no services here'],
  ] as const) {
    t.equal(hideSecrets(quoted, secrets), hidden)
  }
})

t.test('a URL without a path has nothing to hide, and one that is encoded wrongly is hidden as it is', async (t) => {
  t.same(secretTexts(target('https://example.com/'), {}), [])
  t.equal(hideSecrets('at /a%zz/hook', secretTexts(target('https://example.com/a%zz/hook'), {})), 'at ********')
})
