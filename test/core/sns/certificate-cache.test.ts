import t from 'tap'
import { createCertificateCache } from '../../../src/core/sns/certificate-cache.js'
import type { StoredCertificate } from '../../../src/core/sns/certificate-store.js'
import { parseSnsMessage } from '../../../src/core/sns/message.js'
import { createVerifier } from '../../../src/core/sns/verify.js'
import { createSnsPublisher, type PublisherOptions } from '../../helpers/sns-publisher.js'
import { MAX_AGE_S, verifierOf, verifierOfEmulator, verifierWith } from '../../helpers/sns-verifier.js'

const publisher = await createSnsPublisher()

t.test('a certificate must be issued to SNS, be valid now, and have a strong RSA key', async (t) => {
  const day = 24 * 3600 * 1000
  const cases: [string, PublisherOptions, RegExp][] = [
    ['another name', { commonName: 'evil.example' }, /made out to somebody else/],
    [
      'a name that contains the right one',
      { commonName: 'sns.amazonaws.com.evil.example' },
      /made out to somebody else/,
    ],
    [
      'an alternative URI that reads like the right name',
      { commonName: 'evil.example', altName: { type: 6, value: 'http://x/DNS:sns.amazonaws.com' } },
      /made out to somebody else/,
    ],
    [
      'an alternative name that reads like two',
      { commonName: 'evil.example', altName: { type: 2, value: 'evil.example, DNS:sns.amazonaws.com' } },
      /made out to somebody else/,
    ],
    ['the name of another region', { commonName: 'sns-signing.eu-south-1.amazonaws.com' }, /made out to somebody else/],
    [
      'expired',
      { notBefore: new Date(Date.now() - 9 * day), notAfter: new Date(Date.now() - day) },
      /not valid at this time/,
    ],
    [
      'not yet valid',
      { notBefore: new Date(Date.now() + day), notAfter: new Date(Date.now() + 9 * day) },
      /not valid at this time/,
    ],
    ['a weak key', { keySize: 1024 }, /not RSA of 2048 bits/],
  ]
  for (const [name, options, message] of cases) {
    const other = await createSnsPublisher(options)
    const { verify } = verifierWith(other.certificate)
    await t.rejects(verify(other.notification()), { code: 'certificate_not_trusted', status: 403, message }, name)
  }
  const optIn = await createSnsPublisher({ commonName: 'sns-signing.us-east-1.amazonaws.com' })
  await t.resolves(verifierWith(optIn.certificate).verify(optIn.notification()), 'the name of an opt-in region')
  const altName = { type: 2, value: 'sns.amazonaws.com' } as const
  const alternative = await createSnsPublisher({ commonName: 'Amazon', altName })
  await t.resolves(verifierWith(alternative.certificate).verify(alternative.notification()), 'an alternative name')
})

t.test('the certificate of an emulator may have any name and any dates', async (t) => {
  const { emulator, verify } = await verifierOfEmulator(t, { commonName: 'LocalStack' })
  await t.resolves(verify(emulator.notification()))
  const goaws = await verifierOfEmulator(t, { notBefore: new Date(0), notAfter: new Date(5000) })
  await t.resolves(goaws.verify(goaws.emulator.notification()), 'one that lived for five seconds')
})

t.test(
  'an emulator that starts anew has a new key at the same URL, which is fetched once in five seconds',
  async (t) => {
    let now = Date.now()
    const { emulator, verify } = await verifierOfEmulator(t, {}, () => now)
    const at = () => ({ timestamp: new Date(now).toISOString() })
    await verify(emulator.notification(at()))
    const other = await createSnsPublisher()
    const restarted = () => ({ ...other.notification(at()), SigningCertURL: emulator.notification().SigningCertURL })
    const forge = () => ({ ...emulator.notification(at()), Message: 'forged' })
    const mismatch = { code: 'signature_mismatch', status: 403 }
    await t.rejects(verify(restarted()), mismatch, 'within five seconds')
    t.equal(emulator.certificateFetches, 1)

    now += 6000
    emulator.replaceCertificate(other.certificate)
    await Promise.all(Array.from({ length: 20 }, () => verify(restarted())))
    t.equal(emulator.certificateFetches, 2, 'messages at once share the fetch')
    for (let i = 0; i < 20; i++) await t.rejects(verify(forge()), mismatch)
    t.equal(emulator.certificateFetches, 2, 'forgeries make us fetch no more')
    now += 6000
    await Promise.all(Array.from({ length: 20 }, () => t.rejects(verify(forge()), mismatch)))
    t.equal(emulator.certificateFetches, 3)
    await verify(restarted())

    now += 6000
    emulator.respond = (_request, response) => response.writeHead(503).end()
    await t.rejects(verify(forge()), { code: 'undecided', status: 503 }, 'while its host does not answer')
  },
)

t.test('no forgery makes us fetch a certificate of AWS again', async (t) => {
  let now = Date.now()
  const { verify, fetched } = verifierWith(publisher.certificate, () => now)
  for (let i = 0; i < 3; i++) {
    const message = publisher.notification({ timestamp: new Date(now).toISOString() })
    await verify(message)
    await t.rejects(verify({ ...message, Message: 'forged' }), { code: 'signature_mismatch' })
    now += 60_000
  }
  t.equal(fetched.length, 1)
})

t.test(
  'a certificate is fetched once, kept until it ends, and fetched again behind its messages once a day',
  async (t) => {
    const hour = 3600 * 1000
    let now = Date.now()
    const sns = await createSnsPublisher({ notAfter: new Date(now + 60 * hour) })
    let isUp = true
    let fetches = 0
    const certificates = createCertificateCache({
      now: () => now,
      fetch: async () => {
        fetches++
        if (!isUp) throw new Error('down')
        return { status: 200, body: sns.certificate }
      },
    })
    const { verify } = verifierOf(certificates, () => now)
    const at = () => sns.notification({ timestamp: new Date(now).toISOString() })
    await Promise.all(Array.from({ length: 50 }, () => verify(at())))
    now += 23 * hour
    await verify(at())
    t.equal(fetches, 1)
    isUp = false
    now += 2 * hour
    await Promise.all(Array.from({ length: 50 }, () => verify(at())))
    t.equal(fetches, 2, 'after a day it is fetched again, and goes on when that fails')
    now += 25 * hour
    await verify(at())
    t.equal(fetches, 3)
    now += 11 * hour
    await t.rejects(verify(at()), { code: 'certificate_not_trusted', message: /not valid at this time/ })
  },
)

t.test('a certificate that was used is there after a restart, and one that is not of SNS is never kept', async (t) => {
  const kept: StoredCertificate[] = []
  const keep = (certificate: StoredCertificate) => void kept.push(certificate)
  const foreign = await createSnsPublisher({ commonName: 'evil.example' })
  const strange = createCertificateCache({ keep, fetch: async () => ({ status: 200, body: foreign.certificate }) })
  await t.rejects(verifierOf(strange).verify(foreign.notification()), { code: 'certificate_not_trusted' })
  t.same(kept, [])
  const first = createCertificateCache({ keep, fetch: async () => ({ status: 200, body: publisher.certificate }) })
  await verifierOf(first).verify(publisher.notification())
  await verifierOf(first).verify(publisher.notification())
  t.match(kept, [{ url: publisher.notification().SigningCertURL, pem: publisher.certificate, validTo: Date }])
  const down = async () => Promise.reject(new Error('down'))
  await t.rejects(verifierOf(createCertificateCache({ fetch: down })).verify(publisher.notification()))
  const restarted = createCertificateCache({ stored: kept, fetch: down })
  await t.resolves(verifierOf(restarted).verify(publisher.notification()))
})

t.test(
  'a host that returns no certificate leaves the message undecided, and is not requested during the cooldown',
  async (t) => {
    let now = Date.now()
    const { emulator, verify } = await verifierOfEmulator(t, {}, () => now)
    const { respond } = emulator
    let requests = 0
    const misbehaviours: [string, typeof respond][] = [
      ['an error page', (_request, response) => response.writeHead(503).end('<html>busy</html>')],
      ['an error page that says 200', (_request, response) => response.end('<html>busy</html>')],
      ['a redirect', (_request, response) => response.writeHead(302, { location: '/elsewhere' }).end()],
      ['too much', (_request, response) => response.end(Buffer.alloc(1024 * 1024, 0x41))],
      ['a reset', (request) => request.socket.destroy()],
      ['silence', () => {}],
    ]
    for (const [name, misbehave] of misbehaviours) {
      emulator.respond = (request, response) => {
        requests++
        misbehave(request, response)
      }
      const before = requests
      const message = emulator.notification({ timestamp: new Date(now).toISOString() })
      const undecided = { code: 'undecided', status: 503 }
      await t.rejects(verify(message), undecided, name)
      await t.rejects(verify(message), undecided, name)
      t.equal(requests, before + 1, `${name}: requested once, redirects not followed`)
      now += 6000
    }
    emulator.respond = respond
    await t.resolves(
      verify(emulator.notification({ timestamp: new Date(now).toISOString() })),
      'accepted when the host works again',
    )
  },
)

t.test('SNS_SIGNATURE_VERSIONS may refuse SHA-1', async (t) => {
  const { certificates } = verifierWith(publisher.certificate)
  const verifier = createVerifier({ certificates, maxAgeS: MAX_AGE_S, signatureVersions: ['2'] })
  const verify = async (version: '1' | '2') => {
    const envelope = publisher.notification({ version })
    return verifier.verify(parseSnsMessage(Buffer.from(JSON.stringify(envelope))), 'known')
  }
  await t.resolves(verify('2'))
  await t.rejects(verify('1'), { code: 'signature_version', status: 403, errors: [{ path: '/SignatureVersion' }] })
})
