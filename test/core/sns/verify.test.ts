import { EventEmitter } from 'node:events'
import https from 'node:https'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import PayloadValidator from 'sns-payload-validator'
import MessageValidator from 'sns-validator'
import t, { type Test } from 'tap'
import { createCertificateStore } from '../../../src/core/sns/certificate.js'
import { parseSnsMessage } from '../../../src/core/sns/message.js'
import { createVerifier } from '../../../src/core/sns/verify.js'
import { createSnsPublisher, TEST_TOPIC, type Envelope, type PublisherOptions } from '../../helpers/sns-publisher.js'

const MAX_AGE_S = 4200
const publisher = await createSnsPublisher()

/** A verifier that gets this certificate for every URL; `fetched` is what it asked for. */
function verifierWith(certificate: string, now?: () => number) {
  const fetched: string[] = []
  const certificates = createCertificateStore({
    now,
    fetch: async (url) => {
      fetched.push(url.href)
      return { status: 200, body: certificate }
    },
  })
  const verifier = createVerifier({ certificates, maxAgeS: MAX_AGE_S, now })
  const verify = async (envelope: object) => verifier.verify(parseSnsMessage(Buffer.from(JSON.stringify(envelope))))
  return { verify, fetched }
}

/** A verifier that trusts the publisher's own loopback server, as SNS_EMULATOR does. */
async function emulated(t: Test, options: PublisherOptions = {}, now?: () => number) {
  const emulator = await createSnsPublisher(options)
  await emulator.serve()
  t.teardown(() => emulator.close())
  const certificates = createCertificateStore({ emulatorOrigin: emulator.origin, now })
  const verifier = createVerifier({ certificates, maxAgeS: MAX_AGE_S, emulatorOrigin: emulator.origin, now })
  const verify = async (envelope: object) => verifier.verify(parseSnsMessage(Buffer.from(JSON.stringify(envelope))))
  return { emulator, verify }
}

const everyKind = (version: '1' | '2'): Envelope[] => [
  publisher.notification({ message: 'm', version }),
  publisher.notification({ message: 'Größe \u{1f600}\n\u0000', subject: 'Subject Type', version }),
  publisher.notification({ message: '', subject: '', version }),
  publisher.subscriptionConfirmation({ version }),
  publisher.unsubscribeConfirmation({ version }),
]

t.test('all three types verify in both signature versions', async (t) => {
  const { verify, fetched } = verifierWith(publisher.certificate)
  for (const version of ['1', '2'] as const) {
    for (const envelope of everyKind(version)) await t.resolves(verify(envelope), `${envelope.Type} ${version}`)
  }
  t.equal(fetched.length, 1, 'one fetch for all of them')
})

t.test('a message of which any signed field was changed is refused', async (t) => {
  const { verify } = verifierWith(publisher.certificate)
  const refused = { code: 'signature_mismatch', status: 403, message: 'The signature is not of this message.' }
  for (const version of ['1', '2'] as const) {
    for (const envelope of everyKind(version)) {
      const changes: Record<string, unknown> = {
        Message: `${envelope.Message} `,
        MessageId: `${envelope.MessageId}x`,
        Subject: 'another',
        Timestamp: new Date(Date.now() - 5000).toISOString(),
        TopicArn: `${envelope.TopicArn}x`,
        SignatureVersion: version === '1' ? '2' : '1',
      }
      if (envelope.Type !== 'Notification') {
        delete changes.Subject // not signed in a confirmation, and not read
        changes.Token = 'another'
      }
      for (const [key, value] of Object.entries(changes)) {
        const changed: Record<string, unknown> = { ...envelope, [key]: value }
        if (key === 'TopicArn' && envelope.Type !== 'Notification') {
          changed.SubscribeURL = String(envelope.SubscribeURL).replace(
            encodeURIComponent(envelope.TopicArn),
            encodeURIComponent(String(value)),
          )
        }
        await t.rejects(verify(changed), refused, `${envelope.Type} ${version} ${key}`)
      }
    }
  }
  const confirmation = publisher.subscriptionConfirmation()
  await t.rejects(verify({ ...confirmation, Type: 'UnsubscribeConfirmation' }), refused, 'a swapped type')
  const other = await createSnsPublisher()
  await t.rejects(
    verify({ ...publisher.notification(), Signature: other.notification().Signature }),
    refused,
    'a foreign key',
  )
})

t.test('a Timestamp outside the window is refused before any network call', async (t) => {
  const { verify, fetched } = verifierWith(publisher.certificate)
  for (const offsetS of [-MAX_AGE_S - 5, MAX_AGE_S + 5]) {
    const timestamp = new Date(Date.now() + offsetS * 1000).toISOString()
    await t.rejects(verify(publisher.notification({ timestamp })), {
      code: 'stale_message',
      status: 403,
      message: /more than 4200 s from now/,
    })
  }
  t.equal(fetched.length, 0)
  for (const offsetS of [-MAX_AGE_S + 60, MAX_AGE_S - 60]) {
    const timestamp = new Date(Date.now() + offsetS * 1000).toISOString()
    await t.resolves(verify(publisher.notification({ timestamp })))
  }
})

t.test('URLs that are not of SNS are refused before any network call', async (t) => {
  const { verify, fetched } = verifierWith(publisher.certificate)
  const bucket = publisher.notification().SigningCertURL.replace('us-east-1', 's3-us-west-2')
  await t.rejects(verify({ ...publisher.notification(), SigningCertURL: bucket }), {
    code: 'certificate_not_trusted',
    status: 403,
    message: /SigningCertURL is not on sns\.us-east-1\.amazonaws\.com/,
  })
  const set = { SubscribeURL: 'http://169.254.169.254/?Action=ConfirmSubscription' }
  await t.rejects(verify(publisher.subscriptionConfirmation({ set })), {
    code: 'subscribe_url_not_trusted',
    status: 403,
    message: /SubscribeURL is not https/,
  })
  t.same(fetched, [])
})

t.test('a certificate must be made out to SNS, be valid now, and have a strong RSA key', async (t) => {
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

t.test('an emulator may use any name; its dates count', async (t) => {
  const { emulator, verify } = await emulated(t, { commonName: 'LocalStack' })
  await t.resolves(verify(emulator.notification()))
  const expired = await emulated(t, { notBefore: new Date(0), notAfter: new Date(86_400_000) })
  await t.rejects(expired.verify(expired.emulator.notification()), { code: 'certificate_not_trusted', status: 403 })
})

t.test(
  '50 messages at once fetch the certificate once; it is kept for a day, and its dates are checked then too',
  async (t) => {
    let now = Date.now()
    const { emulator, verify } = await emulated(t, { notAfter: new Date(now + 40 * 3600 * 1000) }, () => now)
    const at = () => ({ timestamp: new Date(now).toISOString() })
    await Promise.all(Array.from({ length: 50 }, () => verify(emulator.notification(at()))))
    t.equal(emulator.certificateFetches, 1)
    now += 23 * 3600 * 1000
    await verify(emulator.notification(at()))
    t.equal(emulator.certificateFetches, 1)
    now += 2 * 3600 * 1000
    await verify(emulator.notification(at()))
    t.equal(emulator.certificateFetches, 2, 'asked for again after a day')
    now += 16 * 3600 * 1000
    await t.rejects(verify(emulator.notification(at())), {
      code: 'certificate_not_trusted',
      message: /not valid at this time/,
    })
    t.equal(emulator.certificateFetches, 2, 'expired while it was kept')
  },
)

t.test(
  'a host that does not answer with a certificate leaves it undecided, and is left in peace for a while',
  async (t) => {
    let now = Date.now()
    const { emulator, verify } = await emulated(t, {}, () => now)
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
      t.equal(requests, before + 1, `${name}: asked once, redirects not followed`)
      now += 6000
    }
    emulator.respond = respond
    await t.resolves(
      verify(emulator.notification({ timestamp: new Date(now).toISOString() })),
      'taken when it works again',
    )
  },
)

t.test('any number of forged URLs leaves a good certificate where it is', async (t) => {
  const genuine = publisher.notification().SigningCertURL
  let fetches = 0
  const store = createCertificateStore({
    fetch: async (url) => {
      if (url.href !== genuine) return { status: 404, body: '' }
      fetches++
      return { status: 200, body: publisher.certificate }
    },
  })
  await store.publicKeyFor(genuine, TEST_TOPIC)
  for (let i = 0; i < 200; i++) {
    const forged = `https://sns.us-east-1.amazonaws.com/SimpleNotificationService-${String(i).padStart(32, '0')}.pem`
    await store.publicKeyFor(forged, TEST_TOPIC).catch(() => {})
  }
  await store.publicKeyFor(genuine, TEST_TOPIC)
  t.equal(fetches, 1)
})

/** The two libraries of npm fetch with https.get: they get the publisher's certificate. */
function stubHttpsGet(t: Test, body: string, statusCode = 200): void {
  const { get } = https
  t.teardown(() => (https.get = get))
  const stub = (_url: unknown, ...rest: unknown[]) => {
    const callback = rest.at(-1) as (response: Readable) => void
    queueMicrotask(() => callback(Object.assign(Readable.from([Buffer.from(body)]), { statusCode })))
    return new EventEmitter()
  }
  https.get = stub as unknown as typeof https.get
}

const oracle = {
  validator: (envelope: object) =>
    new Promise<boolean>((resolve) => new MessageValidator().validate({ ...envelope }, (error) => resolve(!error))),
  payloadValidator: (envelope: object) =>
    new PayloadValidator({ useCache: false }).validate(JSON.stringify(envelope)).then(
      () => true,
      () => false,
    ),
}

t.test('over generated messages we agree with sns-validator and sns-payload-validator', async (t) => {
  stubHttpsGet(t, publisher.certificate)
  const { verify } = verifierWith(publisher.certificate)
  const ours = (envelope: object) =>
    verify(envelope).then(
      () => true,
      () => false,
    )
  const text = fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed())
  const made = fc.record({
    message: text,
    // SNS takes no line break in a Subject, and no more than 100 characters
    subject: fc.option(
      text.filter((value) => !value.includes('\n')),
      { nil: undefined },
    ),
    version: fc.constantFrom('1' as const, '2' as const),
    confirmation: fc.boolean(),
    // freq 2: half of them are left as they were signed
    forge: fc.option(fc.constantFrom('Message', 'MessageId', 'Timestamp', 'Signature'), { nil: undefined, freq: 2 }),
  })
  let accepted = 0
  let refused = 0
  await fc.assert(
    fc.asyncProperty(made, async ({ confirmation, forge, ...options }) => {
      const envelope = confirmation ? publisher.subscriptionConfirmation(options) : publisher.notification(options)
      if (forge === 'Timestamp') envelope.Timestamp = new Date(Date.now() - 1000).toISOString()
      else if (forge === 'Signature') envelope.Signature = publisher.notification({ message: 'another' }).Signature
      else if (forge) envelope[forge] = `${String(envelope[forge])}x`
      const [mine, ...others] = [
        await ours(envelope),
        await oracle.validator(envelope),
        await oracle.payloadValidator(envelope),
      ]
      t.same(others, [mine, mine])
      if (mine) accepted++
      else refused++
    }),
    { numRuns: 60 },
  )
  t.ok(accepted > 5 && refused > 5, `both kinds were made (${accepted} good, ${refused} forged)`)
})

t.test('where the libraries of npm are wrong, we are not', async (t) => {
  stubHttpsGet(t, publisher.certificate)
  const { verify } = verifierWith(publisher.certificate)
  const goodbye = publisher.unsubscribeConfirmation()
  t.equal(await oracle.validator(goodbye), false, 'sns-validator refuses every UnsubscribeConfirmation')
  await t.resolves(verify(goodbye))

  const bucket = publisher.notification()
  bucket.SigningCertURL = bucket.SigningCertURL.replace('us-east-1', 's3-us-west-2')
  t.equal(await oracle.validator(bucket), true, 'sns-validator takes a certificate from a bucket of anyone')
  t.equal(await oracle.payloadValidator(bucket), true, 'so does sns-payload-validator')
  await t.rejects(verify(bucket), { code: 'certificate_not_trusted' })

  const signed = publisher.notification({ message: 'all\nMessageId\nchosen\nSubject\nof it' })
  const cut = { ...signed, Message: 'all', MessageId: 'chosen', Subject: `of it\nMessageId\n${signed.MessageId}` }
  t.equal(await oracle.validator(cut), true, 'sns-validator takes a signed Message cut in two')
  t.equal(await oracle.payloadValidator(cut), true, 'so does sns-payload-validator')
  await t.resolves(verify(signed))
  await t.rejects(verify(cut), { code: 'malformed_message', status: 400, errors: [{ path: '/Subject' }] })

  const replaced = publisher.notification({ message: 'a\ufffd' })
  const halved = { ...replaced, Message: 'a\ud800' }
  t.equal(await oracle.validator(halved), true, 'sns-validator takes half a surrogate pair for U+FFFD')
  t.equal(await oracle.payloadValidator(halved), true, 'so does sns-payload-validator')
  await t.resolves(verify(replaced))
  await t.rejects(verify(halved), { code: 'malformed_message', status: 400, errors: [{ path: '/Message' }] })

  const caching = new PayloadValidator({ useCache: true })
  stubHttpsGet(t, '<html>busy</html>', 503)
  await t.rejects(caching.validate(JSON.stringify(publisher.notification())))
  stubHttpsGet(t, publisher.certificate)
  await t.rejects(
    caching.validate(JSON.stringify(publisher.notification())),
    'sns-payload-validator keeps an error page as the certificate',
  )
})
