import t from 'tap'
import { SAMPLE_CHANGE } from '../../src/core/event/sample.js'
import { createTestApp } from '../helpers/app.js'
import { injectUntilAccepted } from '../helpers/inject.js'
import { createReceiver } from '../helpers/receiver.js'
import { createSnsPublisher, TEST_TOPIC } from '../helpers/sns-publisher.js'

interface Problem {
  type: string
  detail: string
  errors?: { path: string; detail: string }[]
}

t.test('every path under /v1 needs a key; the OpenAPI document, its pages and health checks do not', async (t) => {
  const app = await createTestApp(t)
  const get = (url: string, headers = {}) => injectUntilAccepted(app.http, { url, headers })
  for (const authorization of [undefined, 'Bearer wrong', 'Basic YTpi', 'Bearer ', 'a-key-for-the-tests']) {
    const answer = await get('/v1/webhooks', authorization ? { authorization } : {})
    t.equal(answer.statusCode, 401)
    t.equal(answer.headers['www-authenticate'], 'Bearer')
    t.match(answer.json(), { type: 'urn:alert-relay:problem:unauthorized', detail: /Authorization: Bearer/ })
  }
  for (const url of ['/docs/', '/docs/json', '/openapi.json', '/healthz', '/readyz']) {
    t.equal((await get(url)).statusCode, 200, url)
  }
  t.equal((await get('/')).headers.location, '/docs')
  const page = await get('/docs/')
  t.match(page.body, '<title>alert-relay API</title>')
  t.match(page.headers['content-security-policy'], /script-src 'self'/)
  t.notMatch(page.headers['content-security-policy'], /upgrade-insecure-requests/)
  t.match((await get('/readyz')).json(), { status: 'ready', database: 'ok', queue: 'ok' })
})

t.test('a webhook needs only a URL; its secret is shown at creation and at /secret, nowhere else', async (t) => {
  const app = await createTestApp(t)
  const made = await app.api('POST', '/v1/webhooks', { url: 'https://example.com/hook' })
  t.equal(made.statusCode, 201)
  const { secret, public_key: publicKey, ...webhook } = made.json<{ id: string; secret: string; public_key: null }>()
  t.equal(publicKey, null)
  t.match(secret, /^whsec_[A-Za-z0-9+/]{32,}={0,2}$/)
  t.match(webhook, {
    id: /^wh_[0-9a-f]{32}$/,
    url: 'https://example.com/hook',
    description: '',
    status: 'enabled',
    disabled_reason: null,
    event_types: [],
    topics: [],
    timeout_ms: 15000,
  })
  t.equal(made.headers.location, `/v1/webhooks/${webhook.id}`)
  const url = 'https://example.com/hook'
  t.same((await app.api('GET', `/v1/webhooks/${webhook.id}/secret`)).json(), { secret, public_key: null, url })
  for (const url of ['/v1/webhooks', `/v1/webhooks/${webhook.id}`]) {
    t.notMatch((await app.api('GET', url)).body, secret, url)
  }
  const shown = (await app.api('GET', `/v1/webhooks/${webhook.id}`)).json<object>()
  t.same(shown, { ...webhook, url: 'https://example.com/...' })
  const changed = await app.api('PATCH', `/v1/webhooks/${webhook.id}`, { status: 'disabled', topics: [TEST_TOPIC] })
  t.match(changed.json(), { status: 'disabled', disabled_reason: 'disabled by an operator', topics: [TEST_TOPIC] })
  t.match((await app.api('GET', '/v1/webhooks?status=disabled')).json(), { data: [{ id: webhook.id }] })
  t.match((await app.api('GET', '/v1/webhooks?status=enabled')).json(), { data: [] })
  t.equal((await app.api('DELETE', `/v1/webhooks/${webhook.id}`)).statusCode, 204)
  t.equal((await app.api('GET', `/v1/webhooks/${webhook.id}`)).statusCode, 404)
  t.equal((await app.api('DELETE', `/v1/webhooks/${webhook.id}`)).statusCode, 404)
})

t.test('an invalid body is refused with its field', async (t) => {
  const app = await createTestApp(t)
  const url = 'https://example.com/hook'
  const cases: [object, string, RegExp][] = [
    [{}, '/url', /is required/],
    [{ url: 5 }, '/url', /must be string/],
    [{ url: '' }, '/url', /fewer than 1/],
    [{ url: '/relative' }, '/url', /absolute URL/],
    [{ url: 'ftp://example.com/' }, '/url', /https:\/\/ or http:\/\//],
    [{ url: 'https://user:pass@example.com/' }, '/url', /must not carry credentials/],
    [{ url: 'https://example.com/#part' }, '/url', /must not have a fragment/],
    [{ url: `https://example.com/${'a'.repeat(2048)}` }, '/url', /more than 2048/],
    [{ url, event_types: ['alert.closed'] }, '/event_types/0', /allowed values: alert\.created/],
    [{ url, event_types: 'alert.created' }, '/event_types', /must be array/],
    [{ url, timeout_ms: '5000' }, '/timeout_ms', /must be integer/],
    [{ url, timeout_ms: 60_000 }, '/timeout_ms', /<= 30000/],
    [{ url, status: 'paused' }, '/status', /allowed values: enabled, disabled/],
    [{ url, secret: 'whsec_x' }, '/secret', /must be whsec_/],
  ]
  for (const [body, path, detail] of cases) {
    const answer = await app.api('POST', '/v1/webhooks', body)
    t.equal(answer.statusCode, 400, JSON.stringify(body).slice(0, 80))
    const problem = answer.json<Problem>()
    t.equal(problem.type, 'urn:alert-relay:problem:invalid_request')
    t.match(problem.errors, [{ path, detail }])
  }
  t.match((await app.api('GET', '/v1/webhooks')).json(), { data: [] }, 'none was made')

  const { id } = (await app.api('POST', '/v1/webhooks', { url })).json<{ id: string }>()
  for (const [body, path] of [
    [{ url: 'nowhere' }, '/url'],
    [{ id: 'wh_x' }, '/id'],
    [{ timeout_ms: 1 }, '/timeout_ms'],
  ] as const) {
    const answer = await app.api('PATCH', `/v1/webhooks/${id}`, body)
    t.match(answer.json<Problem>().errors, [{ path }])
    t.equal(answer.statusCode, 400)
  }
  t.equal((await app.api('PATCH', `/v1/webhooks/${id}`, {})).statusCode, 400, 'an empty change says nothing')
})

t.test('an invalid request gets a problem document, never a 500', async (t) => {
  const app = await createTestApp(t)
  const key = { authorization: 'Bearer a-key-for-the-tests' }
  const json = { ...key, 'content-type': 'application/json' }
  const send = (payload: string, headers: Record<string, string> = json) =>
    app.http.inject({ method: 'POST', url: '/v1/webhooks', headers, payload })
  for (const [name, answer, status] of [
    ['broken JSON', await send('{"url":'), 400],
    ['an empty body', await send(''), 400],
    ['null', await send('null'), 400],
    ['an array', await send('[]'), 400],
    ['a key into the prototype', await send('{"url":"https://example.com","__proto__":{"admin":true}}'), 400],
    [
      'a form',
      await send('url=https://example.com', { ...key, 'content-type': 'application/x-www-form-urlencoded' }),
      415,
    ],
    ['2 MB', await send(JSON.stringify({ url: 'x'.repeat(2_000_000) })), 413],
    ['an unknown path', await app.api('GET', '/v1/nothing'), 404],
    ['an id of another kind', await app.api('GET', '/v1/webhooks/evt_1'), 400],
    ['an unknown id', await app.api('GET', `/v1/events/evt_${'0'.repeat(32)}`), 404],
    ['a limit of 0', await app.api('GET', '/v1/events?limit=0'), 400],
    ['a limit that is none', await app.api('GET', '/v1/events?limit=many'), 400],
    ['a time that is none', await app.api('GET', '/v1/events?since=yesterday'), 400],
    ['NUL in a cursor', await app.api('GET', '/v1/events?cursor=%00'), 400],
    ['NUL in a filter', await app.api('GET', '/v1/events?alert_id=a%00b'), 400],
    ['a leap second', await app.api('GET', '/v1/events?since=2016-12-31T23:59:60Z'), 400],
    ['the year 0', await app.api('GET', '/v1/events?since=0000-01-01T00:00:00Z'), 400],
    ['NUL in a path', await app.api('GET', '/v1/topics/a%00b'), 400],
    [
      'a topic that is none',
      await app.api('POST', '/v1/webhooks', { url: 'https://example.com/', topics: ['alerts'] }),
      400,
    ],
    ['NUL in a body', await app.api('POST', '/v1/webhooks', { url: 'https://example.com/', topics: ['a\u0000'] }), 400],
  ] as const) {
    t.equal(answer.statusCode, status, name)
    t.match(answer.json(), { type: /^urn:alert-relay:problem:/, status, detail: /./ }, name)
  }
})

t.test('metrics count messages, attempts and backlog, and their labels are from fixed lists', async (t) => {
  const publisher = await createSnsPublisher()
  await publisher.serve()
  t.teardown(() => publisher.close())
  const app = await createTestApp(t, { SNS_TOPICS: TEST_TOPIC, SNS_EMULATOR: publisher.origin })
  const receiver = await createReceiver()
  t.teardown(() => receiver.close())
  const { id } = (await app.api('POST', '/v1/webhooks', { url: receiver.url, name: 'soar' })).json<{ id: string }>()
  await app.api('POST', `/v1/webhooks/${id}/test`)
  await app.http.inject({ url: '/a/path/of/a/request' })
  await app.http.inject({ method: 'DELETE', url: '/sns' })
  const message = publisher.notification({ message: 'waits: no worker runs' })
  for (const body of [message, message, { ...message, Message: 'forged' }, 'nonsense']) await app.sns(body)
  const answer = await app.api('GET', '/metrics')
  t.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/)
  for (const line of [
    'alert_relay_sns_messages_total{result="stored"} 1',
    'alert_relay_sns_messages_total{result="duplicate"} 1',
    'alert_relay_sns_messages_total{result="signature_mismatch"} 1',
    'alert_relay_sns_messages_total{result="malformed_message"} 1',
    'alert_relay_attempts_total{outcome="succeeded"} 1',
    'alert_relay_attempt_duration_seconds_count 1',
    'alert_relay_delivery_latency_seconds_count 1',
    'alert_relay_backlog{kind="undispatched_events"} 1',
    'alert_relay_backlog{kind="pending_deliveries"} 0',
    'alert_relay_queue_jobs{queue="dispatch",state="waiting"} 1',
    'alert_relay_events_total{type="sns.notification",source="sns"} 1',
    'alert_relay_events_total{type="webhook.test",source="relay"} 1',
    `alert_relay_webhook_attempts_total{webhook_id="${id}",webhook="soar",outcome="succeeded"} 1`,
    `alert_relay_webhook_state{webhook_id="${id}",webhook="soar",state="healthy"} 1`,
    `alert_relay_webhook_backlog{webhook_id="${id}",webhook="soar"} 0`,
    `alert_relay_deliveries_dead_total{webhook_id="${id}",webhook="soar"} 0`,
    'alert_relay_topics_pending 0',
    'alert_relay_http_requests_total{method="POST",route="/v1/webhooks/:id/test",status="2xx"} 1',
    'alert_relay_http_requests_total{method="POST",route="/sns",status="2xx"} 2',
    'alert_relay_http_requests_total{method="POST",route="/sns",status="4xx"} 2',
    'alert_relay_http_requests_total{method="other",route="none",status="4xx"} 1',
    'alert_relay_http_requests_total{method="other",route="/sns",status="4xx"} 1',
  ]) {
    t.ok(answer.body.split('\n').includes(line), line)
  }
  t.match(answer.body, /^alert_relay_build_info\{version="\d+\.\d+\.\d+.*",node_version="v\d+.*"\} 1$/m)
  t.match(answer.body, /nodejs_eventloop_lag_seconds/)
  t.notMatch(answer.body, TEST_TOPIC)
})

t.test('lists are paged: each entry once, newest first', async (t) => {
  const app = await createTestApp(t)
  const made: string[] = []
  for (let i = 0; i < 5; i++) {
    const answer = await app.api('POST', '/v1/webhooks', { url: `https://example.com/${i}` })
    made.unshift(answer.json<{ id: string }>().id)
  }
  const seen: string[] = []
  let cursor: string | null = ''
  let pages = 0
  while (cursor !== null) {
    const page: { data: { id: string }[]; next_cursor: string | null } = (
      await app.api('GET', `/v1/webhooks?limit=2${cursor && `&cursor=${cursor}`}`)
    ).json()
    seen.push(...page.data.map(({ id }) => id))
    cursor = page.next_cursor
    pages++
  }
  t.same(seen, made)
  t.equal(pages, 3)
})

t.test('events are filtered by type, topic, alert, severity and time, and keep every digit of numbers', async (t) => {
  const publisher = await createSnsPublisher()
  await publisher.serve()
  t.teardown(() => publisher.close())
  const app = await createTestApp(t, { SNS_TOPICS: 'arn:aws:sns:us-east-1:*:*', SNS_EMULATOR: publisher.origin })
  await app.sns(publisher.notification({ message: JSON.stringify(SAMPLE_CHANGE) }))
  await app.sns(publisher.notification({ message: JSON.stringify(SAMPLE_CHANGE) }))
  const large = '{"n":12345678901234567890,"__proto__":[1e400]}'
  await app.sns(publisher.notification({ message: large, set: { TopicArn: `${TEST_TOPIC}-2` }, subject: 'Subject' }))
  const types = async (query: string) =>
    (await app.api('GET', `/v1/events?${query}`)).json<{ data: { type: string }[] }>().data.map(({ type }) => type)
  t.same(await types(''), ['sns.notification', 'alert.updated', 'alert.created'])
  t.same(await types('type=alert.created'), ['alert.created'])
  t.same(await types(`topic_arn=${TEST_TOPIC}-2`), ['sns.notification'])
  t.same(await types(`alert_id=${SAMPLE_CHANGE.updated_alert.id}`), ['alert.updated', 'alert.created'])
  t.same(await types('severity=medium&type=alert.updated'), ['alert.updated'])
  t.same(await types('severity=high'), [])
  t.same(await types('until=2020-01-01T00:00:00Z'), [])
  t.equal((await types('since=2020-01-01T00:00:00Z')).length, 3)
  const [event] = (await app.api('GET', '/v1/events?type=sns.notification')).json<{ data: { id: string }[] }>().data
  const answer = await app.api('GET', `/v1/events/${event!.id}`)
  t.match(answer.headers['content-type'], /application\/json/)
  t.ok(answer.body.includes(`"body":{"message":${large},"subject":"Subject","relay":`), 'as it came in')
  t.ok(answer.body.includes(`"payload":${large}`))
})

t.test('a test is sent to that webhook only, at once and once', async (t) => {
  const app = await createTestApp(t)
  const receiver = await createReceiver()
  t.teardown(() => receiver.close())
  const { id, secret } = (await app.api('POST', '/v1/webhooks', { url: receiver.url, status: 'disabled' })).json<{
    id: string
    secret: string
  }>()
  receiver.secrets = [secret]
  const sent = await app.api('POST', `/v1/webhooks/${id}/test`)
  t.match(sent.json(), { status: 'succeeded', attempt_count: 1, attempts: [{ number: 1, outcome: 'succeeded' }] })
  t.match(receiver.received, [
    { verified: true, json: { relay: { type: 'webhook.test' }, context_diff: SAMPLE_CHANGE.context_diff } },
  ])
  receiver.respond = () => ({ status: 302, headers: { location: `${receiver.url}/elsewhere` } })
  t.match((await app.api('POST', `/v1/webhooks/${id}/test`)).json(), {
    status: 'dead',
    reason: 'a test is not retried',
    attempts: [{ outcome: 'rejected', status_code: 302 }],
  })
  t.equal(receiver.received.length, 2, 'the redirect is not followed')
})

t.test('a target with a private address is refused on connection', async (t) => {
  const app = await createTestApp(t, { ALLOW_PRIVATE_TARGETS: '' })
  const receiver = await createReceiver()
  t.teardown(() => receiver.close())
  for (const url of [
    receiver.url,
    receiver.url.replace('127.0.0.1', 'localhost'),
    'http://169.254.169.254/latest/meta-data/',
  ]) {
    const { id } = (await app.api('POST', '/v1/webhooks', { url })).json<{ id: string }>()
    t.match((await app.api('POST', `/v1/webhooks/${id}/test`)).json(), {
      status: 'dead',
      attempts: [{ outcome: 'target_refused', status_code: null }],
    })
  }
  t.equal(receiver.connectionCount, 0)
})

t.test('after a rotation receivers with the old and the new secret both verify', async (t) => {
  const app = await createTestApp(t)
  const receiver = await createReceiver()
  t.teardown(() => receiver.close())
  const { id, secret: old } = (await app.api('POST', '/v1/webhooks', { url: receiver.url })).json<{
    id: string
    secret: string
  }>()
  const { secret: fresh } = (await app.api('POST', `/v1/webhooks/${id}/secret/rotate`)).json<{ secret: string }>()
  t.not(fresh, old)
  t.match((await app.api('GET', `/v1/webhooks/${id}/secret`)).json(), { secret: fresh, public_key: null })
  for (const secret of [old, fresh]) {
    receiver.secrets = [secret]
    await app.api('POST', `/v1/webhooks/${id}/test`)
    t.equal(receiver.received.at(-1)!.verified, true)
  }
  const rotate = (body: object = {}) => app.api('POST', `/v1/webhooks/${id}/secret/rotate`, body)
  const isVerifiedBy = async (secret: string) => {
    receiver.secrets = [secret]
    await app.api('POST', `/v1/webhooks/${id}/test`)
    return receiver.received.at(-1)!.verified
  }
  for (let i = 0; i < 4; i++) await rotate()
  t.equal(await isVerifiedBy(old), true, 'a repeated call cuts no receiver off')
  await rotate()
  t.equal(await isVerifiedBy(old), false, 'five old ones are kept')
  t.equal(await isVerifiedBy(fresh), true)
  await rotate({ overlap_s: 0 })
  t.equal(await isVerifiedBy(fresh), false, 'with an overlap of 0 none is')
})
