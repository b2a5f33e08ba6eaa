import fc from 'fast-check'
import t from 'tap'
import { allows, isSecretOf, newApiKey, parseApiKey, SCOPES } from '../../../src/core/access/api-key.js'
import { changesOf } from '../../../src/core/access/audit.js'
import { parseJson, stringifyJson, type Json } from '../../../src/core/platform/json.js'
import { scopeOf } from '../../../src/routes/access.js'

t.test('a key', async (t) => {
  t.test('is found by one half and proven by the other, of which the digest alone is kept', async (t) => {
    const { id, text, digest } = newApiKey()
    const parsed = parseApiKey(text)!
    t.equal(parsed.id, id)
    t.ok(isSecretOf(parsed.secret, digest))
    t.equal(Buffer.from(parsed.secret, 'base64url').length, 32)
    t.notOk(isSecretOf(parsed.secret.toUpperCase(), digest))
    t.notOk(isSecretOf('', digest))
    t.not(newApiKey().text.slice(-43), text.slice(-43))
  })

  t.test('of another form is none: nothing is looked up for it', async (t) => {
    const { text } = newApiKey()
    const firstKey = `ark_${'a'.repeat(43)}`
    for (const other of ['', text.slice(0, -1), `${text}a`, text.toUpperCase(), text.replace('ark', 'key'), firstKey]) {
      t.equal(parseApiKey(other), undefined, other)
    }
    fc.assert(fc.property(fc.string(), (text) => parseApiKey(text) === undefined))
  })
})

t.test('each scope takes in those before it, and no other', async (t) => {
  t.same(
    SCOPES.map((scope) => SCOPES.filter((needed) => allows(scope, needed))),
    [['read'], ['read', 'write'], ['read', 'write', 'admin']],
  )
})

t.test('a path asks for admin by whole parts, so a name that looks like one does not', async (t) => {
  t.equal(scopeOf('GET', '/v1/keys'), 'admin')
  t.equal(scopeOf('DELETE', '/v1/keys/:id'), 'admin')
  t.equal(scopeOf('GET', '/v1/keystones'), 'read')
  t.equal(scopeOf('GET', '/v1/webhooks/:id/secret'), 'admin')
  t.equal(scopeOf('GET', '/v1/webhooks/:id/secrets'), 'read')
  t.equal(scopeOf('PUT', '/v1/webhooks/:id'), 'write')
  t.equal(scopeOf('OPTIONS', '/v1/anything'), 'write', 'what is not known to read only')
})

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
    t.same(changes.url, { before: 'https://example.com/a?...', after: 'https://example.com/a?...' })
    t.same(changes.format_options?.after, { routing_key: '********', template: '$.a' })
    t.same(changes.list?.after, ['http://example.com/', 'https://example.com/b'])
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
