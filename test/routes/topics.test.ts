import { pino } from 'pino'
import t, { type Test } from 'tap'
import { createTestApp, type TestApp } from '../helpers/app.js'
import { createSnsPublisher, TEST_TOPIC } from '../helpers/sns-publisher.js'
import { until } from '../helpers/until.js'

interface Topic {
  status: string
  last_message_at: string | null
  last_refused: { at: string; code: string } | null
  subscriptions: { arn: string; status: string }[]
}

const FOREIGN = 'arn:aws:sns:us-east-1:999999999999:theirs'
const pathOf = (arn: string) => `/v1/topics/${encodeURIComponent(arn)}`
const problem = (code: string) => ({ type: `urn:alert-relay:problem:${code}` })

async function relay(t: Test, settings: Record<string, string> = {}) {
  const publisher = await createSnsPublisher()
  await publisher.serve()
  t.teardown(() => publisher.close())
  const lines: { msg: string; topics_pending?: number }[] = []
  const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[number]) })
  const app = await createTestApp(t, { SNS_EMULATOR: publisher.origin, ...settings }, log)
  const topics = async () => (await app.api('GET', '/v1/topics')).json<{ data: Topic[] }>().data
  return { publisher, app, lines, topics }
}

/** Reads the topic until what was noted of it is written. */
function topicOnce(app: TestApp, isDone: (topic: Topic) => boolean): Promise<Topic> {
  return until(
    async () => (await app.api('GET', pathOf(TEST_TOPIC))).json<Topic>(),
    (topic) => typeof topic.status === 'string' && isDone(topic),
  )
}

t.test(
  'a notification of a topic that nobody approved waits: it is listed, SNS repeats it, and then it is stored',
  async (t) => {
    const { publisher, app, lines, topics } = await relay(t)
    const message = publisher.notification()
    for (let i = 0; i < 3; i++) {
      const answer = await app.sns(message)
      t.equal(answer.statusCode, 503)
      t.match(answer.json(), { ...problem('topic_pending'), detail: /PUT \/v1\/topics\/\{arn\} approves it/ })
    }
    t.match(await topics(), [{ arn: TEST_TOPIC, status: 'pending', last_message_at: null, last_refused: null }])
    t.match((await app.api('GET', '/metrics')).body, /^alert_relay_topics_pending 1$/m)
    const warnings = lines.filter(({ msg }) => msg.startsWith('topics wait for approval'))
    t.match(warnings, [{ topics_pending: 1, topic_arn: TEST_TOPIC }])
    t.equal(warnings.length, 1)

    const approved = await app.api('POST', `${pathOf(TEST_TOPIC)}/approve`)
    t.match(approved.json(), { status: 'approved' }, 'it is subscribed already: there is nothing to confirm')
    t.equal(publisher.confirmations, 0)
    t.match((await app.sns(message)).json(), { result: 'stored' })
    t.match(await topicOnce(app, ({ status }) => status === 'confirmed'), { last_message_at: String })
    await until(
      async () => (await app.api('GET', '/metrics')).body,
      (metrics) => /^alert_relay_topics_pending 0$/m.test(metrics),
    )
  },
)

t.test('what is not verified adds no topic, and is noted at none that is not known', async (t) => {
  const { publisher, app, topics } = await relay(t)
  const good = publisher.notification()
  const forged: [object, number, string, Record<string, string>?][] = [
    [{ ...good, Message: 'forged' }, 403, 'signature_mismatch'],
    [{ ...good, TopicArn: FOREIGN }, 403, 'signature_mismatch'],
    [publisher.notification({ timestamp: '2020-01-01T00:00:00.000Z' }), 403, 'stale_message'],
    [good, 400, 'raw_delivery', { 'x-amz-sns-rawdelivery': 'true', 'x-amz-sns-topic-arn': FOREIGN }],
    [{ ...publisher.subscriptionConfirmation(), Token: 'other' }, 403, 'signature_mismatch'],
    [publisher.unsubscribeConfirmation(), 403, 'topic_not_allowed'],
  ]
  for (const [message, status, code, headers] of forged) {
    const answer = await app.sns(message, headers)
    t.equal(answer.statusCode, status)
    t.match(answer.json(), problem(code))
  }
  t.same(await topics(), [])
})

t.test('a topic is approved in advance: its subscription is confirmed as it comes', async (t) => {
  const { publisher, app } = await relay(t)
  for (let i = 0; i < 2; i++) {
    const answer = await app.api('PUT', pathOf(TEST_TOPIC))
    t.equal(answer.statusCode, 200, answer.body)
    t.match(answer.json(), { arn: TEST_TOPIC, status: 'approved', confirmed_at: null, subscriptions: [] })
  }
  t.match((await app.sns(publisher.subscriptionConfirmation())).json(), { result: 'confirmed' })
  t.match((await app.api('PUT', pathOf(TEST_TOPIC))).json(), {
    status: 'confirmed',
    confirmed_at: String,
    subscriptions: [{ arn: `${TEST_TOPIC}:2bcfbf39-05c3-41de-beaa-fcfcc21c8f55`, status: 'confirmed' }],
  })
  const audit = (await app.api('GET', '/v1/audit')).json<{ data: { action: string }[] }>().data
  t.match(audit, [{ action: 'topic.approved', target: TEST_TOPIC, changes: { status: { after: 'approved' } } }])
  t.equal(audit.length, 1, 'approving again changes nothing')
})

t.test('approving in advance confirms what waits, and holds when SNS says no', async (t) => {
  const { publisher, app } = await relay(t)
  t.match((await app.sns(publisher.subscriptionConfirmation())).json(), { result: 'pending' })
  const { respond } = publisher
  publisher.respond = (_request, response) => response.writeHead(400).end('<ErrorResponse/>')
  t.match((await app.api('PUT', pathOf(TEST_TOPIC))).json(), { status: 'approved' }, 'the token has expired')
  publisher.respond = respond
  t.match((await app.sns(publisher.subscriptionConfirmation())).json(), { result: 'confirmed' })
  await app.api('DELETE', pathOf(TEST_TOPIC))
  t.match((await app.sns(publisher.subscriptionConfirmation())).json(), { result: 'pending' })
  t.match((await app.api('PUT', pathOf(TEST_TOPIC))).json(), { status: 'confirmed' })
})

t.test('what is no topic, or not listed in SNS_TOPICS, is not approved; a key that may write may not', async (t) => {
  const { app } = await relay(t, { SNS_TOPICS: TEST_TOPIC })
  const wrong = await app.api('PUT', pathOf('arn:aws:sqs:us-east-1:123456789012:q'))
  t.equal(wrong.statusCode, 400)
  t.match(wrong.json(), { errors: [{ path: '/arn', detail: /is no ARN of an SNS topic/ }] })
  const foreign = await app.api('PUT', pathOf(FOREIGN))
  t.equal(foreign.statusCode, 409)
  t.match(foreign.json(), { detail: /SNS_TOPICS/ })
  t.match((await app.api('PUT', pathOf(TEST_TOPIC))).json(), { status: 'approved' })
  const { key } = (await app.api('POST', '/v1/keys', { name: 'x', scope: 'write' })).json<{ key: string }>()
  const answer = await app.http.inject({
    method: 'PUT',
    url: pathOf(TEST_TOPIC),
    headers: { authorization: `Bearer ${key}` },
  })
  t.equal(answer.statusCode, 403)
})

t.test('a topic that SNS_TOPICS lists is shown from its first message on, and says what is refused', async (t) => {
  const { publisher, app, topics } = await relay(t, { SNS_TOPICS: TEST_TOPIC })
  const subscription = `${TEST_TOPIC}:33333333-3333-4333-8333-333333333333`
  const headers = { 'x-amz-sns-topic-arn': TEST_TOPIC, 'x-amz-sns-subscription-arn': subscription }
  t.match((await app.sns(publisher.notification(), headers)).json(), { result: 'stored' })
  t.match(await topicOnce(app, ({ status }) => status === 'confirmed'), {
    last_message_at: String,
    last_refused: null,
    subscriptions: [{ arn: subscription, status: 'confirmed', confirmed_at: null }],
  })
  // raw delivery is switched on: there is no envelope, and the topic is in a header
  t.equal((await app.sns('plain text', { ...headers, 'x-amz-sns-rawdelivery': 'true' })).statusCode, 400)
  const { last_refused: refused } = await topicOnce(app, (topic) => topic.last_refused !== null)
  t.match(refused, { at: String, code: 'raw_delivery' })
  t.equal((await topics()).length, 1)
})

t.test('a topic whose subscription ended is unsubscribed, unless another one is left', async (t) => {
  const { publisher, app } = await relay(t, { SNS_TOPICS: TEST_TOPIC })
  const [first, second] = [1, 2].map((i) => `${TEST_TOPIC}:44444444-4444-4444-8444-44444444444${i}`)
  const through = (arn: string) => ({ 'x-amz-sns-subscription-arn': arn })
  await app.sns(publisher.notification(), through(first!))
  await topicOnce(app, ({ subscriptions }) => subscriptions.length === 1)
  await app.sns(publisher.notification(), through(second!))
  // the notes of the second message are written within seconds, or when the process stops
  await topicOnce(app, ({ subscriptions }) => subscriptions.length === 2)
  await app.sns(publisher.unsubscribeConfirmation(), through(first!))
  t.match(await topicOnce(app, () => true), {
    status: 'confirmed',
    subscriptions: [{ status: 'unsubscribed' }, { status: 'confirmed' }],
  })
  await app.sns(publisher.unsubscribeConfirmation(), through(second!))
  t.match(await topicOnce(app, () => true), { status: 'unsubscribed' })
  await app.sns(publisher.unsubscribeConfirmation(), through(`${FOREIGN}:5555`))
  t.equal(
    (await topicOnce(app, () => true)).subscriptions.length,
    2,
    'a subscription of another topic is none of this one',
  )
})
