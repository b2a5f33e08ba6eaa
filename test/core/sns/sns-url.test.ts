import t from 'tap'
import { checkCertificateUrl, checkSubscribeUrl } from '../../../src/core/sns/sns-url.js'
import { TEST_TOPIC } from '../../helpers/sns-publisher.js'

t.test('a SigningCertURL must be on the host of SNS in the region of the topic', async (t) => {
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
    `https://sns.us-east-1.amazonaws.com${path}?`,
    `https://sns.us-east-1.amazonaws.com${path}#x`,
    `https://sns.us-east-1.amazonaws.com${path}#`,
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
    { code: 'certificate_not_trusted', status: 403, message: /topic outside the partitions and regions of AWS/ },
    'a partition that does not exist has no host',
  )
  for (const region of ['s3', 's3-us-west-2', 's3-website-us-east-1', 's3.us-west-2', 'us-east-1.evil', 'cn-north-1']) {
    const arn = `arn:aws:sns:${region}:123456789012:t`
    t.throws(
      () => checkCertificateUrl(`https://sns.${region}.amazonaws.com${path}`, arn, undefined),
      { code: 'certificate_not_trusted', message: /topic outside the partitions and regions of AWS/ },
      `sns.${region} may be somebody's bucket`,
    )
  }
  const emulator = 'http://localhost:4566'
  t.ok(checkCertificateUrl(`${emulator}/_aws/sns/SimpleNotificationService-1.pem`, TEST_TOPIC, emulator))
  t.throws(() => checkCertificateUrl('http://localhost:4567/x.pem', TEST_TOPIC, emulator), {
    code: 'certificate_not_trusted',
  })
})

t.test(
  "an emulator's own names for itself are the emulator, and only the configured origin is fetched from",
  async (t) => {
    const path = '/_aws/sns/SimpleNotificationService-1.pem?x=1'
    for (const [setting, seen] of [
      ['http://localhost:4566', 'http://localhost.localstack.cloud:4566'],
      ['http://localhost:4566', 'http://127.0.0.1:4566'],
      ['http://127.0.0.1:4100', 'http://localhost:4100'],
      ['http://[::1]:4100', 'http://localhost:4100'],
      ['http://localhost.localstack.cloud:4566', 'http://localhost:4566'],
      ['http://localstack:4566', 'http://localhost.localstack.cloud:4566'],
      ['http://localhost:14566', 'https://localhost.localstack.cloud:4566'],
    ] as const) {
      t.equal(checkCertificateUrl(seen + path, TEST_TOPIC, setting).href, setting + path, `${setting} for ${seen}`)
      const query = `/?Action=ConfirmSubscription&TopicArn=${TEST_TOPIC}&Token=1`
      t.equal(checkSubscribeUrl(seen + query, TEST_TOPIC, setting).href, setting + query)
    }
    const elsewhere = 'http://localhost.localstack.cloud:4566//evil.example/x.pem'
    t.equal(checkCertificateUrl(elsewhere, TEST_TOPIC, 'http://localhost:4566').host, 'localhost:4566')
    for (const [setting, seen] of [
      [undefined, 'http://localhost.localstack.cloud:4566'],
      ['http://localhost:4566', 'http://localhost:4100'],
      ['http://goaws:4100', 'http://localhost:4100'],
      ['http://localhost:4566', 'http://localhost.localstack.cloud.evil.example:4566'],
      ['http://localhost:4566', 'http://evil.localhost.localstack.cloud:4566'],
    ] as const) {
      t.throws(
        () => checkCertificateUrl(seen + path, TEST_TOPIC, setting),
        {
          code: 'certificate_not_trusted',
          message: `SigningCertURL is not https: it is on ${seen}; if that is an emulator, set SNS_EMULATOR to it.`,
        },
        `${setting} for ${seen}`,
      )
    }
  },
)

t.test('a SubscribeURL must confirm this topic and do nothing else', async (t) => {
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
