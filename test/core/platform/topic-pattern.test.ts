import t from 'tap'
import { loadConfig } from '../../../src/core/platform/config.js'
import { matchesTopic, parseTopicArn } from '../../../src/core/platform/topic-pattern.js'

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

t.test('a pattern that can match no topic is refused at start', async (t) => {
  for (const region of ['us-east-1', 'us-*', '*']) {
    const pattern = `arn:aws:sns:${region}:123456789012:*`
    t.same(loadConfig({ SNS_TOPICS: pattern }).snsTopics, [pattern])
  }
  for (const pattern of ['arn:aws:sns:s3:123456789012:*', 'arn:aws-moon:sns:*:123456789012:*', 'alerts']) {
    t.throws(() => loadConfig({ SNS_TOPICS: pattern }), {
      name: 'SettingError',
      message: `SNS_TOPICS must be topic ARNs such as arn:aws:sns:us-east-1:123456789012:alerts, got ${pattern}`,
    })
  }
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
    'arn:aws:sns:s3:123456789012:t',
    'arn:aws:sns:s3-us-west-2:123456789012:t',
    'arn:aws:sns:cn-north-1:123456789012:t',
    'arn:aws-moon:sns:us-east-1:123456789012:t',
    `arn:aws:sns:us-east-1:123456789012:${'a'.repeat(257)}`,
    `arn:aws:sns:us-east-1:123456789012:${'a'.repeat(252)}.fifo`,
  ]) {
    t.equal(parseTopicArn(text), undefined, text)
  }
})
