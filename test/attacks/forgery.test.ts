/**
 * Forgeries of SNS's messages. What is taken is compared with what was signed: a message that says anything else must be
 * refused, whoever signed it and wherever its certificate lies.
 */
import t, { type Test } from 'tap'
import { createBodyBudget } from '../../src/core/platform/body-budget.js'
import { createLogger } from '../../src/core/platform/logger.js'
import { createCertificateCache } from '../../src/core/sns/certificate-cache.js'
import { stringToSign, type SnsMessage } from '../../src/core/sns/message.js'
import { createSubscriptions } from '../../src/core/sns/subscriptions.js'
import { createVerifier } from '../../src/core/sns/verify.js'
import { createIntake, type IntakeOptions } from '../../src/http.js'
import { reportCount } from '../helpers/attacks.js'
import { borrowTestDatabase } from '../helpers/backends.js'
import * as forgeries from '../helpers/forgeries.js'
import { injectUntilAccepted } from '../helpers/inject.js'
import { createSnsPublisher, TEST_TOPIC, type Envelope } from '../helpers/sns-publisher.js'
import { MAX_AGE_S } from '../helpers/sns-verifier.js'

const publisher = await createSnsPublisher()
const message = JSON.stringify({ id: 'a', title: 'Größe \u{1f600}', context: { a: ['1'] } })

const everyKind = (): Envelope[] =>
  (['1', '2'] as const).flatMap((version) => [
    publisher.notification({ message, version }),
    publisher.notification({ message, subject: 'Subject of it', version }),
    publisher.notification({ message, subject: '', version }),
    publisher.subscriptionConfirmation({ version }),
    publisher.unsubscribeConfirmation({ version }),
  ])

/** What a message says: what is signed of it. */
const meaningOf = ({ MessageId, TopicArn, Message, Subject, Timestamp }: Record<string, unknown>) =>
  JSON.stringify([MessageId, TopicArn, Message, Subject || undefined, new Date(String(Timestamp))])

interface Told {
  stored: string[]
  confirmed: string[]
  fetched: URL[]
}

/**
 * The intake with AWS's rules of URLs.
 * @param certificates what the hosts of SNS answer, by URL; others answer 404
 */
async function openIntake(t: Test, certificates: Record<string, string>) {
  const told: Told = { stored: [], confirmed: [], fetched: [] }
  const verifier = createVerifier({
    certificates: createCertificateCache({
      fetch: async (url) => {
        told.fetched.push(url)
        const body = certificates[url.href]
        return body === undefined ? { status: 404, body: '' } : { status: 200, body }
      },
    }),
    maxAgeS: MAX_AGE_S,
  })
  const log = createLogger('silent')
  const subscriptions = createSubscriptions({
    ...{ database: await borrowTestDatabase(t), allowedTopics: [TEST_TOPIC], emulatorOrigin: undefined, log },
    fetch: async (url) => {
      told.confirmed.push(url.href)
      return { status: 200, body: '' }
    },
  })
  t.teardown(() => subscriptions.close())
  const accept: IntakeOptions['accept'] = async ({ messageId, topicArn, message, subject, sentAt }) => {
    told.stored.push(JSON.stringify([messageId, topicArn, message, subject, sentAt]))
    throw new Error('it is noted, and need not be stored')
  }
  const http = await createIntake({
    ...{ log, bodies: createBodyBudget(1e9), trustProxy: [], subscriptions, verifier, accept },
    metrics: { countMessage() {}, countRequest() {}, countUnread() {} } as unknown as IntakeOptions['metrics'],
  })
  t.teardown(() => http.close())
  const post = (body: object | Buffer) => {
    const payload = Buffer.isBuffer(body) ? body : JSON.stringify(body)
    return injectUntilAccepted(http, { method: 'POST', url: '/sns', payload })
  }
  return { told, post }
}

const genuine = { [publisher.notification().SigningCertURL]: publisher.certificate }

t.test('a message of which anything that is signed was changed is refused', async (t) => {
  const { told, post } = await openIntake(t, genuine)
  const url = String(publisher.subscriptionConfirmation().SubscribeURL)
  let count = 0
  for (const envelope of everyKind()) {
    const text = stringToSign(envelope as unknown as SnsMessage)
    const { privatePem, certificate: pem } = publisher
    for (const [name, body] of [
      // a field is changed alike in both versions
      ...(envelope.SignatureVersion === '1' ? [] : forgeries.changedFields(envelope)),
      ...(envelope.SignatureVersion === '1' ? [] : forgeries.movedBoundaries(envelope)),
      ...forgeries.otherTypes(envelope, url),
      ...forgeries.changedSignatures(envelope),
      ...forgeries.foreignSignatures(envelope, { text, pem }),
      ...forgeries.otherSchemes(envelope, { text, privatePem }),
    ]) {
      const { statusCode } = await post(body)
      if (statusCode !== 400 && statusCode !== 403) t.fail(`${envelope.Type}: ${name} is answered ${statusCode}`)
      count++
    }
  }
  t.same(told.stored, [])
  t.same(told.confirmed, [])
  t.equal(told.fetched.length, 1, 'one certificate was fetched, the genuine one')
  for (const envelope of everyKind()) await post(envelope)
  t.equal(told.stored.length, 6, 'the genuine ones are taken')
  t.equal(told.confirmed.length, 2)
  t.ok(count > 5000)
  reportCount(t, count, 'messages forged field by field')
})

t.test('whatever byte of a body is changed, what is taken is what was signed', async (t) => {
  const { told, post } = await openIntake(t, genuine)
  let count = 0
  for (const envelope of everyKind().filter(({ SignatureVersion: version }) => version === '2')) {
    for (const body of forgeries.mutatedBodies(envelope)) {
      await post(body)
      count++
    }
    const isSame = (taken: string) => taken === meaningOf(envelope)
    t.same(
      told.stored.splice(0).filter((taken) => !isSame(taken)),
      [],
      envelope.Type,
    )
  }
  const { SubscribeURL: url } = publisher.subscriptionConfirmation()
  t.ok(told.confirmed.every((confirmed) => confirmed === url))
  for (const { protocol, host } of told.fetched) t.equal(`${protocol}//${host}`, 'https://sns.us-east-1.amazonaws.com')
  reportCount(t, count, 'bodies with one bit changed')
})

t.test('a certificate that is not of SNS proves nothing, wherever it lies', async (t) => {
  const day = 24 * 3600 * 1000
  const others = await Promise.all([
    createSnsPublisher({ commonName: 'evil.example' }),
    createSnsPublisher({ commonName: 'sns.amazonaws.com.evil.example' }),
    createSnsPublisher({ commonName: '*.amazonaws.com' }),
    createSnsPublisher({ commonName: 'sns.eu-south-1.amazonaws.com' }),
    createSnsPublisher({ commonName: 'evil.example', altName: { type: 6, value: 'sns.amazonaws.com' } }),
    createSnsPublisher({ commonName: 'evil.example', altName: { type: 2, value: '*.us-east-1.amazonaws.com' } }),
    createSnsPublisher({ notBefore: new Date(Date.now() - 9 * day), notAfter: new Date(Date.now() - day) }),
    createSnsPublisher({ notBefore: new Date(Date.now() + day) }),
    createSnsPublisher({ keySize: 1024 }),
  ])
  const lying = Object.fromEntries(others.map((other) => [other.notification().SigningCertURL, other.certificate]))
  const { told, post } = await openIntake(t, { ...genuine, ...lying })
  // made out to SNS, but at the attacker's own address
  const stranger = await createSnsPublisher()
  const { SigningCertURL: trusted } = publisher.notification()
  const { pathname: path, host } = new URL(trusted)
  const urls = [
    ...['s3', 's3-us-west-2', 's3.us-west-2', 'evil', 'us-east-1.evil', 'eu-west-1', 'cn-north-1', 'US-EAST-1 '].map(
      (region) => `https://sns.${region}.amazonaws.com${path}`,
    ),
    ...[`https://${host}.evil.example`, `https://evil.example/${host}`, `https://${host}@evil.example`].map(
      (origin) => origin + path,
    ),
    ...[`http://${host}`, `https://${host}:444`, `https://evil@${host}`, `ftp://${host}`, `https://${host}.`].map(
      (origin) => origin + path,
    ),
    ...[
      `${trusted}?`,
      `${trusted}?x=1`,
      `${trusted}#x`,
      `${trusted}%00`,
      `${trusted}/x`,
      `https://${host}/x.pem`,
    ].filter((url) => new URL(url).href !== trusted),
    ...[`https://${host}/evil/..%2f${path}`, `https://${host}/bucket${path}`, `https://${host}/${path}`],
    ...['', ' ', 'x', '//evil.example/x.pem', 'data:text/plain,x', 'file:///etc/passwd', 'javascript:x', `\\\\${host}`],
    ...['http://127.0.0.1/x.pem', 'http://169.254.169.254/x.pem', 'http://[::1]/x.pem', 'https://localhost/x.pem'],
  ]
  const forged = [
    ...others.flatMap((other) => [other.notification(), other.subscriptionConfirmation()]),
    ...urls.flatMap((url) =>
      [stranger.notification(), stranger.unsubscribeConfirmation()].map((envelope) => ({
        ...envelope,
        SigningCertURL: url,
      })),
    ),
    ...[stranger.notification(), stranger.subscriptionConfirmation()].map((envelope) => ({
      ...envelope,
      SigningCertURL: trusted,
    })),
    // what confirms must be a confirmation of this topic at its own host, also when SNS signed it
    ...['https://evil.example/', `https://${host}/x`, `http://${host}/`, 'http://169.254.169.254/'].map((base) =>
      publisher.subscriptionConfirmation({
        set: { SubscribeURL: `${base}?Action=ConfirmSubscription&TopicArn=${TEST_TOPIC}&Token=x` },
      }),
    ),
    ...['DeleteTopic', 'confirmsubscription', ''].map((action) =>
      publisher.subscriptionConfirmation({
        set: { SubscribeURL: `https://${host}/?Action=${action}&TopicArn=${TEST_TOPIC}&Token=x` },
      }),
    ),
  ]
  for (const envelope of forged) {
    const { statusCode } = await post(envelope)
    t.ok(statusCode === 400 || statusCode === 403, `${envelope.Type} with ${envelope.SigningCertURL}: ${statusCode}`)
  }
  t.same(told.stored, [])
  t.same(told.confirmed, [])
  for (const { origin } of told.fetched) t.equal(origin, `https://${host}`)
  reportCount(t, forged.length, 'messages with a certificate or URL of a stranger')
})
