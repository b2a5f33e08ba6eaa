import t from 'tap'
import { parseSnsMessage, stringToSign } from '../../../src/core/sns/message.js'
import { createSnsPublisher, TEST_TOPIC } from '../../helpers/sns-publisher.js'

const publisher = await createSnsPublisher()
const bytes = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))

t.test('the three types are parsed, and unknown keys are dropped', async (t) => {
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

t.test('a body that is no message is refused with the wrong field', async (t) => {
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
