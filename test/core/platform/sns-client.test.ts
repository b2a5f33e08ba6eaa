import t, { type Test } from 'tap'
import { createAttempt } from '../../../src/core/delivery/attempt.js'
import { createHttpClient } from '../../../src/core/platform/http-client.js'
import { createSnsClient } from '../../../src/core/platform/sns-client.js'
import { createSnsEndpoint, setEnvironment } from '../../helpers/sns-endpoint.js'

const topicArn = 'arn:aws:sns:eu-west-1:123456789012:changes'
const event = { id: 'evt_1', type: 'alert.created', severity: 'high', alertId: 'alert-1' } as const

async function setUp(t: Test) {
  const endpoint = await createSnsEndpoint(t)
  setEnvironment(t, endpoint.environment)
  const sns = createSnsClient(['arn:aws:sns:eu-west-1:*:changes*'])
  const http = createHttpClient({ allowPrivateTargets: [] })
  t.teardown(() => http.close())
  t.teardown(() => sns.close())
  const send = createAttempt({ sns, http })
  const attempt = (text: string, fields: { url?: string; timeoutMs?: number } = {}) =>
    send({
      url: topicArn,
      secrets: [],
      timeoutMs: 5000,
      event,
      number: 1,
      replay: false,
      headers: {},
      body: { contentType: 'application/json', bytes: Buffer.from(text) },
      ...fields,
    })
  return { endpoint, attempt }
}

t.test('a change is published with the attributes that subscribers filter by', async (t) => {
  const { endpoint, attempt } = await setUp(t)
  t.match(await attempt('{"a":"Zoë"}'), { outcome: 'succeeded', statusCode: 200, responseBody: 'mid-1' })
  t.same(endpoint.published, [
    {
      topicArn,
      message: '{"a":"Zoë"}',
      subject: '[high] alert.created',
      attributes: { event_id: 'evt_1', type: 'alert.created', severity: 'high', alert_id: 'alert-1' },
      groupId: undefined,
    },
  ])
  await attempt('{}', { url: `${topicArn}.fifo` })
  t.equal(endpoint.published[1]!.groupId, 'alert-1', 'a FIFO topic keeps the order of an alert')
})

t.test(
  'what SNS refuses for the content of a message is final; what an operator or time corrects is not',
  async (t) => {
    const { endpoint, attempt } = await setUp(t)
    const refuse = (status: number, code: string, message: string) => {
      endpoint.respond = (_request, response) => {
        response.writeHead(status, { 'content-type': 'text/xml' })
        response.end(
          `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>${code}</Code>` +
            `<Message>${message}</Message></Error><RequestId>r</RequestId></ErrorResponse>`,
        )
      }
      return attempt('{}')
    }
    for (const [code, message] of [
      ['InvalidParameter', 'Invalid parameter: Message too long'],
      ['InvalidParameter', 'Invalid parameter: Message Reason: Empty message'],
      ['ParameterValueInvalid', 'The message attribute value is not valid.'],
      ['InvalidParameterValue', 'The message attribute value is not valid.'],
      ['ValidationException', 'A parameter in the request is invalid.'],
      ['ValidationError', '1 validation error detected'],
    ] as const) {
      const { outcome, statusCode, error, final } = await refuse(400, code, message)
      t.same({ outcome, statusCode, error }, { outcome: 'rejected', statusCode: 400, error: final }, code)
      t.match(final, /^SNS can never take this message: \w+: /)
      t.ok(final?.endsWith(message))
    }
    for (const [status, code, message] of [
      [400, 'Throttling', 'Rate exceeded'],
      [400, 'KMSThrottling', 'Rate exceeded'],
      [400, 'KMSDisabled', 'The key is disabled'],
      [400, 'KMSInvalidState', 'The key is pending deletion'],
      [400, 'KMSAccessDenied', 'No access to the key'],
      [400, 'RequestExpired', 'Request has expired'],
      [400, 'IncompleteSignature', 'The request signature does not conform'],
      [400, 'InvalidParameter', 'Invalid parameter: TopicArn'],
      [403, 'ExpiredToken', 'The security token included in the request is expired'],
      [403, 'InvalidClientTokenId', 'The security token included in the request is invalid'],
      [403, 'AuthorizationError', 'Not authorized to perform: SNS:Publish'],
      [404, 'NotFound', 'Topic does not exist'],
      [429, 'Throttled', 'Rate exceeded'],
      [500, 'InternalError', 'Internal error'],
    ] as const) {
      const { outcome, statusCode, error, final } = await refuse(status, code, message)
      t.same({ outcome, statusCode, error }, { outcome: 'rejected', statusCode: status, error: null }, code)
      t.equal(final, undefined, code)
    }
  },
)

t.test('an error of AWS or of the network is an outcome', async (t) => {
  const { endpoint, attempt } = await setUp(t)
  let requests = 0
  endpoint.respond = (_request, response) => {
    requests++
    response.writeHead(404, { 'content-type': 'text/xml' })
    response.end(
      '<ErrorResponse><Error><Type>Sender</Type><Code>NotFound</Code><Message>Topic does not exist</Message></Error></ErrorResponse>',
    )
  }
  t.match(await attempt('{}'), { outcome: 'rejected', statusCode: 404, responseBody: /NotFound.*Topic does not exist/ })
  t.equal(requests, 1, 'the SDK does not retry')
  endpoint.respond = () => {}
  t.match(await attempt('{}', { timeoutMs: 300 }), { outcome: 'timeout', statusCode: null, error: /300 ms/ })
  endpoint.respond = (request) => request.socket.destroy()
  t.match(await attempt('{}'), { outcome: 'connection_failed', statusCode: null })
})

t.test('nothing is published to a topic that SNS_PUBLISH_TOPICS does not list', async (t) => {
  const { endpoint, attempt } = await setUp(t)
  for (const url of ['arn:aws:sns:eu-west-1:123456789012:other', 'arn:aws:sns:us-east-1:123456789012:changes']) {
    const outcome = await attempt('{}', { url })
    t.match(outcome, { outcome: 'target_refused', statusCode: null, mayBeTaken: false })
    t.equal(
      outcome.error,
      'the url is a topic that SNS_PUBLISH_TOPICS does not list: add it to that setting of the relay',
    )
  }
  t.same(endpoint.published, [])
})
