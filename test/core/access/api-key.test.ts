import fc from 'fast-check'
import t from 'tap'
import { allows, isSecretOf, newApiKey, parseApiKey, SCOPES } from '../../../src/core/access/api-key.js'

t.test('a key', async (t) => {
  t.test('is identified by one part and proven by the other, of which only the digest is stored', async (t) => {
    const { id, text, digest } = newApiKey()
    const parsed = parseApiKey(text)!
    t.equal(parsed.id, id)
    t.ok(isSecretOf(parsed.secret, digest))
    t.equal(Buffer.from(parsed.secret, 'base64url').length, 32)
    t.notOk(isSecretOf(parsed.secret.toUpperCase(), digest))
    t.notOk(isSecretOf('', digest))
    t.not(newApiKey().text.slice(-43), text.slice(-43))
  })

  t.test('of another form is not parsed', async (t) => {
    const { text } = newApiKey()
    const firstKey = `ark_${'a'.repeat(43)}`
    for (const other of ['', text.slice(0, -1), `${text}a`, text.toUpperCase(), text.replace('ark', 'key'), firstKey]) {
      t.equal(parseApiKey(other), undefined, other)
    }
    fc.assert(fc.property(fc.string(), (text) => parseApiKey(text) === undefined))
  })
})

t.test('a scope includes others, and bringing in is not reading', async (t) => {
  t.same(
    SCOPES.map((scope) => SCOPES.filter((needed) => allows(scope, needed))),
    [['ingest'], ['read'], ['ingest', 'read', 'write'], ['ingest', 'read', 'write', 'admin']],
  )
})
