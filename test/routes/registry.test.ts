import { createPublicKey, verify } from 'node:crypto'
import t, { type Test } from 'tap'
import { SAMPLE_CHANGE } from '../../src/core/event/sample.js'
import { createTestApp, type TestApp } from '../helpers/app.js'
import { createReceiver, type ReceivedRequest } from '../helpers/receiver.js'
import { until } from '../helpers/until.js'

const MATCH = {
  rule: 'r',
  title: 'T <!channel>',
  severity: 'high',
  dedupe: 'd',
  context: { source: { ip: '8.8.8.8' } },
}
const ROUTING_KEY = 'a'.repeat(32)

async function makeEvent(app: TestApp, match: object = {}): Promise<string> {
  const { body } = await app.api('POST', '/v1/rule-matches', { rule_matches: [{ ...MATCH, ...match }] })
  return (JSON.parse(body) as { alerts: { event_id: string }[] }).alerts[0]!.event_id
}

async function register(app: TestApp, fields: object) {
  return app.api('POST', '/v1/webhooks', { url: 'https://example.com/hook', ...fields })
}

t.test('an invalid filter, format or name is refused with its path', async (t) => {
  const app = await createTestApp(t)
  const refused = async (fields: object, path: string, detail: RegExp) => {
    const { statusCode, body } = await register(app, fields)
    const problem = JSON.parse(body) as { errors: { path: string; detail: string }[] }
    t.equal(statusCode, 400, body)
    t.match(problem, { type: 'urn:alert-relay:problem:invalid_request', errors: [{ path, detail }] })
  }
  await refused({ filter: { a: [] } }, '/filter/a', /./)
  await refused({ filter: { a: 'text' } }, '/filter/a', /list/)
  await refused({ filter: { a: [{ nothing: 1 }] } }, '/filter/a/0/nothing', /operator/)
  await refused({ filter: [] }, '/filter', /object/)
  const costly = { a: Array.from({ length: 60 }, (_, i) => ({ wildcard: `*${i}*` })) }
  await refused({ filter: costly }, '/filter/a', /more than 50 times/)
  await refused({ success: { body: costly } }, '/success/body/a', /more than 50 times/)
  await refused({ format: 'xml' }, '/format', /slack/)
  await refused({ format: 'pagerduty' }, '/format_options/routing_key', /required/)
  await refused({ format: 'slack', format_options: { project_key: 'SEC' } }, '/format_options/project_key', /unknown/)
  await refused(
    { format: 'pagerduty', format_options: { routing_key: '********' } },
    '/format_options/routing_key',
    /./,
  )
  await refused({ format: 'template', format_options: { template: '{' } }, '/format_options/template', /JSONata/)
  const issues = { format: 'jira', format_options: { project_key: 'SEC', on_update: 'comment' } }
  const jira = { ...issues, url: 'https://x.atlassian.net/rest/api/3/issue', order: 'alert' }
  await refused({ ...jira, order: 'none' }, '/order', /must be "alert"/)
  await refused({ ...jira, url: 'https://x.atlassian.net/hook' }, '/url', /must end in \/rest\/api\/3\/issue/)
  await refused({ ...jira, success: { body: { id: ['1'] } } }, '/success', /beside format_options.on_update/)
  t.equal((await register(app, jira)).statusCode, 201)
  await refused({ name: 'two\nlines' }, '/name', /must be 2 to 100 letters/)
  await refused({ success: {} }, '/success', /fewer than 1/)
  await refused({ success: { status: 200 } }, '/success/status', /not a known field/)
  await refused({ success: { body: {} } }, '/success/body', /fewer than 1/)
  await refused({ success: { body: { errcode: 0 } } }, '/success/body/errcode', /list/)
  await refused({ success: { body_excludes: [''] } }, '/success/body_excludes/0', /fewer than 1/)
  await refused({ success: { body_excludes: [] } }, '/success/body_excludes', /fewer than 1/)
  const topic = 'arn:aws:sns:us-east-1:123456789012:t'
  await refused({ url: topic, success: { body_excludes: ['x'] } }, '/success', /SNS topic/)
  await refused({ coalesce: { every: '2d' } }, '/coalesce/every', /at most 1d/)
  await refused({ coalesce: { every: '5' } }, '/coalesce/every', /a duration such as/)
  await refused({ coalesce: {} }, '/coalesce/every', /required/)
})

t.test('a filter is tested with at most 256 KiB', async (t) => {
  const app = await createTestApp(t)
  const tested = await app.api('POST', '/v1/filters/test', {
    filter: { a: ['x'] },
    event: { a: 'x'.repeat(256 * 1024) },
  })
  t.match(JSON.parse(tested.body), { status: 413, type: 'urn:alert-relay:problem:payload_too_large' })
})

t.test('names of webhooks are unique', async (t) => {
  const app = await createTestApp(t)
  t.equal((await register(app, { name: 'soar' })).statusCode, 201)
  const second = await register(app, { name: 'soar' })
  t.match(second.json(), { status: 409, errors: [{ path: '/name', detail: /another webhook/ }] })
  const other = (await register(app, { name: 'other' })).json<{ id: string }>()
  t.equal((await app.api('PATCH', `/v1/webhooks/${other.id}`, { name: 'soar' })).statusCode, 409)
  t.equal((await app.api('PATCH', `/v1/webhooks/${other.id}`, { name: 'other' })).statusCode, 200)
  const found = await app.api('GET', '/v1/webhooks?name=soar')
  t.match(found.json(), { data: [{ name: 'soar' }] })
  const both = await Promise.all([register(app, { name: 'race' }), register(app, { name: 'race' })])
  t.same(both.map(({ statusCode }) => statusCode).sort(), [201, 409])
})

t.test('a PATCH that would make a webhook undeliverable is refused', async (t) => {
  const app = await createTestApp(t)
  const { id } = (await register(app, { format: 'pagerduty', format_options: { routing_key: ROUTING_KEY } })).json<{
    id: string
  }>()
  const patch = (fields: object) => app.api('PATCH', `/v1/webhooks/${id}`, fields)
  t.match((await patch({ format_options: {} })).json(), {
    status: 400,
    errors: [{ path: '/format_options/routing_key' }],
  })
  t.match((await patch({ format: 'slack' })).json(), { status: 400, errors: [{ path: '/format_options/routing_key' }] })
  t.match((await patch({ format: 'slack', format_options: {} })).json(), { format: 'slack', format_options: {} })
})

t.test('a routing key is stored sealed and never shown; its mask can be sent back', async (t) => {
  const app = await createTestApp(t)
  const made = await register(app, { format: 'pagerduty', format_options: { routing_key: ROUTING_KEY } })
  const { id, format_options: options } = made.json<{ id: string; format_options: object }>()
  t.same(options, { routing_key: '********' })
  const same = await app.api('PATCH', `/v1/webhooks/${id}`, { format_options: options })
  t.same(same.json<{ format_options: object }>().format_options, options)
  const preview = await app.api('POST', `/v1/webhooks/${id}/preview`, {})
  t.match(JSON.parse(preview.json<{ body: string }>().body), { routing_key: '********', event_action: 'trigger' })
  for (const answer of [made, same, preview, await app.api('GET', '/v1/webhooks')]) {
    t.notMatch(answer.body, ROUTING_KEY)
  }
  const receiver = await createReceiver()
  t.teardown(() => receiver.close())
  const elsewhere = await app.api('PATCH', `/v1/webhooks/${id}`, { url: receiver.url })
  t.match(elsewhere.json(), { status: 400, errors: [{ path: '/format_options/routing_key' }] })
  await app.api('PATCH', `/v1/webhooks/${id}`, { url: receiver.url, format_options: { routing_key: ROUTING_KEY } })
  await app.api('POST', `/v1/webhooks/${id}/test`)
  t.match(receiver.received[0]!.json, { routing_key: ROUTING_KEY }, 'the receiver gets it')
})

t.test('success keeps every digit, and can be changed and removed', async (t) => {
  const app = await createTestApp(t)
  const success = { body: { errcode: [0] }, body_excludes: ['HTTP error'] }
  const made = (await register(app, { success })).json<{ id: string; success: object }>()
  t.same(made.success, success)
  const url = `/v1/webhooks/${made.id}`
  const { body } = await app.http.inject({
    method: 'PATCH',
    url,
    headers: { authorization: 'Bearer a-key-for-the-tests', 'content-type': 'application/json' },
    payload: '{"success":{"body":{"code":[9007199254740993]}}}',
  })
  t.match(body, '"success":{"body":{"code":[9007199254740993]}}')
  t.match((await app.api('GET', url)).body, '"success":{"body":{"code":[9007199254740993]}}')
  t.match((await app.api('PATCH', url, { success: null })).json(), { success: null })
  t.match((await app.api('GET', url)).json(), { success: null })
})

t.test('a 200 whose body reports a failure is a rejection, with the status and the reason', async (t) => {
  const app = await createTestApp(t)
  const answer = 'Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429'
  const receiver = await createReceiver({ respond: () => ({ status: 200, body: answer }) })
  t.teardown(() => receiver.close())
  const { id } = (await register(app, { url: receiver.url, format: 'teams' })).json<{ id: string }>()
  const test = async () => (await app.api('POST', `/v1/webhooks/${id}/test`)).json<object>()
  const rejected = { outcome: 'rejected', status_code: 200, response_body: answer }
  t.match(await test(), {
    status: 'dead',
    attempts: [{ ...rejected, error: /Microsoft Teams endpoint returned HTTP/ }],
  })
  receiver.respond = () => ({ status: 200, body: '1' })
  t.match(await test(), { status: 'succeeded', attempts: [{ outcome: 'succeeded', error: null, response_body: '1' }] })
  await app.api('PATCH', `/v1/webhooks/${id}`, { success: { body: { code: [0] } } })
  t.match(await test(), {
    attempts: [{ outcome: 'rejected', error: 'the answer fails success.body: the body is no JSON object' }],
  })
})

t.test('a filter keeps the digits of its numbers', async (t) => {
  const app = await createTestApp(t)
  const text = '{"url":"https://example.com/hook","filter":{"a":[{"numeric":["=",9007199254740993]}]}}'
  const { body, statusCode } = await app.http.inject({
    method: 'POST',
    url: '/v1/webhooks',
    headers: { authorization: 'Bearer a-key-for-the-tests', 'content-type': 'application/json' },
    payload: text,
  })
  t.equal(statusCode, 201)
  t.match(body, '9007199254740993')
  const { id } = JSON.parse(body) as { id: string }
  t.match((await app.api('GET', `/v1/webhooks/${id}`)).body, '9007199254740993')
})

t.test('a filter can be tested against a body or a stored event', async (t) => {
  const app = await createTestApp(t)
  const ask = async (question: object) => (await app.api('POST', '/v1/filters/test', question)).json()
  const filter = { updated_alert: { severity: ['high', 'critical'] } }
  t.same(await ask({ filter, event: { updated_alert: { severity: 'high' } } }), { matches: true, failed: [] })
  t.match(await ask({ filter, event: { updated_alert: { severity: 'low' } } }), {
    matches: false,
    failed: [{ path: '/updated_alert/severity', reason: String }],
  })
  t.match(await ask({ filter: { 'source.ip': ['10.0.0.1'] }, event: { 'source.ip': '10.0.0.2' } }), {
    failed: [{ path: '/source/ip', reason: /^"10.0.0.2"; wanted/ }],
  })
  t.same(await ask({ filter: {}, event: {} }), { matches: true, failed: [] }, 'an empty filter is none')
  const eventId = await makeEvent(app)
  t.same(await ask({ filter, event_id: eventId }), { matches: true, failed: [] })
  t.match(await ask({ filter }), { status: 400, errors: [{ path: '/event' }] })
  t.match(await ask({ filter: { a: 1 }, event: {} }), { status: 400, errors: [{ path: '/filter/a' }] })
  t.match(await ask({ filter, event_id: `evt_${'0'.repeat(32)}` }), { status: 404 })
})

/** An application with running workers, and a receiver for each webhook. */
async function relayTo(t: Test, webhooks: Record<string, object>) {
  const app = await createTestApp(t)
  const receivers = new Map<string, Awaited<ReturnType<typeof createReceiver>>>()
  const ids = new Map<string, string>()
  for (const [name, fields] of Object.entries(webhooks)) {
    const receiver = await createReceiver()
    t.teardown(() => receiver.close())
    const { id, secret } = (await register(app, { url: receiver.url, ...fields })).json<{
      id: string
      secret: string
    }>()
    receiver.secrets = [secret]
    receivers.set(name, receiver)
    ids.set(name, id)
  }
  app.startWorkers()
  return { app, ids, of: (name: string) => receivers.get(name)! }
}

t.test('only events that match the filter are delivered, recovered and replayed', async (t) => {
  const { app, ids, of } = await relayTo(t, {
    high: { filter: { 'updated_alert.severity': ['high'], context_diff: [{ exists: true }] } },
    all: { filter: {} },
  })
  const low = await makeEvent(app, { severity: 'low', dedupe: 'low' })
  const high = await makeEvent(app, { severity: 'high', dedupe: 'high' })
  await of('all').waitFor(2)
  await of('high').waitFor(1)
  t.equal(of('high').received[0]!.id, high)
  const replayed = (await app.api('POST', `/v1/events/${low}/replay`, {})).json<{ deliveries: string[] }>()
  t.equal(replayed.deliveries.length, 1, 'a replay goes to those who want it')
  await of('all').waitFor(3)
  await app.api('PATCH', `/v1/webhooks/${ids.get('high')}`, { filter: null })
  await app.api('POST', `/v1/webhooks/${ids.get('high')}/recover`, { since: '2020-01-01T00:00:00Z' })
  await app.upkeep()!.runOnce()
  await of('high').waitFor(2)
  t.equal(of('high').received[1]!.id, low, 'what its filter kept out before is missed now')
})

t.test('a webhook with only_new is told no change without news; its delivery says why', async (t) => {
  const settings = { only_new: true, coalesce: { every: '5m' } }
  const { app, ids, of } = await relayTo(t, { all: {}, news: settings })
  const url = `/v1/webhooks/${ids.get('news')}`
  t.match((await app.api('GET', url)).json(), settings)
  const created = await makeEvent(app)
  const repeated = await makeEvent(app)
  await of('all').waitFor(2)
  const [news] = await of('news').waitFor(1)
  t.equal(news!.id, created)
  const listed = await app.api('GET', `/v1/events/${repeated}/deliveries?status=dropped`)
  const [dropped] = listed.json<{ data: { id: string; webhook_id: string; reason: string }[] }>().data
  t.match(dropped, { webhook_id: ids.get('news'), reason: /^nothing new in it/ })
  t.match((await app.api('POST', `/v1/deliveries/${dropped!.id}/retry`)).json(), { status: 409, detail: /replay/ })
  t.match((await app.api('POST', `${url}/preview`, { event_id: repeated })).json(), { wanted: false })
  const replayed = (await app.api('POST', `/v1/events/${repeated}/replay`, {})).json<{ deliveries: string[] }>()
  t.equal(replayed.deliveries.length, 1, 'a replay goes to those who want it')
  t.match((await app.api('PATCH', url, { coalesce: true, only_new: false })).json(), {
    coalesce: true,
    only_new: false,
  })
  t.match((await app.api('PATCH', url, { coalesce: false })).json(), { coalesce: false })
})

t.test('every format is delivered signed, with its content type', async (t) => {
  const { app, of } = await relayTo(t, {
    slack: { format: 'slack' },
    cloudevents: { format: 'cloudevents' },
    raw: { format: 'raw' },
    template: { format: 'template', format_options: { template: '{ "title": updated_alert.title }' } },
    pagerduty: { format: 'pagerduty', format_options: { routing_key: ROUTING_KEY } },
    broken: { format: 'template', format_options: { template: 'nothing.here' } },
  })
  const id = await makeEvent(app)
  const types = { slack: 'application/json', cloudevents: 'application/cloudevents+json; charset=utf-8' }
  for (const name of ['slack', 'cloudevents', 'raw', 'template', 'pagerduty']) {
    const [request] = await of(name).waitFor(1)
    t.ok(request!.verified, `${name} is signed`)
    if (name in types) t.equal(request!.headers['content-type'], types[name as keyof typeof types])
  }
  t.notMatch(of('slack').received[0]!.body, '<!channel>')
  t.match(of('cloudevents').received[0]!.json, { specversion: '1.0', id })
  t.same(of('template').received[0]!.json, { title: MATCH.title })
  t.match(of('pagerduty').received[0]!.json, { event_action: 'trigger', routing_key: ROUTING_KEY })
  t.equal(of('broken').received.length, 0)
  // the first template starts a process, so its attempt may end after the dispatch is recorded
  const attempts = await until(
    async () => {
      const deliveries = await app.api('GET', `/v1/events/${id}/deliveries?status=pending`)
      const [waiting] = deliveries.json<{ data: { id: string }[] }>().data
      return waiting ? (await app.api('GET', `/v1/deliveries/${waiting.id}`)).json<{ attempts: [] }>().attempts : []
    },
    (attempts: unknown[]) => attempts.length > 0,
  )
  t.match(attempts, [{ outcome: 'not_sent', error: String }], 'a template that fails says so')
})

t.test('a preview shows the headers and body of an event without sending it', async (t) => {
  const app = await createTestApp(t)
  const { id } = (await register(app, { format: 'slack', filter: { updated_alert: { severity: ['low'] } } })).json<{
    id: string
  }>()
  const sample = (await app.api('POST', `/v1/webhooks/${id}/preview`)).json<{ body: string }>()
  t.match(sample, { wanted: false, error: null, headers: { 'webhook-signature': /^v1,/, 'content-type': /json/ } })
  t.match(sample.body, SAMPLE_CHANGE.updated_alert.title)
  const eventId = await makeEvent(app, { severity: 'low' })
  const stored = await app.api('POST', `/v1/webhooks/${id}/preview`, { event_id: eventId })
  t.match(stored.json(), { wanted: true, headers: { 'webhook-id': eventId } })
  t.equal((await app.api('POST', `/v1/webhooks/${id}/preview`, { event_id: `evt_${'0'.repeat(32)}` })).statusCode, 404)
  t.equal((await app.api('GET', `/v1/events/${eventId}/deliveries`)).json<{ data: [] }>().data.length, 0)
})

t.test('credentials are sent to the receiver and never shown; their masks can be sent back', async (t) => {
  const tokens = await createReceiver({
    respond: () => ({
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ access_token: 'got-this-token', token_type: 'Bearer', expires_in: 3600 }),
    }),
  })
  t.teardown(() => tokens.close())
  const oauth = { type: 'oauth2', token_url: tokens.url, client_id: 'relay', client_secret: 'hush-hush' }
  const { app, ids, of } = await relayTo(t, {
    bearer: { auth: { type: 'bearer', token: 'a-bearer-token' }, headers: { 'X-Tenant': 'tenant-seven' } },
    basic: { auth: { type: 'basic', username: 'relay', password: 'pass-word' } },
    oauth: { auth: oauth },
  })
  for (const id of ids.values()) {
    const shown = await app.api('GET', `/v1/webhooks/${id}`)
    t.notMatch(shown.body, /a-bearer-token|pass-word|hush-hush|tenant-seven/)
    const { auth, headers } = shown.json<{ auth: object; headers: object }>()
    t.equal((await app.api('PATCH', `/v1/webhooks/${id}`, { auth, headers })).statusCode, 200)
    const preview = await app.api('POST', `/v1/webhooks/${id}/preview`)
    t.match(preview.json(), { headers: { authorization: '********' } })
    await app.api('POST', `/v1/webhooks/${id}/test`)
  }
  t.match(of('bearer').received[0]!.headers, { authorization: 'Bearer a-bearer-token', 'x-tenant': 'tenant-seven' })
  t.match(of('basic').received[0]!.headers, { authorization: `Basic ${btoa('relay:pass-word')}` })
  t.match(of('oauth').received[0]!.headers, { authorization: 'Bearer got-this-token' })
  await app.api('POST', `/v1/webhooks/${ids.get('oauth')}/test`)
  t.equal(tokens.received.length, 1, 'a token is got once')
  const wrong = await register(app, { headers: { 'x-a': 'b\r\nx-injected: 1' } })
  t.match(wrong.json(), { status: 400, errors: [{ path: '/headers/x-a' }] })
  t.match((await register(app, { auth: { type: 'bearer', token: '********' } })).json(), { status: 400 })
})

t.test('credentials are kept for the origin that they were given for alone', async (t) => {
  const [honest, hostile] = [await createReceiver(), await createReceiver()]
  t.teardown(() => Promise.all([honest.close(), hostile.close()]))
  const app = await createTestApp(t)
  const given = { headers: { 'x-tenant': 'tenant-seven' }, auth: { type: 'bearer', token: 'a-bearer-token' } }
  const { id } = (await register(app, { url: honest.url, ...given })).json<{ id: string }>()
  const patch = async (fields: object) => (await app.api('PATCH', `/v1/webhooks/${id}`, fields)).json<object>()
  t.match(await patch({ url: `${honest.url}/other-path` }), { auth: { type: 'bearer' }, dropped: undefined })
  const masked = await patch({ url: hostile.url, auth: { type: 'bearer', token: '********' } })
  t.match(masked, { status: 400, errors: [{ path: '/auth/token' }] })
  const moved = await patch({ url: hostile.url, headers: { 'x-tenant': 'tenant-eight' } })
  t.match(moved, { headers: { 'x-tenant': '********' }, auth: null, dropped: ['auth'] })
  await app.api('POST', `/v1/webhooks/${id}/test`)
  const { headers } = hostile.received[0]!
  t.same([headers.authorization, headers['x-tenant']], [undefined, 'tenant-eight'])
  const [entry] = (await app.api('GET', '/v1/audit')).json<{ data: { changes: object[] }[] }>().data
  t.match(entry, { action: 'webhook.updated' })
  t.match(JSON.stringify(entry), /"auth/, 'the audit log has it')
})

t.test('a receiver that echoes what it was sent is not quoted with secrets', async (t) => {
  const echo = await createReceiver({
    respond: ({ headers }) => ({ status: 500, body: `${'x'.repeat(4090)} ${JSON.stringify(headers)}` }),
  })
  const short = await createReceiver({ respond: ({ headers }) => ({ status: 500, body: JSON.stringify(headers) }) })
  t.teardown(() => Promise.all([echo.close(), short.close()]))
  const app = await createTestApp(t)
  for (const { url } of [echo, short]) {
    const given = {
      headers: { 'x-key': 'key "seven"' },
      auth: { type: 'basic', username: 'relay', password: 'pass-word' },
    }
    const { id } = (await register(app, { url, ...given })).json<{ id: string }>()
    const { body } = await app.api('POST', `/v1/webhooks/${id}/test`)
    t.notMatch(body, /seven|pass-word/)
    t.notMatch(body, btoa('relay:pass-word').slice(0, 8))
    if (url === short.url) t.match(body, '********')
  }
})

t.test('with ed25519 only the public key is shown, and it verifies; a rotation signs with both', async (t) => {
  const { app, ids, of } = await relayTo(t, { signed: { signing: 'ed25519' } })
  const id = ids.get('signed')!
  t.match((await app.api('GET', `/v1/webhooks/${id}/secret`)).json(), { secret: null, public_key: /^whpk_/ })
  const { public_key: publicKey } = (await app.api('GET', `/v1/webhooks/${id}/public-key`)).json<{
    public_key: string
  }>()
  const send = async () => {
    await app.api('POST', `/v1/webhooks/${id}/test`)
    return of('signed').received.at(-1)!
  }
  const first = await send()
  t.ok(verifies(publicKey, first), 'with the public key alone')
  const rotated = await app.api('POST', `/v1/webhooks/${id}/secret/rotate`, { signing: 'hmac' })
  const { secret } = rotated.json<{ secret: string }>()
  of('signed').secrets = [secret]
  const both = await send()
  t.ok(both.verified, 'who has only the new one takes it')
  t.ok(verifies(publicKey, both), 'and who has only the old one does')
  const own = `whsec_${Buffer.alloc(32, 9).toString('base64')}`
  const at = await app.api('POST', `/v1/webhooks/${id}/secret/rotate`, { secret: own, overlap_s: 0 })
  t.equal(at.json<{ secret: string }>().secret, own)
  of('signed').secrets = [secret]
  t.notOk((await send()).verified, 'without an overlap the one before is gone at once')
  t.equal((await app.api('GET', `/v1/webhooks/${id}/public-key`)).statusCode, 404)
  t.match((await register(app, { signing: 'ed25519', secret: own })).json(), {
    status: 400,
    errors: [{ path: '/secret' }],
  })
})

/** Verifies the asymmetric signature of Standard Webhooks: ed25519 over id.timestamp.body. */
function verifies(publicKey: string, { headers, body }: ReceivedRequest): boolean {
  const raw = Buffer.from(publicKey.slice('whpk_'.length), 'base64')
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' })
  const signed = Buffer.from(`${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`)
  return String(headers['webhook-signature'])
    .split(' ')
    .filter((signature) => signature.startsWith('v1a,'))
    .some((signature) => verify(null, signed, key, Buffer.from(signature.slice(4), 'base64')))
}
