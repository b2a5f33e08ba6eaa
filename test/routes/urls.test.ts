import { InMemorySpanExporter } from '@opentelemetry/sdk-trace-node'
import { pino } from 'pino'
import t from 'tap'
import { createLogger } from '../../src/core/platform/logger.js'
import { startTracing } from '../../src/core/platform/tracing.js'
import { createTestApp, TEST_KEY } from '../helpers/app.js'
import { FULL_KEY, openTestApi } from '../helpers/api.js'
import { createReceiver } from '../helpers/receiver.js'

const PATH = '/services/planted-path/x9a1b2'
const SECRET = `https://hooks.example.com${PATH}`
const SHOWN = 'https://hooks.example.com/...a1b2'

t.test('a URL sent back as it is shown changes nothing; another masked one is refused', async (t) => {
  const { call } = await openTestApi(t)
  const { id } = (
    await call(FULL_KEY, 'POST', '/v1/webhooks', { url: SECRET, auth: { type: 'bearer', token: 'tk' } })
  ).json<{
    id: string
  }>()
  const whole = async () => (await call(FULL_KEY, 'GET', `/v1/webhooks/${id}/secret`)).json<{ url: string }>().url
  const change = (fields: object) => call(FULL_KEY, 'PATCH', `/v1/webhooks/${id}`, fields)

  const view = (await call(FULL_KEY, 'GET', `/v1/webhooks/${id}`)).json<{ url: string; auth: object }>()
  t.equal(view.url, SHOWN)
  const same = await change({ url: view.url, auth: view.auth, description: 'new' })
  t.match(same.json(), { url: SHOWN, auth: { token: '********' }, description: 'new' })
  t.notOk('dropped' in same.json<object>())
  t.equal(await whole(), SECRET)

  for (const url of [
    'https://hooks.example.com/...zzzz',
    'https://other.example.com/...a1b2',
    'https://other.example.com/...',
  ]) {
    const refused = await change({ url })
    t.match(refused.json(), {
      status: 400,
      detail: 'url is masked, as URLs are shown, and not of the URL that this webhook has: send the whole URL',
      errors: [{ path: '/url' }],
    })
    const made = await call(FULL_KEY, 'POST', '/v1/webhooks', { url })
    t.match(made.json(), { status: 400, detail: /^url is masked, .* there is no URL to keep: send the whole URL$/ })
  }
  t.equal(await whole(), SECRET)
  t.match((await change({ url: `${SECRET}-2` })).json(), {
    url: 'https://hooks.example.com/...b2-2',
    auth: { token: '********' },
  })
  t.equal(await whole(), `${SECRET}-2`)
  t.match((await change({ url: 'https://other.example.com/' })).json(), {
    url: 'https://other.example.com/',
    dropped: ['auth'],
  })
})

t.test('the whole URL is at /secret for the scope admin alone, and who reads it is in the audit log', async (t) => {
  const { call, makeKey, entries } = await openTestApi(t)
  const { id } = (await call(FULL_KEY, 'POST', '/v1/webhooks', { url: SECRET })).json<{ id: string }>()
  const { key } = await makeKey({ scope: 'write' })
  t.equal((await call(key, 'GET', `/v1/webhooks/${id}/secret`)).statusCode, 403)
  t.match((await call(FULL_KEY, 'GET', `/v1/webhooks/${id}/secret`)).json(), { url: SECRET })
  t.match(await entries('action=webhook.secret_read'), [{ target: id }])
})

t.test('an entry of the audit log from before shows no path', async (t) => {
  const { call, database } = await openTestApi(t)
  const changes = { url: { before: SECRET, after: `${SECRET}?...` }, description: { after: 'text' } }
  await database.query(
    `insert into audit (id, at, actor, action, target, changes) values ($1, now(), 'API_KEYS', 'webhook.updated', 'x', $2)`,
    [`aud_${'0'.repeat(32)}`, JSON.stringify(changes)],
  )
  const shown = (await call(FULL_KEY, 'GET', '/v1/audit')).json<{ data: { changes: object }[] }>()
  t.same(shown.data[0]!.changes, {
    url: { before: SHOWN, after: 'https://hooks.example.com/...?...' },
    description: { after: 'text' },
  })
})

t.test('nothing that the process emits has the path or the query of a webhook', async (t) => {
  const lines: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })
  const exporter = new InMemorySpanExporter()
  const tracing = await startTracing({ log: createLogger('silent'), exporter })
  t.teardown(() => tracing.close())
  const app = await createTestApp(t, {}, log)
  // a server that does not know the path quotes it, as Express and nginx do
  const receiver = await createReceiver({ respond: ({ path }) => ({ status: 404, body: `Cannot POST ${path}` }) })
  t.teardown(() => receiver.close())
  const emitted: string[] = []
  const api = async (...request: Parameters<typeof app.api>) => {
    const answer = await app.api(...request)
    emitted.push(answer.body, JSON.stringify(answer.headers))
    return answer
  }
  const url = `${new URL(receiver.url).origin}${PATH}?token=planted-token`
  const made = await app.api('POST', '/v1/webhooks', { url, name: 'planted' })
  const { id } = made.json<{ id: string }>()
  const tested = await api('POST', `/v1/webhooks/${id}/test`)
  t.match(tested.json(), { attempts: [{ status_code: 404, response_body: 'Cannot POST ********' }] })
  t.equal(receiver.received[0]!.path, `${PATH}?token=planted-token`)
  await api('POST', `/v1/webhooks/${id}/preview`, {})
  const unreachable = `http://127.0.0.1:1${PATH}?token=planted-token`
  await api('PATCH', `/v1/webhooks/${id}`, { url: unreachable })
  t.match((await api('POST', `/v1/webhooks/${id}/test`)).json(), { attempts: [{ outcome: 'connection_failed' }] })
  for (const wrong of [
    `ftp://127.0.0.1${PATH}`,
    `https://a:b@127.0.0.1${PATH}`,
    `${url}#x`,
    PATH,
    `${url}${'x'.repeat(2048)}`,
  ]) {
    t.equal((await api('PATCH', `/v1/webhooks/${id}`, { url: wrong })).statusCode, 400)
    t.equal((await api('POST', '/v1/webhooks', { url: wrong })).statusCode, 400)
  }
  t.equal((await api('POST', '/v1/webhooks', { url, name: 'planted' })).statusCode, 409)
  t.equal((await api('PATCH', `/v1/webhooks/${id}`, { url, bogus: 1 })).statusCode, 400)
  const paths = ['webhooks', `webhooks/${id}`, `webhooks/${id}/deliveries`, 'events', 'deliveries', 'audit', 'topics']
  for (const path of paths) t.equal((await api('GET', `/v1/${path}`)).statusCode, 200, path)
  await api('DELETE', `/v1/webhooks/${id}`)
  t.equal((await api('GET', '/v1/audit')).statusCode, 200)
  const metrics = await app.http.inject({ url: '/metrics', headers: { authorization: `Bearer ${TEST_KEY}` } })
  t.equal(metrics.statusCode, 200)
  const spans = exporter
    .getFinishedSpans()
    .map(({ name, attributes, events, status }) => ({ name, attributes, events, status }))
  t.ok(
    spans.some(({ name }) => name === 'POST'),
    'the attempt has a span',
  )
  t.ok(lines.length > 0)
  for (const text of [...emitted, ...lines, metrics.body, JSON.stringify(spans)]) {
    t.notMatch(text, /planted-(path|token)|x9a1b2/)
  }
})

t.test(
  'a webhook for a topic that SNS_PUBLISH_TOPICS does not list is refused; one that is there can be changed',
  async (t) => {
    const { call, database } = await openTestApi(t)
    const allowed = 'arn:aws:sns:us-east-1:123456789012:out'
    const refusal = {
      status: 400,
      errors: [{ path: '/url', detail: /^is a topic that SNS_PUBLISH_TOPICS does not list: add it/ }],
    }
    const other = 'arn:aws:sns:us-east-1:123456789012:other'
    t.match((await call(FULL_KEY, 'POST', '/v1/webhooks', { url: other })).json(), refusal)
    const made = await call(FULL_KEY, 'POST', '/v1/webhooks', { url: allowed })
    t.match(made.json(), { url: allowed })
    const { id } = made.json<{ id: string }>()
    t.match((await call(FULL_KEY, 'PATCH', `/v1/webhooks/${id}`, { url: other })).json(), refusal)
    await database.query('update webhooks set url = $2, sealed_url = null where id = $1', [id, other])
    const kept = await call(FULL_KEY, 'PATCH', `/v1/webhooks/${id}`, { url: other, description: 'kept' })
    t.match(kept.json(), { url: other, description: 'kept' })
  },
)
