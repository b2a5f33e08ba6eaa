/**
 * The adapters of `npm run bench -- peers` against a server that knows the requests which each peer documents, and refuses all
 * others: every receiver gets each published message once, and nothing of a measurement is left.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { markedNumber, markedText } from '../../bench/message.js'
import { configuredPeers } from '../../bench/peers/configured.js'
import type { Publishing, Target } from '../../bench/peers/target.js'

const RECEIVERS = ['http://127.0.0.1:1/a', 'http://127.0.0.1:2/b']

type Json = Record<string, unknown>
interface Call {
  /** The method and the path, with the id of what was made as `:id`. */
  request: string
  authorization: string | undefined
  body: Json | undefined
}
type Documented = Record<string, [status: number, answer?: Json]>

async function fakePeer(t: Test, documented: Documented) {
  const calls: Call[] = []
  const server = createServer((request: IncomingMessage, response) => {
    void text(request).then((sent) => {
      const path = request.url!.replace(/bench-[0-9a-f-]{36}|(?<=\/)[0-9a-f]{8}-[0-9a-f-]{27}/g, ':id')
      const call = `${request.method} ${path}`
      calls.push({
        request: call,
        authorization: request.headers.authorization,
        body: sent === '' ? undefined : (JSON.parse(sent) as Json),
      })
      const [status, answer] = documented[call] ?? [404, { error: 'not documented' }]
      response.writeHead(status, { 'content-type': 'application/json' }).end(answer && JSON.stringify(answer))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls }
}

async function publish({ url, headers, before, after }: Publishing, message: string): Promise<number> {
  const body = before + message + after
  const answer = await fetch(url, { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body })
  await answer.text()
  return answer.status
}

/** Prepares, publishes one message and removes. @returns what the peer was asked in each part */
async function run(peer: Target, calls: Call[]) {
  const { publishing, remove } = await peer.prepare(RECEIVERS)
  const prepared = calls.splice(0)
  const status = await publish(publishing, '{"number":1}')
  const published = calls.splice(0)
  await remove()
  return { prepared, status, published, removed: calls.splice(0).map(({ request }) => request) }
}

const only = (environment: Record<string, string>): Target => configuredPeers(environment).peers[0]!

t.test('Svix: an application with its endpoints', async (t) => {
  const { origin, calls } = await fakePeer(t, {
    'POST /api/v1/app': [201, { id: 'app_1' }],
    'POST /api/v1/app/app_1/endpoint': [201, { id: 'ep_1' }],
    'POST /api/v1/app/app_1/msg?with_content=false': [202, { id: 'msg_1' }],
    'DELETE /api/v1/app/app_1': [204],
  })
  const made = await run(only({ PEER_SVIX_URL: `${origin}/`, PEER_SVIX_TOKEN: 'secret' }), calls)
  t.same(
    made.prepared.map(({ body }) => body),
    [{ name: 'bench' }, { url: RECEIVERS[0] }, { url: RECEIVERS[1] }],
  )
  t.equal(made.status, 202)
  t.same(made.published[0]!.body, { eventType: 'alert.updated', payload: { number: 1 } })
  t.same(made.removed, ['DELETE /api/v1/app/app_1'])
  t.ok([...made.prepared, ...made.published].every(({ authorization }) => authorization === 'Bearer secret'))
})

t.test('Outpost: a tenant with its destinations', async (t) => {
  const { origin, calls } = await fakePeer(t, {
    'PUT /api/v1/tenants/:id': [201, { id: 'bench' }],
    'POST /api/v1/tenants/:id/destinations': [201, { id: 'des_1' }],
    'POST /api/v1/publish': [202, { id: 'evt_1' }],
    'DELETE /api/v1/tenants/:id': [200, { success: true }],
  })
  const made = await run(only({ PEER_OUTPOST_URL: origin, PEER_OUTPOST_TOKEN: 'secret' }), calls)
  t.same(
    made.prepared.slice(1).map(({ body }) => body),
    RECEIVERS.map((url) => ({ type: 'webhook', topics: '*', config: { url } })),
  )
  t.equal(made.status, 202)
  t.match(made.published[0]!.body, { tenant_id: /^bench-/, topic: 'alert.updated', data: { number: 1 } })
  t.same(made.removed, ['DELETE /api/v1/tenants/:id'])
  t.ok([...made.prepared, ...made.published].every(({ authorization }) => authorization === 'Bearer secret'))
})

t.test('WebhookX: endpoints of an event type, and a source on the ingest address', async (t) => {
  const admin = await fakePeer(t, {
    'POST /workspaces/default/endpoints': [201, { id: 'e1' }],
    'POST /workspaces/default/sources': [201, { id: 's1' }],
    'DELETE /workspaces/default/endpoints/e1': [204],
    'DELETE /workspaces/default/sources/s1': [204],
  })
  const ingest = await fakePeer(t, { 'POST /bench/:id': [200, { message: 'OK' }] })
  const peer = only({ PEER_WEBHOOKX_URL: admin.origin, PEER_WEBHOOKX_INGEST_URL: ingest.origin })
  const made = await run(peer, admin.calls)
  const [first, second, source] = made.prepared.map(({ body }) => body as Json)
  const [probe, published] = ingest.calls
  const { event_type: type, data } = published!.body!
  t.equal(made.status, 200)
  t.same(probe!.body, {})
  t.same(data, { number: 1 })
  t.same(
    [first, second],
    RECEIVERS.map((url) => ({ events: [type], request: { url, method: 'POST' } })),
  )
  t.match(source, { type: 'http', config: { http: { path: /^\/bench\//, methods: ['POST'] } } })
  const endpoint = 'DELETE /workspaces/default/endpoints/e1'
  t.same(made.removed, [endpoint, endpoint, 'DELETE /workspaces/default/sources/s1'])
})

t.test('Convoy: endpoints and subscriptions of one owner', async (t) => {
  const root = '/api/v1/projects/p1'
  const made = (uid: string): [number, Json] => [201, { status: true, message: '', data: { uid } }]
  const { origin, calls } = await fakePeer(t, {
    [`POST ${root}/endpoints`]: made('e1'),
    [`POST ${root}/subscriptions`]: made('s1'),
    [`POST ${root}/events/fanout`]: [201, { status: true }],
    [`DELETE ${root}/endpoints/e1`]: [200, { status: true }],
  })
  const variables = { PEER_CONVOY_URL: origin, PEER_CONVOY_TOKEN: 'secret', PEER_CONVOY_PROJECT: 'p1' }
  const { prepared, status, published, removed } = await run(only(variables), calls)
  const owner = published[0]!.body!.owner_id
  t.equal(status, 201)
  t.same(published[0]!.body, { owner_id: owner, event_type: 'alert.updated', data: { number: 1 } })
  t.match(
    prepared.map(({ body }) => body),
    RECEIVERS.flatMap((url) => [
      { url, owner_id: owner, name: String },
      { endpoint_id: 'e1', name: String },
    ]),
  )
  t.same(removed, [`DELETE ${root}/endpoints/e1`, `DELETE ${root}/endpoints/e1`])
  t.ok([...prepared, ...published].every(({ authorization }) => authorization === 'Bearer secret'))
})

t.test('a peer that refuses is named with what it said', async (t) => {
  const { origin } = await fakePeer(t, { 'POST /api/v1/app': [401, { code: 'authentication_failed' }] })
  const peer = only({ PEER_SVIX_URL: origin, PEER_SVIX_TOKEN: 'wrong' })
  await t.rejects(peer.prepare(RECEIVERS), { message: /svix: POST \/api\/v1\/app: 401 .*authentication_failed/ })
})

t.test('a peer without its address is left out, and the line names the variables', async (t) => {
  const { peers, left } = configuredPeers({ PEER_OUTPOST_URL: 'http://x', PEER_OUTPOST_TOKEN: 'y', PEER_SVIX_URL: 'z' })
  t.same(
    peers.map(({ name }) => name),
    ['Outpost'],
  )
  t.same(left, [
    'Svix is left out: set PEER_SVIX_TOKEN',
    'WebhookX is left out: set PEER_WEBHOOKX_URL and PEER_WEBHOOKX_INGEST_URL',
    'Convoy is left out: set PEER_CONVOY_URL and PEER_CONVOY_TOKEN and PEER_CONVOY_PROJECT',
  ])
})

t.test('a marked message has its size whatever its number, and its mark is found in what is made of it', async (t) => {
  for (const number of [0, 7, 123_456]) {
    const message = markedText('run-1-', number)
    t.equal(message.length, 2500)
    const made = JSON.stringify({ type: 'alert.updated', data: JSON.parse(message) as Json })
    t.equal(markedNumber('run-1-', made), number)
    t.equal(markedNumber('run-2-', made), undefined)
  }
})
