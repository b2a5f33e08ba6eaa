import fc from 'fast-check'
import t from 'tap'
import { changesOf } from '../../../src/core/access/audit.js'
import { parseJson, stringifyJson, type Json } from '../../../src/core/platform/json.js'

t.test('changes', async (t) => {
  t.test('are the fields that differ, and nothing when none does', async (t) => {
    t.same(changesOf<object>({ before: { a: 1, b: [1], c: null }, after: { a: 2, b: [1], d: {} } }), {
      a: { before: 1, after: 2 },
      c: { before: null },
      d: { after: {} },
    })
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (what) => {
        t.same(changesOf({ before: what, after: structuredClone(what) }), {})
      }),
    )
  })

  t.test('hold no secret, wherever it is, but tell that it changed', async (t) => {
    const change = (word: string) => ({
      url: `https://example.com/a?key=${word}`,
      list: [`http://example.com/#${word}`, `HTTPS://u:${word}@example.com/b`],
      password: word,
      headers: { 'x-api-key': word },
      credentials: [{ user: word }],
      format_options: { routing_key: word, template: '$.a' },
      oauth2: { client_secret: word },
      auth: { type: 'basic', username: word },
    })
    const changes = changesOf({ before: change('hush1'), after: change('hush2') })
    t.notMatch(stringifyJson(changes as Json), /hush/)
    t.same(Object.keys(changes).sort(), Object.keys(change('')).sort())
    t.same(changes.url, { before: 'https://example.com/...ush1', after: 'https://example.com/...ush2' })
    t.same(changes.format_options?.after, { routing_key: '********', template: '$.a' })
    t.same(changes.list?.after, ['http://example.com/', 'https://example.com/...'])
  })

  t.test('show what their owner would, and hide what it would not', async (t) => {
    const shown = ({ name }: { name: string; pin: number }) => ({ name })
    t.same(changesOf({ before: { name: 'a', pin: 1 }, after: { name: 'a', pin: 2 }, shown }), {
      pin: { before: '********', after: '********' },
    })
  })

  t.test('keep every digit, and keys such as __proto__ are data', async (t) => {
    const text = '{"filter":{"__proto__":{"n":12345678901234567890}}}'
    const { filter } = changesOf({ after: parseJson(text) as object })
    t.equal(stringifyJson({ filter: filter!.after! }), text)
  })

  t.test('are small, however large the value', async (t) => {
    const { filter } = changesOf({ after: { filter: { a: Array.from({ length: 5000 }, () => 'x') } } })
    t.same(filter, { after: '(20007 characters)' })
  })
})
