import { EventEmitter } from 'node:events'
import https from 'node:https'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import PayloadValidator from 'sns-payload-validator'
import MessageValidator from 'sns-validator'
import t, { type Test } from 'tap'
import { createSnsPublisher, type Envelope } from '../../helpers/sns-publisher.js'
import { MAX_AGE_S, verifierWith } from '../../helpers/sns-verifier.js'

const publisher = await createSnsPublisher()

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

t.test('an empty Subject may be signed or not: goaws sends it unsigned', async (t) => {
  const { verify } = verifierWith(publisher.certificate)
  const without = publisher.notification({ message: 'm' })
  await t.resolves(verify({ ...without, Subject: '' }))
  await t.resolves(verify(publisher.notification({ message: 'm', subject: '' })))
  await t.rejects(verify({ ...without, Subject: ' ' }), { code: 'signature_mismatch' })
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

/** Both npm libraries fetch with https.get: the stub answers with this body. */
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

t.test('over generated messages the verifier agrees with sns-validator and sns-payload-validator', async (t) => {
  stubHttpsGet(t, publisher.certificate)
  const { verify } = verifierWith(publisher.certificate)
  const isVerified = (envelope: object) =>
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
      const [verified, ...others] = [
        await isVerified(envelope),
        await oracle.validator(envelope),
        await oracle.payloadValidator(envelope),
      ]
      t.same(others, [verified, verified])
      if (verified) accepted++
      else refused++
    }),
    { numRuns: 60 },
  )
  t.ok(accepted > 5 && refused > 5, `both kinds were made (${accepted} good, ${refused} forged)`)
})

t.test('the verifier does not have the known faults of sns-validator and sns-payload-validator', async (t) => {
  stubHttpsGet(t, publisher.certificate)
  const { verify } = verifierWith(publisher.certificate)
  const unsubscribe = publisher.unsubscribeConfirmation()
  t.equal(await oracle.validator(unsubscribe), false, 'sns-validator refuses every UnsubscribeConfirmation')
  await t.resolves(verify(unsubscribe))

  const bucket = publisher.notification()
  bucket.SigningCertURL = bucket.SigningCertURL.replace('us-east-1', 's3-us-west-2')
  t.equal(await oracle.validator(bucket), true, 'sns-validator accepts a certificate from any bucket')
  t.equal(await oracle.payloadValidator(bucket), true, 'so does sns-payload-validator')
  await t.rejects(verify(bucket), { code: 'certificate_not_trusted' })

  const signed = publisher.notification({ message: 'all\nMessageId\nchosen\nSubject\nof it' })
  const cut = { ...signed, Message: 'all', MessageId: 'chosen', Subject: `of it\nMessageId\n${signed.MessageId}` }
  t.equal(await oracle.validator(cut), true, 'sns-validator accepts a signed Message cut in two')
  t.equal(await oracle.payloadValidator(cut), true, 'so does sns-payload-validator')
  await t.resolves(verify(signed))
  await t.rejects(verify(cut), { code: 'malformed_message', status: 400, errors: [{ path: '/Subject' }] })

  const replaced = publisher.notification({ message: 'a\ufffd' })
  const halved = { ...replaced, Message: 'a\ud800' }
  t.equal(await oracle.validator(halved), true, 'sns-validator accepts half a surrogate pair as U+FFFD')
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
