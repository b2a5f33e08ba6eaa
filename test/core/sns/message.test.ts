import t from 'tap'
import { parseSnsMessage, stringToSign } from '../../../src/core/sns/message.js'
import { checkCertificateUrl, checkSubscribeUrl } from '../../../src/core/sns/sns-url.js'
import { matchesTopic, parseTopicArn } from '../../../src/core/event/topic-pattern.js'
import { createSnsPublisher, TEST_TOPIC } from '../../helpers/sns-publisher.js'

const publisher = await createSnsPublisher()
const bytes = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))

t.test('the three types are read, and unknown keys are left behind', async (t) => {
  for (const envelope of [
    publisher.notification({ message: 'm', subject: 's' }),
    publisher.subscriptionConfirmation(),
    publisher.unsubscribeConfirmation(),
  ]) {
    const message = parseSnsMessage(bytes({ ...envelope, MessageAttributes: { a: 1 }, UnsubscribeURL: 7 }))
    t.equal(message.Type, envelope.Type)
    t.notOk('MessageAttributes' in message || 'UnsubscribeURL' in message)
  }
})

t.test('the signed text is key and value of each signed field, in order', async (t) => {
  const fields = { messageId: 'id', message: 'hello', timestamp: '2026-01-01T00:00:00.000Z' }
  const withSubject = parseSnsMessage(bytes(publisher.notification({ ...fields, subject: '' })))
  t.equal(
    stringToSign(withSubject),
    `Message\nhello\nMessageId\nid\nSubject\n\nTimestamp\n2026-01-01T00:00:00.000Z\nTopicArn\n${TEST_TOPIC}\nType\nNotification\n`,
    'an empty Subject is present',
  )
  const without = parseSnsMessage(bytes({ ...publisher.notification(fields), Subject: null }))
  t.notMatch(stringToSign(without), /Subject/, 'null is no Subject')
  const confirmation = parseSnsMessage(bytes(publisher.subscriptionConfirmation(fields)))
  t.match(
    stringToSign(confirmation),
    /^Message\n.*\nMessageId\nid\nSubscribeURL\n.*\nTimestamp\n.*\nToken\n.*\nTopicArn\n.*\nType\n.*\n$/,
  )
})

t.test('what is no message is refused, naming the field', async (t) => {
  const good = publisher.notification({ message: 'm' })
  const without = (key: string) => Object.fromEntries(Object.entries(good).filter(([name]) => name !== key))
  const cases: [string, unknown, string | undefined][] = [
    ['not JSON', 'hello', undefined],
    ['nothing', '', undefined],
    ['null', 'null', undefined],
    ['an array', '[]', undefined],
    ['a string', '"Notification"', undefined],
    ['no type', without('Type'), '/Type'],
    ['an unknown type', { ...good, Type: 'constructor' }, '/Type'],
    ['a type that is a list', { ...good, Type: ['Notification'] }, '/Type'],
    ['no message', without('Message'), '/Message'],
    ['a message that is an object', { ...good, Message: { a: 1 } }, '/Message'],
    ['a number as MessageId', { ...good, MessageId: 5 }, '/MessageId'],
    ['a line break in MessageId', { ...good, MessageId: 'a\nb' }, '/MessageId'],
    ['a long MessageId', { ...good, MessageId: 'a'.repeat(101) }, '/MessageId'],
    ['version 3', { ...good, SignatureVersion: '3' }, '/SignatureVersion'],
    ['version 1 as a number', { ...good, SignatureVersion: 1 }, '/SignatureVersion'],
    ['a signature that is no base64', { ...good, Signature: '!'.repeat(344) }, '/Signature'],
    ['a time that is none', { ...good, Timestamp: 'yesterday' }, '/Timestamp'],
    ['a 13th month', { ...good, Timestamp: '2026-13-01T00:00:00.000Z' }, '/Timestamp'],
    ['a queue as topic', { ...good, TopicArn: 'arn:aws:sqs:us-east-1:123456789012:q' }, '/TopicArn'],
    ['Subject as a list', { ...good, Subject: [] }, '/Subject'],
    ['a line break in Subject', { ...good, Subject: 'a\nb' }, '/Subject'],
    ['a line break in Token', { ...publisher.subscriptionConfirmation(), Token: 'a\nb' }, '/Token'],
    [
      'a line break in a URL',
      { ...publisher.subscriptionConfirmation(), SubscribeURL: 'https://a\n' },
      '/SubscribeURL',
    ],
    ['half a surrogate pair in Message', { ...good, Message: 'a\ud800' }, '/Message'],
    ['half a surrogate pair in Subject', { ...good, Subject: '\udc00' }, '/Subject'],
    ['a confirmation without Token', { ...publisher.subscriptionConfirmation(), Token: undefined }, '/Token'],
    ['keys in the prototype', `{"__proto__":${JSON.stringify(good)}}`, '/Type'],
  ]
  for (const [name, body, path] of cases) {
    t.throws(
      () => parseSnsMessage(bytes(body)),
      { code: 'malformed_message', status: 400, errors: path === undefined ? [] : [{ path }] },
      name,
    )
  }
  const invalid = Buffer.concat([bytes(good).subarray(0, 20), Buffer.of(0xff), bytes(good).subarray(20)])
  t.throws(() => parseSnsMessage(invalid), { code: 'malformed_message', message: /UTF-8/ }, 'invalid UTF-8')
})

t.test('a certificate is fetched from SNS in the region of the topic, and nowhere else', async (t) => {
  const path = `/SimpleNotificationService-${'0123456789abcdef'.repeat(2)}.pem`
  for (const [partition, region, host] of [
    ['aws', 'us-east-1', 'sns.us-east-1.amazonaws.com'],
    ['aws', 'ap-southeast-3', 'sns.ap-southeast-3.amazonaws.com'],
    ['aws-us-gov', 'us-gov-west-1', 'sns.us-gov-west-1.amazonaws.com'],
    ['aws-cn', 'cn-north-1', 'sns.cn-north-1.amazonaws.com.cn'],
    ['aws-iso', 'us-iso-east-1', 'sns.us-iso-east-1.c2s.ic.gov'],
    ['aws-eusc', 'eusc-de-east-1', 'sns.eusc-de-east-1.amazonaws.eu'],
  ]) {
    const arn = `arn:${partition}:sns:${region}:123456789012:t`
    t.equal(checkCertificateUrl(`https://${host}${path}`, arn, undefined).host, host)
  }
  for (const url of [
    `https://sns.s3-us-west-2.amazonaws.com${path}`,
    `https://sns.eu-west-1.amazonaws.com${path}`,
    `https://sns.us-east-1.amazonaws.com.cn${path}`,
    `https://sns.us-east-1.amazonaws.com.evil.example${path}`,
    `https://sns.us-east-1.amazonaws.com@evil.example${path}`,
    `https://user:pass@sns.us-east-1.amazonaws.com${path}`,
    `https://sns.us-east-1.amazonaws.com:8443${path}`,
    `https://sns-us-east-1.amazonaws.com${path}`,
    `https://evilsns.us-east-1.amazonaws.com${path}`,
    `http://sns.us-east-1.amazonaws.com${path}`,
    `https://sns.us-east-1.amazonaws.com${path}?x`,
    `https://sns.us-east-1.amazonaws.com${path}#x`,
    'https://sns.us-east-1.amazonaws.com/evil.pem',
    `https://sns.us-east-1.amazonaws.com/x/..${path.replace('.pem', '.txt')}`,
    'file:///etc/passwd',
    'not a url',
  ]) {
    t.throws(
      () => checkCertificateUrl(url, TEST_TOPIC, undefined),
      { code: 'certificate_not_trusted', status: 403, errors: [{ path: '/SigningCertURL' }] },
      url,
    )
  }
  t.throws(
    () =>
      checkCertificateUrl(`https://sns.us-east-1.undefined${path}`, TEST_TOPIC.replace('aws', 'aws-moon'), undefined),
    { code: 'certificate_not_trusted', status: 403, message: /topic outside the partitions of AWS/ },
    'a partition that does not exist has no host',
  )
  const emulator = 'http://localhost:4566'
  t.ok(checkCertificateUrl(`${emulator}/_aws/sns/SimpleNotificationService-1.pem`, TEST_TOPIC, emulator))
  t.throws(() => checkCertificateUrl('http://localhost:4567/x.pem', TEST_TOPIC, emulator), {
    code: 'certificate_not_trusted',
  })
})

t.test('a SubscribeURL confirms this topic, and does nothing else', async (t) => {
  const base = 'https://sns.us-east-1.amazonaws.com/'
  const query = (parameters: Record<string, string>) => `${base}?${new URLSearchParams(parameters)}`
  const good = { Action: 'ConfirmSubscription', TopicArn: TEST_TOPIC, Token: 'abc' }
  t.ok(checkSubscribeUrl(query(good), TEST_TOPIC, undefined))
  for (const url of [
    query({ ...good, Action: 'DeleteTopic' }),
    query({ ...good, TopicArn: `${TEST_TOPIC}2` }),
    query({ ...good, Token: '' }),
    query({ ...good, Endpoint: 'https://evil.example' }),
    `${query(good)}&Action=DeleteTopic`,
    query(good).replace('amazonaws.com/', 'amazonaws.com/path'),
    query(good).replace('https', 'http'),
    query(good).replace('us-east-1.', 's3-us-west-2.'),
    'http://169.254.169.254/latest/meta-data/',
  ]) {
    t.throws(
      () => checkSubscribeUrl(url, TEST_TOPIC, undefined),
      { code: 'subscribe_url_not_trusted', status: 403, errors: [{ path: '/SubscribeURL' }] },
      url,
    )
  }
})

t.test('a topic pattern matches inside the parts of an ARN', async (t) => {
  const arn = 'arn:aws:sns:us-east-1:123456789012:matano-alerts'
  for (const pattern of [arn, 'arn:aws:sns:*:*:*', 'arn:aws:sns:us-*:123456789012:mat*rts', 'arn:*:sns:*-1:*:*-*']) {
    t.ok(matchesTopic(['arn:aws:sns:x:1:y', pattern], arn), pattern)
  }
  for (const pattern of [
    '*',
    'arn:aws:sns:*',
    `${arn}x`,
    'arn:aws:sns:us-*:123456789012:mat',
    'arn:aws:sns:eu-*:*:*',
    '',
  ]) {
    t.notOk(matchesTopic([pattern], arn), pattern)
  }
  t.notOk(matchesTopic([], arn))
  const hostile = `arn:aws:sns:us-east-1:123456789012:${'a*'.repeat(100)}b`
  t.notOk(matchesTopic([hostile], `arn:aws:sns:us-east-1:123456789012:${'a'.repeat(256)}`), 'in no time')
})

t.test('a topic ARN has its parts', async (t) => {
  t.same(parseTopicArn('arn:aws-cn:sns:cn-north-1:123456789012:a_b-C.fifo'), {
    partition: 'aws-cn',
    region: 'cn-north-1',
    account: '123456789012',
    name: 'a_b-C.fifo',
  })
  for (const text of [
    '',
    'arn:aws:sns:us-east-1:12:t',
    'arn:aws:sns:us-east-1:123456789012:t:sub',
    'arn:aws:sns:US:123456789012:t',
    `arn:aws:sns:us-east-1:123456789012:${'a'.repeat(257)}`,
    `arn:aws:sns:us-east-1:123456789012:${'a'.repeat(252)}.fifo`,
  ]) {
    t.equal(parseTopicArn(text), undefined, text)
  }
})
