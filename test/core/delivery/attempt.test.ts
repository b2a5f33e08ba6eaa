import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { createAttempt, type AttemptInput } from '../../../src/core/delivery/attempt.js'
import { newSecret } from '../../../src/core/delivery/signature.js'
import { createHttpClient } from '../../../src/core/platform/http-client.js'
import { createSnsClient } from '../../../src/core/platform/sns-client.js'
import { successConditionOf } from '../../../src/core/webhook/success.js'
import { createReceiver, type Reply } from '../../helpers/receiver.js'

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }

async function setUp(t: Test, reply: Reply, now?: () => Date) {
  const http = createHttpClient({ allowPrivateTargets: ['127.0.0.1/32'] })
  const secret = newSecret()
  const receiver = await createReceiver({ secret, respond: () => reply })
  t.teardown(() => Promise.all([http.close(), receiver.close()]))
  const sns = createSnsClient(['arn:aws:sns:*:*:*'])
  t.teardown(() => sns.close())
  const send = createAttempt({ http, sns, now })
  const input: AttemptInput = {
    url: receiver.url,
    secrets: [secret],
    timeoutMs: 5_000,
    event: { id: 'evt_0192f3c8a7e07c1f8f0a5d2b9c3e4f10', type: 'alert.created', severity: 'low', alertId: 'a' },
    number: 3,
    replay: false,
    headers: {},
    body: {
      contentType: 'application/json',
      bytes: Buffer.from('{"big":12345678901234567890,"text":"Zoë"}'),
    },
  }
  return { receiver, secret, send, input }
}

t.test('a receiver gets a signed POST with the documented headers and the body byte for byte', async (t) => {
  const { receiver, send, input } = await setUp(t, { status: 200 })
  await send(input)
  const [request] = receiver.received
  t.match(request, {
    method: 'POST',
    path: '/hook',
    id: input.event.id,
    attempt: 3,
    body: input.body.bytes.toString(),
    verified: true,
  })
  const { host, connection, ...headers } = request?.headers ?? {}
  t.match(headers['webhook-timestamp'], /^\d{10}$/)
  t.match(headers['webhook-signature'], /^v1,[A-Za-z0-9+/]{43}=$/)
  t.match(headers, {
    'content-type': 'application/json',
    'content-length': String(input.body.bytes.length),
    'user-agent': `alert-relay/${version}`,
    'webhook-id': input.event.id,
    'x-alert-relay-attempt': '3',
  })
  t.equal(Object.keys(headers).length, 7, 'and no other')
})

t.test('during a rotation either secret verifies the request', async (t) => {
  const { receiver, secret, send, input } = await setUp(t, { status: 200 })
  await send({ ...input, secrets: [newSecret(), secret] })
  await send({ ...input, secrets: [newSecret()] })
  t.same(
    receiver.received.map(({ verified }) => verified),
    [true, false],
  )
})

t.test('the time of the attempt is signed and recorded', async (t) => {
  const startedAt = new Date('2026-01-02T03:04:05.678Z')
  const { receiver, send, input } = await setUp(t, { status: 204 }, () => startedAt)
  t.same((await send(input)).startedAt, startedAt)
  t.equal(receiver.received[0]?.headers['webhook-timestamp'], '1767323045')
})

t.test('a 2xx is a success, any other answer a rejection, both are recorded with status and body', async (t) => {
  for (const [status, outcome] of [
    [200, 'succeeded'],
    [204, 'succeeded'],
    [302, 'rejected'],
    [410, 'rejected'],
    [503, 'rejected'],
  ] as const) {
    const body = status === 204 ? '' : `body of ${status}`
    const { send, input } = await setUp(t, { status, body, headers: { location: 'http://127.0.0.1:9/' } })
    const attempt = await send(input)
    t.match(attempt, { number: 3, outcome, statusCode: status, error: null, responseBody: body })
    t.type(attempt.startedAt, Date)
    t.ok(Number.isInteger(attempt.durationMs) && attempt.durationMs >= 0)
  }
})

t.test('a condition on the answer sees 64 KiB of it, the log keeps 4 KiB', async (t) => {
  const { receiver, send, input } = await setUp(t, { status: 200 })
  const success = successConditionOf({ success: { body: { last: [true] } }, format: 'change' })
  const answer = (length: number) => JSON.stringify({ text: 'é'.repeat(length / 2), last: true })
  receiver.respond = () => ({ status: 200, body: answer(60 * 1024) })
  const attempt = await send({ ...input, success })
  t.match(attempt, { outcome: 'succeeded', statusCode: 200, error: null })
  t.equal(Buffer.from(attempt.responseBody!.replace(/\ufffd$/, '')).length, 4095, 'the last character is cut')
  receiver.respond = () => ({ status: 200, body: answer(65 * 1024) })
  t.match(await send({ ...input, success }), { outcome: 'rejected', statusCode: 200, error: /no JSON/ })
  receiver.respond = () => ({ status: 500, body: 'no' })
  t.match(await send({ ...input, success }), { outcome: 'rejected', statusCode: 500, error: null })
})

t.test('an attempt without an answer has an error and no status', async (t) => {
  const { receiver, send, input } = await setUp(t, { status: 200, hang: true })
  const noAnswer = { statusCode: null, responseBody: null, number: 3 }
  t.match(await send({ ...input, timeoutMs: 100 }), {
    ...noAnswer,
    outcome: 'timeout',
    error: 'no answer within 100 ms',
  })
  t.match(await send({ ...input, url: 'http://10.0.0.1/' }), {
    ...noAnswer,
    outcome: 'target_refused',
    error: /^the target is 10\.0\.0\.1, not a public address/,
  })
  await receiver.close()
  t.match(await send(input), { ...noAnswer, outcome: 'connection_failed', error: /ECONNREFUSED/ })
})
