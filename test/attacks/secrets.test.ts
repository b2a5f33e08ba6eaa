/** Secrets planted wherever a user can put one, sought in everything that the relay emits while deliveries fail. */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { reportCount } from '../helpers/attacks.js'
import { deliveriesOnce, publisherFor, relayFor, wereTried } from '../helpers/end-to-end.js'
import { createReceiver } from '../helpers/receiver.js'
import { certificate } from '../helpers/tls.js'
import { until } from '../helpers/until.js'

const CLI = join(import.meta.dirname, '../../src/cli.js')
const planted = new Map<string, string>()
/** A secret that is nowhere else. */
function plant(place: string, text = `planted${randomBytes(12).toString('hex')}`): string {
  planted.set(place, text)
  return text
}

/** A server that keeps what it is sent: the collector of spans. */
async function collector(t: Test) {
  const bodies: string[] = []
  const server = createServer(async (request, response) => {
    for await (const chunk of request) bodies.push(String(chunk))
    response.end('{}')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, bodies }
}

function emittedBy(emitted: [source: string, text: string][], place: string): string[] {
  const secret = planted.get(place)!
  // as it is, and as a header or URL has it
  const forms = [secret, Buffer.from(secret).toString('base64').replace(/=+$/, ''), encodeURIComponent(secret)]
  return emitted.filter(([, text]) => forms.some((form) => text.includes(form))).map(([source]) => source)
}

t.test('no secret that a user gave is in anything that the relay emits', async (t) => {
  const spans = await collector(t)
  const publisher = await publisherFor(t)
  const relay = await relayFor(t, publisher, {
    API_KEYS: plant('API_KEYS', `a-key-${randomBytes(24).toString('hex')}`),
    ENCRYPTION_KEY: plant('ENCRYPTION_KEY', randomBytes(32).toString('base64')),
    OTEL_EXPORTER_OTLP_ENDPOINT: spans.url,
    LOG_LEVEL: 'trace',
  })
  const emitted: [string, string][] = []
  // on a busy machine the relay may see pressure
  const api = <T = Record<string, unknown>>(method: string, path: string, body?: unknown) =>
    until(
      () => relay.api<T>(method, path, body),
      ({ status }) => status !== 503,
    )
  // it echoes what it was sent, as a debugging receiver does
  const receiver = await createReceiver({
    respond: ({ headers, body, path }) => ({
      status: 400,
      body: JSON.stringify({ headers, path }) + body.slice(0, 200),
    }),
  })
  t.teardown(() => receiver.close())
  const client = await certificate('client')
  plant('client key', client.key.split('\n')[2]!)
  const url = (capability: string) => `http://127.0.0.1:${receiver.port}/hook/${capability}`
  const secret = `whsec_${plant('signing secret', randomBytes(32).toString('base64'))}`
  const webhooks: Record<string, unknown>[] = [
    { url: url('a'), secret, headers: { 'x-token': plant('header') } },
    { url: url('b'), auth: { type: 'bearer', token: plant('bearer token') } },
    { url: url('c'), auth: { type: 'basic', username: 'user', password: plant('basic password') } },
    {
      url: url('d'),
      auth: { type: 'oauth2', token_url: receiver.url, client_id: 'relay', client_secret: plant('client secret') },
    },
    {
      url: url('e'),
      auth: {
        ...{ type: 'oauth2', token_url: receiver.url, client_id: 'relay', client_auth: 'body' },
        client_secret: plant('client secret in a body'),
      },
    },
    {
      url: `https://127.0.0.1:${receiver.port}/f`,
      tls: { client_cert: client.cert, client_key: client.key },
    },
    {
      url: url('g'),
      format: 'pagerduty',
      format_options: { routing_key: plant('routing key', randomBytes(16).toString('hex')) },
    },
    { url: url(plant('capability path')) + `?token=${plant('capability query')}` },
  ]
  const ids: string[] = []
  for (const webhook of webhooks) {
    const { status, body } = await api('POST', '/v1/webhooks', webhook)
    t.equal(status, 201, JSON.stringify(body))
    ids.push(String(body.id))
    // only the answer that makes a webhook has its signing secret and its whole URL
    emitted.push(['the answer that makes it', JSON.stringify({ ...body, secret: null, url: null })])
  }
  const message = publisher.notification({ message: 'to all of them' })
  const taken = await until(
    () => relay.sns(message),
    ({ status }) => status !== 503,
  )
  t.equal(taken.status, 200)
  await deliveriesOnce(relay, '/v1/deliveries', (all) => all.length >= webhooks.length && wereTried(all))
  for (const id of ids) {
    const wrong = { headers: { 'bad header': planted.get('header') }, auth: { type: 'bearer', token: ['x'] } }
    for (const [method, path, body] of [
      ['POST', 'test', undefined],
      ['POST', 'preview', {}],
      ['GET', 'public-key', undefined],
      ['GET', 'deliveries', undefined],
    ] as const) {
      const answer = await api(method, `/v1/webhooks/${id}/${path}`, body)
      emitted.push([`${method} ${path}`, JSON.stringify(answer.body)])
    }
    emitted.push(['GET webhook', JSON.stringify((await api('GET', `/v1/webhooks/${id}`)).body)])
    const problem = await api('PATCH', `/v1/webhooks/${id}`, { ...wrong, name: 'x' })
    t.equal(problem.status, 400)
    emitted.push(['a problem', JSON.stringify(problem.body)])
    await api('PATCH', `/v1/webhooks/${id}`, { name: `renamed ${id}` })
  }
  const key = planted.get('API_KEYS')!
  const made = await api('POST', '/v1/keys', { name: 'a key', scope: 'read' })
  plant('a made key', String(made.body.key).split('_').slice(2).join('_'))
  const authorization = `Bearer ${String(made.body.key)}`
  t.equal((await fetch(`${relay.url}/v1/webhooks`, { headers: { authorization } })).status, 200)
  await fetch(`${relay.url}/v1/webhooks`, { headers: { authorization: `Bearer ${plant('a wrong key')}` } })
  const lists = ['webhooks', 'deliveries', 'events', 'alerts', 'keys', 'audit', 'sources', 'topics'].map(
    (name) => `/v1/${name}?limit=200`,
  )
  const { data } = (await api<{ data: { id: string }[] }>('GET', '/v1/deliveries?limit=200')).body
  for (const path of [
    ...lists,
    '/metrics',
    '/readyz',
    '/openapi.json',
    ...data.map(({ id }) => `/v1/deliveries/${id}`),
  ]) {
    const headers = { authorization: `Bearer ${key}` }
    const answer = await until(
      () => fetch(relay.url + path, { headers }),
      ({ status }) => status !== 503,
    )
    emitted.push([path, await answer.text()])
  }
  const env = { PATH: process.env.PATH, API_KEYS: key }
  const exported = await until(
    async () => spawnSync(process.execPath, [CLI, 'export', '--url', relay.url], { env }),
    ({ status }) => status === 0,
  )
  t.equal(exported.status, 0, String(exported.stderr))
  emitted.push(['export', `${String(exported.stdout)}${String(exported.stderr)}`])
  t.equal(await relay.stop(), 0)
  emitted.push(['its output', relay.lines.join('\n')], ['its spans', spans.bodies.join('\n')])
  t.match(emitted.at(-1)![1], 'resourceSpans', 'spans were sent')
  t.match(emitted.at(-2)![1], /"msg":"attempt"|"msg":"dispatched"/, 'attempts were logged')

  for (const place of planted.keys()) t.same(emittedBy(emitted, place), [], place)
  const bytes = emitted.reduce((sum, [, text]) => sum + text.length, 0)
  reportCount(t, planted.size, `secrets sought in ${emitted.length} places, ${bytes.toLocaleString('en')} characters`)
})

t.test('the passwords in DATABASE_URL and REDIS_URL are in no error at the start', async (t) => {
  const password = `planted${randomBytes(12).toString('hex')}`
  const database = `postgres://user:${password}@127.0.0.1:1/relay`
  for (const settings of [
    { DATABASE_URL: database },
    { DATABASE_URL: `postgres://user:${password}@[bad` },
    { DATABASE_URL: database, REDIS_URL: `redis://:${password}@127.0.0.1:1` },
    { DATABASE_URL: database, REDIS_URL: `http://:${password}@127.0.0.1` },
    { ENCRYPTION_KEY: password },
    { API_KEYS: `${password},short` },
  ] as Record<string, string>[]) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, 'serve'], {
      env: { PATH: process.env.PATH, PORT: '0', DATA_DIR: t.testdir({}), ...settings },
      timeout: 60_000,
    })
    t.not(status, 0, `${Object.keys(settings).join(', ')} is refused`)
    t.ok(String(stderr).length + String(stdout).length > 0)
    t.notMatch(String(stdout) + String(stderr), password, Object.keys(settings).join(', '))
  }
})
