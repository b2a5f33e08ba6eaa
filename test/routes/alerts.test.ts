import t from 'tap'
import { createTestApp } from '../helpers/app.js'
import { createReceiver } from '../helpers/receiver.js'
import { createSnsEndpoint, setEnvironment } from '../helpers/sns-endpoint.js'
import { createSnsPublisher, TEST_TOPIC } from '../helpers/sns-publisher.js'
import { until } from '../helpers/until.js'

interface MatchedAlert {
  alert_id: string
  event_id: string
  type: string
  match_count: number
}

const record = (sha256: string, extra: object = {}) => ({ file: { hash: { sha256 } }, ...extra })

t.test(
  'three rule matches create an alert, update it with the diff, and send a hash to the scanner once',
  async (t) => {
    const app = await createTestApp(t)
    app.startWorkers()
    const [all, scanner] = await Promise.all([createReceiver(), createReceiver()])
    t.teardown(() => Promise.all([all.close(), scanner.close()]))
    await app.api('POST', '/v1/webhooks', { url: all.url })
    const once = { paths: 'indicators', within: '30d' }
    const made = await app.api('POST', '/v1/webhooks', { url: scanner.url, once })
    t.match(made.json(), { once }, 'shown as it was given')
    const report = async (context: object, severity = 'low') => {
      const answer = await app.api('POST', '/v1/rule-matches', {
        rule_matches: [{ rule: 'malware', severity, context }],
      })
      t.equal(answer.statusCode, 202)
      return answer.json<{ alerts: MatchedAlert[] }>().alerts[0]!
    }
    const first = await report(record('h1', { user: { name: 'ada' } }))
    t.match(first, { type: 'alert.created', match_count: 1 })
    await all.waitFor(1)
    t.match(await report(record('h1', { user: { name: 'bob' } }), 'high'), {
      type: 'alert.updated',
      alert_id: first.alert_id,
    })
    await all.waitFor(2)
    await report(record('h2', { user: { name: 'ada' } }))
    await all.waitFor(3)
    await scanner.waitFor(2)
    t.match(
      all.received.map(({ json }) => (json as { context_diff: unknown }).context_diff),
      [{ user: { name: ['ada'] } }, { user: { name: ['bob'] } }, { file: { hash: { sha256: ['h2'] } } }],
    )
    t.match(all.received[1]!.json, { relay: { previous_severity: 'low' }, updated_alert: { severity: 'high' } })
    t.same(
      scanner.received.map(({ json }) => (json as { indicators: unknown }).indicators),
      [[{ path: 'file.hash.sha256', value: 'h1' }], [{ path: 'file.hash.sha256', value: 'h2' }]],
    )

    const alert = (await app.api('GET', `/v1/alerts/${first.alert_id}`)).json<Record<string, unknown>>()
    t.match(alert, {
      title: 'malware',
      severity: 'high',
      status: 'active',
      sequence: 3,
      match_count: 3,
      context: { file: { hash: { sha256: ['h1', 'h2'] } }, user: { name: ['ada', 'bob'] } },
      values: [
        { path: ['file', 'hash', 'sha256'], value: 'h1', sequence: 1, event_id: first.event_id, first_seen_at: String },
        { path: ['user', 'name'], value: 'ada', sequence: 1 },
        { path: ['user', 'name'], value: 'bob', sequence: 2 },
        { path: ['file', 'hash', 'sha256'], value: 'h2', sequence: 3 },
      ],
    })
    const timeline = (await app.api('GET', `/v1/alerts/${first.alert_id}/events`)).json<{
      data: { sequence: number }[]
    }>()
    t.same(
      timeline.data.map(({ sequence }) => sequence),
      [3, 2, 1],
    )
  },
)

t.test('an invalid rule match is refused with its field, and an Idempotency-Key is honoured', async (t) => {
  const app = await createTestApp(t)
  const good = { rule: 'r', context: { a: 1 } }
  for (const [body, path, detail] of [
    [{}, '/rule_matches', /is required/],
    [{ rule_matches: [] }, '/rule_matches', /fewer than 1/],
    [{ rule_matches: [good, { rule: 'r' }] }, '/rule_matches/1/context', /is required/],
    [{ rule_matches: [{ ...good, context: [] }] }, '/rule_matches/0/context', /must be object/],
    [{ rule_matches: [{ ...good, rule: '' }] }, '/rule_matches/0/rule', /fewer than 1/],
    [{ rule_matches: [{ ...good, severity: 'urgent' }] }, '/rule_matches/0/severity', /allowed values: info, notice/],
    [{ rule_matches: [{ ...good, threshold: 0 }] }, '/rule_matches/0/threshold', />= 1/],
    [
      { rule_matches: [{ ...good, deduplication_window_minutes: 99_999 }] },
      '/rule_matches/0/deduplication_window_minutes',
      /<= 1440/,
    ],
    [{ rule_matches: [{ ...good, dedup: 'typo' }] }, '/rule_matches/0/dedup', /not a known field/],
    [
      { rule_matches: [good, { ...good, context: { a: Array.from({ length: 50_001 }, (_, i) => i) } }] },
      '/rule_matches/1/context',
      /more than 50000 values/,
    ],
  ] as const) {
    const answer = await app.api('POST', '/v1/rule-matches', body)
    t.equal(answer.statusCode, 400, path)
    t.match(answer.json(), { errors: [{ path, detail }] })
  }
  const send = (payload: string, key?: string, apiKey = 'a-key-for-the-tests') =>
    app.http.inject({
      method: 'POST',
      url: '/v1/rule-matches',
      payload,
      headers: {
        authorization: `Bearer ${apiKey}`,
        'content-type': 'application/json',
        ...(key ? { 'idempotency-key': key } : {}),
      },
    })
  t.equal((await send('{"rule_matches":[{"rule":"r","context":{"a":}}]}')).statusCode, 400)
  t.equal((await send('['.repeat(100_000))).statusCode, 400)
  const exact = '{"rule_matches":[{"rule":"r","context":{"n":12345678901234567890,"__proto__":{"x":["p"]}}}]}'
  const first = await send(exact, 'key-1')
  t.equal(first.statusCode, 202)
  t.same((await send(exact, 'key-1')).json(), first.json())
  const respelled =
    '{ "rule_matches": [{ "context": {"__proto__":{"x":["p"]}, "n":12345678901234567890}, "rule": "r" }] }'
  t.same((await send(respelled, 'key-1')).json(), first.json())
  t.equal((await send('{"rule_matches":[{"rule":"r","context":{}}]}', 'key-1')).statusCode, 422)
  const another = (await app.api('POST', '/v1/keys', { name: 'another', scope: 'write' })).json<{ key: string }>().key
  const other = (await send(exact, 'key-1', another)).json<{ alerts: MatchedAlert[] }>()
  t.match(other, { alerts: [{ match_count: 2 }] }, 'the same key from another API key is another key')
  const { event_id: id } = first.json<{ alerts: MatchedAlert[] }>().alerts[0]!
  t.ok(
    (await app.api('GET', `/v1/events/${id}`)).body.includes(
      '"context_diff":{"__proto__":{"x":["p"]},"n":[12345678901234567890]}',
    ),
  )
})

t.test('alerts are filtered by severity, table, title, status and time, and listed in pages', async (t) => {
  const app = await createTestApp(t)
  for (const [rule, severity, table] of [
    ['Root login', 'high', 'aws_cloudtrail'],
    ['root KEY used', 'low', 'aws_cloudtrail'],
    ['Port scan', 'low', 'zeek'],
  ]) {
    await app.api('POST', '/v1/rule-matches', { rule_matches: [{ rule, severity, table, context: { a: 1 } }] })
  }
  const titles = async (query: string) =>
    (await app.api('GET', `/v1/alerts?${query}`)).json<{ data: { title: string }[] }>().data.map(({ title }) => title)
  t.same(await titles(''), ['Port scan', 'root KEY used', 'Root login'])
  t.same(await titles('severity=low'), ['Port scan', 'root KEY used'])
  t.same(await titles('table=zeek'), ['Port scan'])
  t.same(await titles('title=ROOT'), ['root KEY used', 'Root login'])
  t.same(await titles('title=%25'), [], 'no character is a wildcard')
  t.same(await titles('status=quiet'), [])
  t.equal((await titles('status=active')).length, 3)
  t.same(await titles('until=2020-01-01T00:00:00Z'), [])
  const first = (await app.api('GET', '/v1/alerts?limit=2')).json<{ data: { title: string }[]; next_cursor: string }>()
  t.same(
    first.data.map(({ title }) => title),
    ['Port scan', 'root KEY used'],
  )
  t.same(await titles(`limit=2&cursor=${first.next_cursor}`), ['Root login'])
  t.equal((await app.api('GET', '/v1/alerts/none')).statusCode, 404)
})

t.test('an alert without changes becomes quiet once, and a change makes it active again', async (t) => {
  const app = await createTestApp(t, { ALERT_QUIET_AFTER: '1s' })
  app.startWorkers()
  const receiver = await createReceiver()
  t.teardown(() => receiver.close())
  await app.api('POST', '/v1/webhooks', { url: receiver.url, event_types: ['alert.quiet'] })
  const report = () => app.api('POST', '/v1/rule-matches', { rule_matches: [{ rule: 'r', context: { a: 1 } }] })
  const { alert_id: id } = (await report()).json<{ alerts: MatchedAlert[] }>().alerts[0]!
  await receiver.waitFor(1, { timeoutMs: 20_000 })
  await app.upkeep()!.runOnce()
  t.match(receiver.received[0]!.json, {
    updated_alert: { id, title: 'r', match_count: 1, context: { a: [1] } },
    incoming_rule_matches_context: {},
    context_diff: {},
    relay: { type: 'alert.quiet', sequence: 2 },
  })
  t.match((await app.api('GET', `/v1/alerts/${id}`)).json(), { status: 'quiet', quiet_at: String })
  await report()
  t.match((await app.api('GET', `/v1/alerts/${id}`)).json(), { status: 'active', quiet_at: null, sequence: 3 })
  t.equal(receiver.received.length, 1)
})

t.test('a webhook may be an SNS topic; an event from a topic is never published to it again', async (t) => {
  const endpoint = await createSnsEndpoint(t)
  setEnvironment(t, endpoint.environment)
  const publisher = await createSnsPublisher()
  await publisher.serve()
  t.teardown(() => publisher.close())
  const app = await createTestApp(t, { SNS_TOPICS: TEST_TOPIC, SNS_EMULATOR: publisher.origin })
  app.startWorkers()
  const receiver = await createReceiver()
  t.teardown(() => receiver.close())
  const out = TEST_TOPIC.replace('alerts', 'changes')
  for (const url of [out, TEST_TOPIC, receiver.url]) {
    t.equal((await app.api('POST', '/v1/webhooks', { url })).statusCode, 201)
  }
  t.match((await app.api('POST', '/v1/webhooks', { url: 'arn:aws:sqs:us-east-1:123456789012:q' })).json(), {
    status: 400,
    errors: [{ path: '/url', detail: /no ARN of an SNS topic/ }],
  })
  const { event_id: id } = (await app.sns(publisher.notification({ message: 'finding' }))).json<{ event_id: string }>()
  await receiver.waitFor(1)
  const statuses = await until(
    async () => {
      const page = await app.api('GET', `/v1/events/${id}/deliveries`)
      return page.json<{ data: { status: string }[] }>().data.map(({ status }) => status)
    },
    (statuses) => statuses.length === 2 && !statuses.includes('pending'),
  )
  t.same(statuses, ['succeeded', 'succeeded'], 'to the other topic and the receiver')
  t.match(endpoint.published, [{ topicArn: out, attributes: { type: 'sns.notification', event_id: id } }])
  t.equal(endpoint.published[0]!.message, receiver.received[0]!.body)
})
