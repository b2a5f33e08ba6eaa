import { pino } from 'pino'
import t, { type Test } from 'tap'
import { stringifyJson } from '../../src/core/platform/json.js'
import { createTestApp } from '../helpers/app.js'
import { fixtureMessage } from '../helpers/findings.js'
import { createSnsPublisher, TEST_TOPIC } from '../helpers/sns-publisher.js'

async function intake(t: Test, settings: Record<string, string> = {}) {
  const publisher = await createSnsPublisher()
  await publisher.serve()
  t.teardown(() => publisher.close())
  const app = await createTestApp(t, { SNS_TOPICS: TEST_TOPIC, SNS_EMULATOR: publisher.origin, ...settings })
  const stored = async () => (await app.api('GET', '/v1/events')).json<{ data: unknown[] }>().data.length
  return { publisher, app, stored }
}

t.test('invalid input gets its status and problem document, and is not stored', async (t) => {
  const { publisher, app, stored } = await intake(t)
  const good = publisher.notification({ message: '{}' })
  const foreign = 'arn:aws:sns:us-east-1:999999999999:theirs'
  const cases: [string, object | string | Buffer, number, string, Record<string, string>?][] = [
    ['not JSON', 'hello', 400, 'malformed_message'],
    ['nothing', '', 400, 'malformed_message'],
    ['null', 'null', 400, 'malformed_message'],
    ['an array', '[]', 400, 'malformed_message'],
    ['invalid UTF-8', Buffer.of(0x7b, 0xff, 0x7d), 400, 'malformed_message'],
    ['deep nesting', '['.repeat(500_000), 400, 'malformed_message'],
    ['a missing key', { ...good, MessageId: undefined }, 400, 'malformed_message'],
    ['a wrong type', { ...good, Message: 7 }, 400, 'malformed_message'],
    ['raw delivery', good, 400, 'raw_delivery', { 'x-amz-sns-rawdelivery': 'true' }],
    ['a forged message', { ...good, Message: '{"forged":true}' }, 403, 'signature_mismatch'],
    ['a swapped topic', { ...good, TopicArn: foreign }, 403, 'topic_not_allowed'],
    ['a stale message', publisher.notification({ timestamp: '2020-01-01T00:00:00.000Z' }), 403, 'stale_message'],
    [
      'another host',
      { ...good, SigningCertURL: 'https://sns.s3-us-west-2.amazonaws.com/x.pem' },
      403,
      'certificate_not_trusted',
    ],
    ['10 MB', Buffer.alloc(10 * 1024 * 1024, 0x20), 413, 'payload_too_large'],
  ]
  for (const [name, body, status, code, headers] of cases) {
    const answer = await app.sns(body, headers)
    t.equal(answer.statusCode, status, name)
    t.match(answer.headers['content-type'], /^application\/problem\+json/, name)
    t.match(answer.json(), { type: `urn:alert-relay:problem:${code}`, status, title: String, detail: String }, name)
  }
  t.equal(await stored(), 0)
  t.equal(publisher.certificateFetches, 1, 'only the forged message made us look at a certificate')
  t.equal((await app.sns(good)).statusCode, 200, 'the good one is taken')
  t.equal(await stored(), 1)
})

t.test('the answer names every event of a message of several findings, and only the first of any other', async (t) => {
  const { publisher, app, stored } = await intake(t)
  const two = publisher.notification({ message: stringifyJson(await fixtureMessage('securityhub-action-two')) })
  const answer = await app.sns(two)
  const { event_id: first, event_ids: ids } = answer.json<{ event_id: string; event_ids: string[] }>()
  t.equal(ids.length, 2)
  t.equal(ids[0], first)
  t.same((await app.sns(two)).json(), { result: 'duplicate', event_id: first, event_ids: ids })
  t.equal(await stored(), 2)
  const other = await app.sns(publisher.notification({ message: 'a text' }))
  t.same(Object.keys(other.json<object>()), ['result', 'event_id'])
})

t.test('the body is parsed whatever its content type', async (t) => {
  const { publisher, app } = await intake(t)
  for (const type of ['text/plain; charset=UTF-8', 'application/json', 'application/octet-stream', 'image/png']) {
    const answer = await app.sns(publisher.notification(), { 'content-type': type })
    t.equal(answer.statusCode, 200, type)
  }
})

t.test('while a certificate host hangs SNS gets 503 within 10 s, and a repeated message is accepted', async (t) => {
  const { publisher, app, stored } = await intake(t)
  const { respond } = publisher
  publisher.respond = () => {}
  const message = publisher.notification()
  const before = performance.now()
  const answer = await app.sns(message)
  t.ok(performance.now() - before < 10_000)
  t.equal(answer.statusCode, 503)
  t.match(answer.json(), { type: 'urn:alert-relay:problem:undecided' })
  t.equal(await stored(), 0)
  publisher.respond = respond
  // the cooldown after a failed fetch is 5 s: SNS retries after 20 s
  let again = answer
  while (again.statusCode === 503) again = await app.sns(message)
  t.equal(again.statusCode, 200)
})

t.test('a failed confirmation of a topic is repeated when SNS repeats its message', async (t) => {
  const { publisher, app } = await intake(t)
  const { respond } = publisher
  publisher.respond = (request, response) =>
    request.url!.includes('Action=')
      ? response.writeHead(302, { location: '/other' }).end()
      : respond(request, response)
  const message = publisher.subscriptionConfirmation()
  const answer = await app.sns(message)
  t.equal(answer.statusCode, 503)
  t.match(answer.json<{ detail: string }>().detail, /answered 302/)
  publisher.respond = respond
  t.match((await app.sns(message)).json(), { result: 'confirmed' })
})

/** Collects log lines. */
function logLines() {
  const lines: { msg: string; path?: string; topic_arn?: string }[] = []
  const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[number]) })
  return { log, lines }
}

t.test('a POST of SNS to another path is answered with the right one, and logged once a minute', async (t) => {
  const { log, lines } = logLines()
  const app = await createTestApp(t, { SNS_TOPICS: TEST_TOPIC }, log)
  const headers = { 'x-amz-sns-message-type': 'Notification', 'x-amz-sns-topic-arn': TEST_TOPIC }
  const post = (url: string) => app.http.inject({ method: 'POST', url, headers, payload: '{}' })
  for (const url of ['/?token=secret', '/sns/here', '/SNS', '/v1/rule-matches', '/docs']) {
    const answer = await post(url)
    t.match(answer.statusCode, /^4\d\d$/, url)
    if (answer.statusCode === 404) t.match(answer.json(), { detail: /Messages of SNS are taken at POST \/sns\./ }, url)
  }
  const told = lines.filter(({ msg }) => msg.startsWith('SNS posts to a path'))
  t.match(told, [{ path: '/', topic_arn: TEST_TOPIC, msg: /subscribe \/sns instead/ }])
  t.equal(told.length, 1)
  t.notMatch(JSON.stringify(lines), 'secret')
  const other = await app.http.inject({ method: 'POST', url: '/', payload: '{}' })
  t.notMatch(other.body, /SNS/, 'who is not SNS is told nothing of it')
})

t.test('/sns/ takes messages as /sns does', async (t) => {
  const { publisher, app, stored } = await intake(t)
  const message = publisher.notification()
  const answer = await app.http.inject({ method: 'POST', url: '/sns/', payload: JSON.stringify(message) })
  t.match(answer.json(), { result: 'stored' })
  t.match((await app.sns(message)).json(), { result: 'duplicate' })
  t.equal(await stored(), 1)
  t.equal((await app.http.inject({ url: '/sns/' })).statusCode, 405)
})
