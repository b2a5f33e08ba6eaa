import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SAMPLE_CHANGE } from '../../src/core/event/sample.js'
import { parseJson, stringifyJson, type JsonObject } from '../../src/core/platform/json.js'
import { ROOT } from '../../src/core/platform/root.js'
import { createTestApp, TEST_KEY, type TestApp } from '../helpers/app.js'
import { another, FINDINGS_TOPIC, fixtureMessage } from '../helpers/findings.js'
import { injectUntilAccepted } from '../helpers/inject.js'
import { createReceiver } from '../helpers/receiver.js'
import { createSnsPublisher } from '../helpers/sns-publisher.js'
import { until } from '../helpers/until.js'

const FIXTURES = join(ROOT, 'test/core/source/fixtures')

interface Shown {
  id: string
  type: string
  source: string | null
  alert_id: string | null
  title: string | null
  part: number
  topic_arn: string | null
  message_id: string | null
  payload: unknown
}

async function appWith(t: Test, settings: Record<string, string> = {}) {
  const app = await createTestApp(t, settings)
  const post = (payload: string | Buffer, headers: Record<string, string> = {}, key = TEST_KEY) =>
    injectUntilAccepted(app.http, {
      ...{ method: 'POST', url: '/v1/messages', payload },
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    })
  return { app, post }
}

/** What an event is, but for its ids and times and for what its alert held before. */
async function shown(app: TestApp, id: string) {
  const event = (await app.api('GET', `/v1/events/${id}`)).json<Shown>()
  const { source, alert_id: alertId, title, part, payload } = event
  return { source, alertId, title, part, payload }
}

t.test('a message over HTTP is read as the same message over SNS is, whatever its producer', async (t) => {
  const publisher = await createSnsPublisher({ topicArn: FINDINGS_TOPIC })
  await publisher.serve()
  t.teardown(() => publisher.close())
  const { app, post } = await appWith(t, { SNS_TOPICS: FINDINGS_TOPIC, SNS_EMULATOR: publisher.origin })
  const names = (await readdir(FIXTURES)).filter((name) => name.endsWith('.json'))
  const fixtures = await Promise.all(names.map(async (name) => parseJson(await readFile(join(FIXTURES, name), 'utf8'))))
  const messages = fixtures.map((fixture) => stringifyJson((fixture as { message: JsonObject }).message))
  // an alarm of an old form has its account and Region from the topic
  const isOfTopic = (i: number) => names[i] === 'cloudwatch-no-arn.json'
  for (const [i, message] of [...messages, 'plain text', '[1, 2]', JSON.stringify(SAMPLE_CHANGE)].entries()) {
    if (isOfTopic(i)) continue
    const overHttp = (await post(message)).json<{ result: string; event_id: string; event_ids?: string[] }>()
    const overSns = (await app.sns(publisher.notification({ message }))).json<typeof overHttp>()
    t.equal(overHttp.result, overSns.result, names[i] ?? message)
    t.equal(overHttp.event_ids?.length, overSns.event_ids?.length, names[i] ?? message)
    t.same(await shown(app, overHttp.event_id), await shown(app, overSns.event_id), names[i] ?? message)
  }
  t.ok(messages.length > 80)
})

t.test('a message of the API is of no topic, keeps its bytes, and reaches a webhook that names no topic', async (t) => {
  const { app, post } = await appWith(t)
  app.startWorkers()
  const receivers = await Promise.all([createReceiver(), createReceiver()])
  t.teardown(() => Promise.all(receivers.map((receiver) => receiver.close())))
  await app.api('POST', '/v1/webhooks', { url: receivers[0].url, format: 'raw' })
  await app.api('POST', '/v1/webhooks', { url: receivers[1].url, topics: ['arn:aws:sns:*:*:*'] })
  const text = '{"b": 1.0,\n "a": 12345678901234567890}'
  const { event_id: id } = (await post(text)).json<{ event_id: string }>()
  const [received] = await receivers[0].waitFor(1)
  t.equal(received!.body, text)
  await until(
    async () => (await app.api('GET', `/v1/events/${id}/deliveries`)).json<{ data: object[] }>().data.length,
    (count) => count === 1,
  )
  t.same(receivers[1].received, [])
  const event = (await app.api('GET', `/v1/events/${id}`)).json<Shown>()
  t.match(event, { type: 'sns.notification', topic_arn: null, message_id: null })
})

t.test('a repeat with its Idempotency-Key is a duplicate, and with another body it is refused', async (t) => {
  const { app, post } = await appWith(t)
  const { key: other } = (await app.api('POST', '/v1/keys', { name: 'other', scope: 'ingest' })).json<{ key: string }>()
  const named = { 'idempotency-key': 'one' }
  const first = (await post('{"a": 1, "b": 2}', named)).json<{ result: string; event_id: string }>()
  t.equal(first.result, 'stored')
  const repeats = await Promise.all([post('{"a": 1, "b": 2}', named), post('{"b":2.0,"a":1}', named)])
  for (const repeat of repeats) t.same(repeat.json(), { result: 'duplicate', event_id: first.event_id })
  const mismatch = await post('{"a": 2}', named)
  t.match(mismatch.json(), { status: 422, type: 'urn:alert-relay:problem:idempotency_mismatch' })
  t.match((await post('{"a": 2}', named, other)).json(), { result: 'stored' }, 'a key belongs to one API key')
  const hub = another(await fixtureMessage('securityhub-action-two'))
  const findings = await post(stringifyJson(hub), { 'idempotency-key': 'two' })
  t.equal(findings.json<{ event_ids: string[] }>().event_ids.length, 2)
  const again = await post(stringifyJson(hub), { 'idempotency-key': 'two' })
  t.same(again.json(), { ...findings.json<object>(), result: 'duplicate' })
  const elsewhere = await post(stringifyJson(hub), { 'idempotency-key': 'three' })
  t.match(elsewhere.json(), { result: 'duplicate' }, 'an EventBridge event is known by its id')
})

t.test('what is no message is refused with what is wrong', async (t) => {
  const { post } = await appWith(t)
  for (const [payload, type, status, detail] of [
    ['', 'application/json', 400, /The body is empty/],
    [Buffer.from([0x22, 0xff, 0x22]), 'application/json', 400, /not UTF-8/],
    ['a=1', 'application/x-www-form-urlencoded', 415, /application\/json/],
    ['x'.repeat(1024 * 1024 + 1), 'text/plain', 413, /larger/],
  ] as const) {
    t.match((await post(payload, { 'content-type': type })).json(), { status, detail })
  }
  for (const type of ['text/plain; charset=utf-8', 'application/cloudevents+json']) {
    t.equal((await post('{}', { 'content-type': type })).statusCode, 200, type)
  }
})

t.test('a key of scope ingest brings messages in and does nothing else', async (t) => {
  const { app, post } = await appWith(t)
  const keyOf = async (scope: string) =>
    (await app.api('POST', '/v1/keys', { name: scope, scope })).json<{ key: string }>().key
  const [ingest, read, write] = await Promise.all(['ingest', 'read', 'write'].map(keyOf))
  for (const [key, status] of [
    [ingest, 200],
    [write, 200],
    [read, 403],
  ] as const) {
    t.equal((await post('{}', {}, key)).statusCode, status)
  }
  const call = (method: 'GET' | 'POST', url: string, payload?: object) =>
    app.http.inject({ method, url, payload, headers: { authorization: `Bearer ${ingest}` } })
  const match = { rule_matches: [{ rule: 'r', context: {} }] }
  t.equal((await call('POST', '/v1/rule-matches', match)).statusCode, 202)
  for (const [method, url] of [
    ['GET', '/v1/events'],
    ['GET', '/v1/alerts'],
    ['GET', '/v1/webhooks'],
    ['GET', '/metrics'],
    ['POST', '/v1/webhooks'],
    ['POST', '/v1/deliveries/retry'],
    ['GET', '/v1/keys'],
  ] as const) {
    t.match(
      (await call(method, url, method === 'POST' ? {} : undefined)).json(),
      { status: 403, detail: /yours has ingest/ },
      url,
    )
  }
})
