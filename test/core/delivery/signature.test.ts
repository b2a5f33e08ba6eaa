import { createPublicKey, randomBytes, verify } from 'node:crypto'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import {
  isSecret,
  isSigningKey,
  newSecret,
  newSigningKey,
  publicKeyOf,
  signatureHeaders,
} from '../../../src/core/delivery/signature.js'

const bytes = (length: number) => `whsec_${randomBytes(length).toString('base64')}`

t.test('a new secret is 32 random bytes that the library accepts', async (t) => {
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

t.test('the library verifies our signature and makes the same one', async () => {
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

t.test('during a rotation either secret verifies the request', async (t) => {
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

/** Verifies a `v1a` signature as the specification says, with the raw public key as a JWK (RFC 8037). */
function verifies(publicKey: string, signature: string, signed: string | Buffer): boolean {
  const [scheme, value = ''] = signature.split(',')
  const x = Buffer.from(publicKey.replace(/^whpk_/, ''), 'base64').toString('base64url')
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  return scheme === 'v1a' && verify(null, Buffer.from(signed), key, Buffer.from(value, 'base64'))
}

/** RFC 8032 section 7.1, test 1. */
const RFC_SEED = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex')
const RFC_PUBLIC = Buffer.from('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'hex')
const whsk = (...parts: Buffer[]) => `whsk_${Buffer.concat(parts).toString('base64')}`

t.test('a signing key', async (t) => {
  t.test('new ones differ, contain the seed and the public key, and are not secrets', async (t) => {
    const keys = Array.from({ length: 20 }, newSigningKey)
    t.equal(new Set(keys).size, 20)
    for (const key of keys) {
      t.match(key, /^whsk_[A-Za-z0-9+/]{86}==$/)
      t.ok(isSigningKey(key))
      t.notOk(isSecret(key))
      t.equal(publicKeyOf(key), `whpk_${Buffer.from(key.slice(5), 'base64').subarray(32).toString('base64')}`)
    }
  })

  t.test('its public key is that of RFC 8032, with and without the public key in the text', async (t) => {
    for (const key of [whsk(RFC_SEED), whsk(RFC_SEED, RFC_PUBLIC)]) {
      t.ok(isSigningKey(key))
      t.equal(publicKeyOf(key), `whpk_${RFC_PUBLIC.toString('base64')}`)
    }
  })

  t.test('a malformed signing key is refused', async (t) => {
    const good = newSigningKey()
    const wrong = ['', 'whsk_', good.slice(5), `WHSK_${good.slice(5)}`, `${good} `, good.slice(0, -1), `${good}=`]
    const lengths = [0, 1, 31, 33, 63, 65, 128].map((length) => whsk(randomBytes(length)))
    const foreign = whsk(RFC_SEED, randomBytes(32))
    for (const text of [
      ...wrong,
      ...lengths,
      foreign,
      newSecret(),
      `whpk_${good.slice(5)}`,
      `whsk_${'é'.repeat(44)}`,
    ]) {
      t.notOk(isSigningKey(text), text)
    }
  })

  t.test('its signature verifies with the raw public key over the signed text, and over no other', async () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.boolean(),
        (body, seed, asBytes) => {
          const key = whsk(Buffer.from(seed))
          const timestamp = new Date(1674088031000)
          const sent = asBytes ? Buffer.from(body) : body
          const headers = signatureHeaders({ id: 'evt_1', timestamp, body: sent, secrets: [key] })
          const check = (signed: string) => verifies(publicKeyOf(key), headers['webhook-signature'], signed)
          return (
            check(`evt_1.1674088031.${body}`) &&
            !check(`evt_2.1674088031.${body}`) &&
            !check(`evt_1.1674088032.${body}`) &&
            !check(`evt_1.1674088031.${body} `)
          )
        },
      ),
      { numRuns: 50 },
    )
  })

  t.test('signing keys and secrets sign the same request, one signature each', async (t) => {
    const [secret, key] = [newSecret(), newSigningKey()]
    const headers = signatureHeaders({ id: 'evt_1', timestamp: new Date(), body: '{}', secrets: [key, secret] })
    const [asymmetric = '', symmetric] = headers['webhook-signature'].split(' ')
    t.match(asymmetric, /^v1a,[A-Za-z0-9+/]{86}==$/)
    t.match(symmetric, /^v1,[A-Za-z0-9+/]{43}=$/)
    t.ok(verifies(publicKeyOf(key), asymmetric, `evt_1.${headers['webhook-timestamp']}.{}`))
    t.notOk(verifies(publicKeyOf(newSigningKey()), asymmetric, `evt_1.${headers['webhook-timestamp']}.{}`))
    t.same(new Webhook(secret).verify('{}', { ...headers }), {}, 'the library skips a scheme that it does not know')
  })

  t.test('more keys than the cache holds all sign correctly', async (t) => {
    const keys = Array.from({ length: 1_100 }, () => whsk(randomBytes(32)))
    const timestamp = new Date(1674088031000)
    const signAll = () => keys.map((key) => signatureHeaders({ id: 'evt_1', timestamp, body: '{}', secrets: [key] }))
    const first = signAll()
    t.same(signAll(), first)
    t.ok(verifies(publicKeyOf(keys[0]!), first[0]!['webhook-signature'], 'evt_1.1674088031.{}'))
    t.ok(verifies(publicKeyOf(keys[1_099]!), first[1_099]!['webhook-signature'], 'evt_1.1674088031.{}'))
  })
})
