/** Keys that are bound to webhooks or topics: every operation of the document, and what is of others. */
import t, { type Test } from 'tap'
import type { ApiKey } from '../../src/core/access/api-key.js'
import { newId } from '../../src/core/platform/id.js'
import { createDocument } from '../../src/http.js'
import { DECISIONS } from '../../src/routes/bounds.js'
import { FULL_KEY, openTestApi, type Method } from '../helpers/api.js'

const OUR_TOPIC = 'arn:aws:sns:us-east-1:123456789012:ours_a.fifo'
const PATTERNS = ['arn:aws:sns:us-east-1:*:ours_*.fifo']
/** The last two would match if a `.` stood for any character, or a `*` for a colon. */
const OTHER_TOPICS = ['arn:aws:sns:us-east-1:123456789012:theirs', 'arn:aws:sns:us-east-1:123456789012:ours_a_fifo']

/** The operations whose path names a webhook. */
const NAMED = [
  ...['getWebhook', 'updateWebhook', 'deleteWebhook', 'testWebhook', 'previewWebhook', 'recoverWebhook'],
  ...['listRecoveries', 'listWebhookDeliveries', 'getWebhookSecret', 'rotateWebhookSecret', 'getWebhookPublicKey'],
]
const NARROWED = ['listWebhooks', 'listDeliveries', 'getDelivery', 'retryDelivery', 'getRecovery']

async function openBoundApi(t: Test) {
  const api = await openTestApi(t)
  const { call, database, makeKey } = api
  const addWebhook = async (name: string) => {
    const answer = await call(FULL_KEY, 'POST', '/v1/webhooks', { url: `https://${name}.example/hook`, name })
    return answer.json<{ id: string; secret: string }>()
  }
  const [ours, theirs] = [await addWebhook('ours'), await addWebhook('theirs')]
  /** Adds an event of a topic, and its delivery to a webhook, which is dead. */
  async function addDelivery(webhookId: string, topic: string | null) {
    const [event, delivery] = [newId('evt'), newId('dlv')]
    await database.query(
      `insert into events (id, type, topic_arn, payload, sent_at, received_at) values ($1, 'sns.notification', $2, '1', now(), now())`,
      [event, topic],
    )
    await database.query(
      `insert into deliveries (id, event_id, webhook_id, status, created_at, updated_at)
       values ($1, $2, $3, 'dead', now(), now())`,
      [delivery, event, webhookId],
    )
    return { event, delivery }
  }
  for (const arn of [OUR_TOPIC, ...OTHER_TOPICS]) {
    await database.query(
      `insert into topics (arn, status, created_at, updated_at) values ($1, 'confirmed', now(), now())`,
      [arn],
    )
  }
  const recover = async (id: string) => {
    const answer = await call(FULL_KEY, 'POST', `/v1/webhooks/${id}/recover`, { since: '2020-01-01T00:00:00Z' })
    return answer.json<{ id: string }>().id
  }
  return {
    ...api,
    ...{ ours, theirs, addDelivery, recover },
    toWebhook: (scope: 'read' | 'write' | 'admin') => makeKey({ scope, webhooks: [ours.id] }),
    toTopics: () => makeKey({ scope: 'read', topics: PATTERNS }),
  }
}

async function operations() {
  const { paths } = (await createDocument()) as { paths: Record<string, Record<string, { operationId: string }>> }
  return Object.entries(paths)
    .filter(([path]) => path.startsWith('/v1/') || path === '/metrics')
    .flatMap(([path, item]) =>
      Object.entries(item).map(([verb, { operationId }]) => ({
        ...{ operationId, path, method: verb.toUpperCase() as Method },
      })),
    )
}

t.test('every operation has a decision, and the table no other one', async (t) => {
  const documented = (await operations()).map(
    ({ method, path }) => `${method} ${path.replace(/\{(\w+)\}/g, (_, name: string) => `:${name}`)}`,
  )
  t.same([...DECISIONS.keys()].sort(), documented.sort())
})

t.test('a key bound to webhooks: each operation as is decided, with the scope admin too', async (t) => {
  const { call, toWebhook, ours, theirs, entries } = await openBoundApi(t)
  const { key } = await toWebhook('admin')
  const before = (await entries()).length
  for (const { operationId, method, path } of await operations()) {
    // needs to be told a webhook: see the next test
    if (operationId === 'retryDeliveries') continue
    const url = path.replace('{id}', path.startsWith('/v1/webhooks') ? theirs.id : 'x').replace('{arn}', OUR_TOPIC)
    const answer = await call(key, method, url)
    const name = `${operationId}: ${answer.statusCode}`
    if (NAMED.includes(operationId)) {
      t.equal(answer.statusCode, 404, name)
      const unknown = await call(key, method, url.replace(theirs.id, newId('wh')))
      t.equal(answer.body, unknown.body, `${name}: as one that is not known`)
    } else if (NARROWED.includes(operationId)) t.not(answer.statusCode, 403, name)
    else {
      t.equal(answer.statusCode, 403, name)
      t.match(answer.json(), { detail: /^This key is bound to webhooks: it may not ask for/ }, name)
    }
  }
  t.equal((await entries()).length, before, 'nothing was done')
  t.equal((await call(key, 'HEAD' as Method, `/v1/webhooks/${theirs.id}`)).statusCode, 404)
  t.equal((await call(key, 'HEAD' as Method, '/v1/events')).statusCode, 403)
  t.equal((await call(key, 'GET', `/v1/webhooks/${ours.id}/secret`)).json<{ secret: string }>().secret, ours.secret)
  const { key: reader } = await toWebhook('read')
  t.equal((await call(reader, 'GET', `/v1/webhooks/${ours.id}/secret`)).statusCode, 403, 'the scope counts as before')
  t.equal((await call(reader, 'PATCH', `/v1/webhooks/${ours.id}`, { name: 'new' })).statusCode, 403)
})

t.test('of two webhooks, nothing of the other is read or changed', async (t) => {
  const { call, toWebhook, ours, theirs, addDelivery, recover, database } = await openBoundApi(t)
  const { key } = await toWebhook('write')
  const [own, other] = [await addDelivery(ours.id, null), await addDelivery(theirs.id, null)]
  const [ownRecovery, otherRecovery] = [await recover(ours.id), await recover(theirs.id)]
  const ids = async (url: string) =>
    (await call(key, 'GET', url)).json<{ data: { id: string }[] }>().data.map(({ id }) => id)
  const status = async (method: Method, url: string, body?: object) => (await call(key, method, url, body)).statusCode

  t.same(await ids('/v1/webhooks'), [ours.id])
  t.same(await ids('/v1/webhooks?name=theirs'), [])
  t.same(await ids('/v1/deliveries'), [own.delivery])
  t.same(await ids(`/v1/deliveries?webhook_id=${theirs.id}`), [])
  t.same(await ids(`/v1/deliveries?event_id=${other.event}`), [])
  t.same(await ids(`/v1/webhooks/${ours.id}/deliveries`), [own.delivery])
  t.same(await ids(`/v1/webhooks/${ours.id}/recoveries`), [ownRecovery])

  t.equal(await status('GET', `/v1/deliveries/${own.delivery}`), 200)
  t.equal(await status('GET', `/v1/recoveries/${ownRecovery}`), 200)
  for (const [method, url, unknown] of [
    ['GET', `/v1/deliveries/${other.delivery}`, `/v1/deliveries/${newId('dlv')}`],
    ['POST', `/v1/deliveries/${other.delivery}/retry`, `/v1/deliveries/${newId('dlv')}/retry`],
    ['GET', `/v1/recoveries/${otherRecovery}`, `/v1/recoveries/${newId('rec')}`],
  ] as const) {
    const answer = await call(key, method, url)
    t.equal(answer.statusCode, 404, url)
    t.equal(answer.body, (await call(key, method, unknown)).body)
  }
  t.equal(await status('POST', `/v1/webhooks/${ours.id}/preview`, { event_id: other.event }), 404)
  t.notOk([403, 404].includes(await status('POST', `/v1/webhooks/${ours.id}/preview`, { event_id: own.event })))

  for (const body of [{}, { webhook_id: theirs.id }, { dry_run: true }]) {
    const answer = await call(key, 'POST', '/v1/deliveries/retry', body)
    t.equal(answer.statusCode, 403)
    t.match(answer.json(), { detail: 'This key is bound to webhooks: say in webhook_id which of them.' })
  }
  const { rows } = await database.query<{ status: string }>(`select distinct status from deliveries`)
  t.same(rows, [{ status: 'dead' }], 'none is retried')
  const retried = await call(key, 'POST', '/v1/deliveries/retry', { webhook_id: ours.id })
  t.match(retried.json(), { retried: 1 })
  t.equal(await status('POST', `/v1/deliveries/${own.delivery}/retry`), 202)
  t.match((await call(FULL_KEY, 'GET', `/v1/deliveries/${other.delivery}`)).json(), { status: 'dead' })

  t.equal(await status('PATCH', `/v1/webhooks/${ours.id}`, { name: 'renamed' }), 200)
  t.equal(await status('DELETE', `/v1/webhooks/${ours.id}`), 204)
  t.match((await call(FULL_KEY, 'GET', '/v1/webhooks')).json(), { data: [{ id: theirs.id, name: 'theirs' }] })
})

t.test('a key bound to topics sees these and their events', async (t) => {
  const { call, toTopics, theirs, addDelivery } = await openBoundApi(t)
  const { key } = await toTopics()
  const own = await addDelivery(theirs.id, OUR_TOPIC)
  const others = []
  for (const topic of [...OTHER_TOPICS, null]) others.push(await addDelivery(theirs.id, topic))
  const get = (url: string) => call(key, 'GET', url)
  t.same(
    (await get('/v1/topics')).json<{ data: { arn: string }[] }>().data.map(({ arn }) => arn),
    [OUR_TOPIC],
  )
  t.same(
    (await get('/v1/events')).json<{ data: { id: string }[] }>().data.map(({ id }) => id),
    [own.event],
  )
  t.same((await get(`/v1/events?topic_arn=${OTHER_TOPICS[0]}`)).json(), { data: [], next_cursor: null })
  t.equal((await get(`/v1/events/${own.event}`)).statusCode, 200)
  t.equal((await get(`/v1/topics/${OUR_TOPIC}`)).statusCode, 200)
  for (const { event } of others) t.equal((await get(`/v1/events/${event}`)).statusCode, 404)
  for (const arn of OTHER_TOPICS) t.equal((await get(`/v1/topics/${arn}`)).statusCode, 404)
  const open = ['listTopics', 'getTopic', 'listEvents', 'getEvent']
  for (const { operationId, method, path } of await operations()) {
    if (open.includes(operationId)) continue
    const url = path.replace('{id}', theirs.id).replace('{arn}', OUR_TOPIC)
    t.equal((await call(key, method, url)).statusCode, 403, operationId)
  }
})

t.test('bounds are shown, audited, and refused where they leave nothing', async (t) => {
  const { call, ours, toWebhook, toTopics, makeKey, entries } = await openBoundApi(t)
  const made = [await toWebhook('read'), await toTopics(), await makeKey({ scope: 'read' })]
  const bounds = [
    { webhooks: [ours.id], topics: null },
    { webhooks: null, topics: PATTERNS },
    { webhooks: null, topics: null },
  ]
  t.match(made, bounds)
  t.match((await call(FULL_KEY, 'GET', '/v1/keys')).json<{ data: ApiKey[] }>().data, bounds.reverse())
  t.match(await entries('action=key.created'), [{}, { changes: { topics: {} } }, { changes: { webhooks: {} } }])
  const many = Array.from({ length: 101 }, () => newId('wh'))
  const unknown = newId('wh')
  for (const [fields, path] of [
    [{ webhooks: [ours.id], topics: PATTERNS }, '/topics'],
    [{ webhooks: [] }, '/webhooks'],
    [{ webhooks: many }, '/webhooks'],
    [{ webhooks: ['x'] }, '/webhooks/0'],
    [{ webhooks: [ours.id, unknown] }, '/webhooks/1'],
    [{ webhooks: [ours.id], scope: 'ingest' }, '/webhooks'],
    [{ topics: [] }, '/topics'],
    [{ topics: ['*'] }, '/topics/0'],
    [{ topics: ['arn:aws:sns:s3:*:x'] }, '/topics/0'],
    [{ topics: PATTERNS, scope: 'ingest' }, '/topics'],
    [{ topics: PATTERNS, scope: 'write' }, '/topics'],
    [{ topics: PATTERNS, scope: 'admin' }, '/topics'],
  ] as const) {
    const answer = await call(FULL_KEY, 'POST', '/v1/keys', { name: 'x', scope: 'read', ...fields })
    t.equal(answer.statusCode, 400, JSON.stringify(fields).slice(0, 80))
    t.match(answer.json(), { errors: [{ path }] })
  }
})
