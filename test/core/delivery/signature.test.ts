import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { isSecret, newSecret, signatureHeaders } from '../../../src/core/delivery/signature.js'

const bytes = (length: number) => `whsec_${randomBytes(length).toString('base64')}`

t.test('a new secret is 32 random bytes that the library takes', async (t) => {
  const secrets = Array.from({ length: 20 }, newSecret)
  t.equal(new Set(secrets).size, 20)
  for (const secret of secrets) {
    t.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/)
    t.ok(isSecret(secret))
    t.ok(new Webhook(secret))
  }
})

t.test('a secret is whsec_ and the base64 of 24 to 64 bytes', async (t) => {
  for (const length of [24, 25, 32, 63, 64]) t.ok(isSecret(bytes(length)), `${length} bytes`)
  for (const length of [0, 1, 23, 65, 200]) t.notOk(isSecret(bytes(length)), `${length} bytes`)
  const [good] = [bytes(32)]
  const wrong = [
    '',
    'whsec_',
    good.slice(6),
    `WHSEC_${good.slice(6)}`,
    `${good} `,
    ` ${good}`,
    `${good}=`,
    good.slice(0, -1),
  ]
  for (const text of [...wrong, `whsk_${good.slice(6)}`, `whsec_${'-_'.repeat(20)}`, `whsec_${'é'.repeat(40)}`]) {
    t.notOk(isSecret(text), text)
  }
})

t.test('the library verifies what we sign and signs the same', async () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', minLength: 1 }),
      fc.uint8Array({ minLength: 24, maxLength: 64 }),
      (body, key) => {
        const secret = `whsec_${Buffer.from(key).toString('base64')}`
        const timestamp = new Date()
        const headers = signatureHeaders({ id: 'evt_1', timestamp, body, secrets: [secret] })
        const oracle = new Webhook(secret)
        oracle.verify(body, { ...headers }, { jsonParse: false })
        return headers['webhook-signature'] === oracle.sign('evt_1', timestamp, body)
      },
    ),
  )
})

t.test('text and its bytes have the same signature', async (t) => {
  const signable = { id: 'evt_1', timestamp: new Date(), secrets: [newSecret()] }
  const body = '{"name":"Zoë \u{1f512}"}'
  t.same(signatureHeaders({ ...signable, body }), signatureHeaders({ ...signable, body: Buffer.from(body) }))
})

t.test('the timestamp is in whole seconds, rounded down', async (t) => {
  const timestamp = new Date('2023-01-19T00:27:11.999Z')
  const headers = signatureHeaders({ id: 'evt_1', timestamp, body: '{}', secrets: [newSecret()] })
  t.match(headers, { 'webhook-id': 'evt_1', 'webhook-timestamp': '1674088031' })
})

t.test('during a rotation the holder of either secret can verify', async (t) => {
  const [current, former, stranger] = [newSecret(), newSecret(), newSecret()]
  const headers = signatureHeaders({ id: 'evt_1', timestamp: new Date(), body: '{}', secrets: [current, former] })
  t.match(headers['webhook-signature'], /^v1,[A-Za-z0-9+/]{43}= v1,[A-Za-z0-9+/]{43}=$/)
  for (const secret of [current, former]) t.same(new Webhook(secret).verify('{}', { ...headers }), {})
  t.throws(() => new Webhook(stranger).verify('{}', { ...headers }), { message: 'No matching signature found' })
})

t.test('id, timestamp and body are all covered', async (t) => {
  const secret = newSecret()
  const headers = signatureHeaders({ id: 'evt_1', timestamp: new Date(), body: '{"a":1}', secrets: [secret] })
  const oracle = new Webhook(secret)
  const later = String(Number(headers['webhook-timestamp']) + 1)
  t.throws(() => oracle.verify('{"a":2}', { ...headers }), { message: 'No matching signature found' })
  t.throws(() => oracle.verify('{"a":1}', { ...headers, 'webhook-id': 'evt_2' }), { message: /No matching/ })
  t.throws(() => oracle.verify('{"a":1}', { ...headers, 'webhook-timestamp': later }), { message: /No matching/ })
})

t.test('nothing is signed without a secret', async (t) => {
  const unsigned = { id: 'evt_1', timestamp: new Date(), body: '{}', secrets: [] }
  t.throws(() => signatureHeaders(unsigned), { name: 'RangeError', message: /without a live secret/ })
})
