import t from 'tap'
import type { AuditEntry } from '../../src/core/access/audit.js'
import { AUDIT_KEPT_MS, deleteOldAuditEntries, insertAuditEntry } from '../../src/core/access/audit-store.js'
import { keepPending } from '../../src/core/sns/pending-store.js'
import type { Database, Queryable } from '../../src/core/platform/database.js'
import { HEALTHY } from '../../src/core/circuit/health.js'
import { createCircuitTransitions } from '../../src/core/circuit/transitions.js'
import { createSealer } from '../../src/core/platform/secrets.js'
import { createRegistry } from '../../src/core/webhook/registry.js'
import { startUpkeep } from '../../src/workers/upkeep.js'
import { FULL_KEY, openTestApi, type Method } from '../helpers/api.js'
import { log } from '../helpers/workers.js'

const ARN = 'arn:aws:sns:us-east-1:123456789012:alerts'
const UNKNOWN = '0'.repeat(32)

t.test('every change is recorded with its actor and the values before and after', async (t) => {
  const { call, makeKey, entries } = await openTestApi(t)
  const { key, id: actor } = await makeKey({ scope: 'admin', name: 'terraform', expires_at: '2999-01-01T00:00:00Z' })
  const make = { url: 'https://user.example.com/hook?token=hush', description: 'one' }
  const { id, secret } = (await call(key, 'POST', '/v1/webhooks', make)).json<{ id: string; secret: string }>()
  const change = { url: 'https://user.example.com/hook?token=other', description: 'two', timeout_ms: 5000 }
  await call(key, 'PATCH', `/v1/webhooks/${id}`, change)
  const rotated = (await call(key, 'POST', `/v1/webhooks/${id}/secret/rotate`)).json<{ secret: string }>()
  const recovery = await call(key, 'POST', `/v1/webhooks/${id}/recover`, { since: '2026-01-01T00:00:00Z' })
  t.equal(recovery.statusCode, 202)
  await call(FULL_KEY, 'DELETE', `/v1/webhooks/${id}`)
  const all = await entries()
  t.match(all, [
    { actor: 'API_KEYS', action: 'webhook.deleted', target: id, changes: { description: { before: 'two' } } },
    {
      ...{ actor, action: 'recovery.started', target: recovery.json<{ id: string }>().id },
      changes: { webhook_id: { after: id }, since: { after: '2026-01-01T00:00:00.000Z' }, until: { after: String } },
    },
    { actor, action: 'webhook.secret_rotated', target: id },
    { actor, action: 'webhook.updated', target: id },
    { actor, action: 'webhook.created', target: id },
    {
      ...{ actor: 'API_KEYS', action: 'key.created', target: actor },
      changes: {
        name: { after: 'terraform' },
        scope: { after: 'admin' },
        expires_at: { after: '2999-01-01T00:00:00.000Z' },
      },
    },
  ])
  for (const entry of all) t.match(entry, { id: /^aud_[0-9a-f]{32}$/, at: /^\d{4}-.*Z$/, address: '127.0.0.1' })
  const [, , rotation, update, creation] = all
  t.same(rotation!.changes, {})
  t.same(update!.changes, {
    url: { before: 'https://user.example.com/...hush', after: 'https://user.example.com/...ther' },
    description: { before: 'one', after: 'two' },
    timeout_ms: { before: 15000, after: 5000 },
  })
  t.match(creation!.changes, { url: { after: 'https://user.example.com/...hush' }, status: { after: 'enabled' } })
  t.notOk('id' in creation!.changes || 'created_at' in creation!.changes || 'secret' in creation!.changes)
  for (const hidden of [secret, rotated.secret, '/hook', 'token']) t.notMatch(JSON.stringify(all), hidden)
})

t.test('whoever reads a secret is recorded, and no answer of the API is kept by a cache', async (t) => {
  const { call, entries } = await openTestApi(t)
  const made = await call(FULL_KEY, 'POST', '/v1/webhooks', { url: 'https://example.com/hook' })
  const { id } = made.json<{ id: string }>()
  const read = await call(FULL_KEY, 'GET', `/v1/webhooks/${id}/secret`)
  t.match(await entries('action=webhook.secret_read'), [{ actor: 'API_KEYS', target: id, changes: {} }])
  for (const answer of [made, read]) t.equal(answer.headers['cache-control'], 'no-store')
})

t.test(
  'a key that is refused leaves a line and an entry; after ten of them its address waits, other keys do not',
  async (t) => {
    const { call, inject, lines, entries } = await openTestApi(t)
    t.equal((await call(FULL_KEY, 'GET', '/v1/webhooks')).statusCode, 200)
    for (let i = 0; i < 10; i++) t.equal((await call(`wrong-${i}`, 'GET', '/v1/webhooks')).statusCode, 401)
    const refused = await inject({ url: '/v1/webhooks', headers: { authorization: 'Bearer wrong-10' } }, { once: true })
    t.equal(refused.statusCode, 429)
    t.match(refused.json(), { type: 'urn:alert-relay:problem:too_many_requests', detail: /wait 1 s/ })
    t.equal(refused.headers['retry-after'], '1')
    t.equal((await inject({ url: '/v1/webhooks' })).statusCode, 401, 'no key is no wrong key')
    t.match(await entries('actor=unknown'), [{ action: 'key.refused', address: '127.0.0.1', target: null }])
    const told = lines.filter((line) => line.includes('"key refused"'))
    t.equal(told.length, 10)
    t.match(JSON.parse(told[0]!), { client: '127.0.0.1', method: 'GET', route: '/v1/webhooks', detail: /not known/ })
    t.notMatch(told.join(), 'wrong-1')
  },
)

t.test('approval and deletion of topics are recorded', async (t) => {
  const { call, database, entries } = await openTestApi(t)
  const subscribeUrl = `https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=${ARN}&Token=abc`
  t.match(await keepPending(database, { arn: ARN, subscribeUrl, now: new Date() }), { result: 'added', waiting: 1 })
  t.equal((await call(FULL_KEY, 'POST', `/v1/topics/${ARN}/approve`)).statusCode, 200)
  t.equal((await call(FULL_KEY, 'DELETE', `/v1/topics/${ARN}`)).statusCode, 204)
  t.match(await entries(), [
    { action: 'topic.deleted', target: ARN, changes: { status: { before: 'confirmed' } } },
    { action: 'topic.approved', target: ARN, changes: { status: { before: 'pending', after: 'confirmed' } } },
  ])
})

t.test('changes by the relay itself have the actor relay', async (t) => {
  const { call, database, entries } = await openTestApi(t)
  const url = 'https://example.com/hook'
  const { id } = (await call(FULL_KEY, 'POST', '/v1/webhooks', { url })).json<{ id: string }>()
  const notes = createCircuitTransitions({ database, log, disableAfterMs: 1000, random: () => 0 })
  const failure = { reason: 'rejected: status 410', gone: true, subject: 'receiver', resumeAt: null } as const
  const gone = { webhookId: id, health: HEALTHY, failure }
  await notes.record([gone])
  await notes.record([gone])
  t.match(await entries('actor=relay'), [
    {
      ...{ actor: 'relay', action: 'webhook.disabled', target: id },
      changes: {
        status: { before: 'enabled', after: 'disabled' },
        disabled_reason: { before: null, after: 'the receiver answered 410 Gone' },
      },
    },
  ])
  t.equal((await entries('actor=relay')).length, 1, 'once')
})

t.test('a request that is refused or changes nothing is not recorded', async (t) => {
  const { call, entries } = await openTestApi(t)
  for (const [method, url, body, status] of [
    ['POST', '/v1/webhooks', { url: 'nowhere' }, 400],
    ['PATCH', `/v1/webhooks/wh_${UNKNOWN}`, { description: 'x' }, 404],
    ['DELETE', `/v1/webhooks/wh_${UNKNOWN}`, undefined, 404],
    ['POST', `/v1/webhooks/wh_${UNKNOWN}/secret/rotate`, undefined, 404],
    ['POST', `/v1/webhooks/wh_${UNKNOWN}/recover`, { since: '2026-01-01T00:00:00Z' }, 404],
    ['POST', `/v1/deliveries/dlv_${UNKNOWN}/retry`, undefined, 404],
    ['POST', '/v1/deliveries/retry', {}, 202],
    ['POST', `/v1/events/evt_${UNKNOWN}/replay`, {}, 404],
    ['POST', `/v1/topics/${ARN}/approve`, undefined, 404],
    ['DELETE', `/v1/topics/${ARN}`, undefined, 404],
    ['PUT', '/v1/topics/alerts', undefined, 400],
    ['DELETE', `/v1/keys/key_${UNKNOWN}`, undefined, 404],
  ] as const) {
    t.equal((await call(FULL_KEY, method, url, body)).statusCode, status, `${method} ${url}`)
  }
  t.same(await entries(), [])
})

/** Wraps a database: statements that contain `broken()` fail. */
function breaking(database: Database, broken: () => string): Database {
  const on = <Q extends Queryable>(target: Q): Q => ({
    ...target,
    query: async <Row>(sql: string, params?: readonly unknown[]) => {
      if (sql.includes(broken())) throw new Error('the disk is full')
      return target.query<Row>(sql, params)
    },
  })
  return { ...on(database), transaction: (work) => database.transaction((tx) => work(on(tx))) }
}

t.test('an entry and its change are committed together: when either fails, neither is stored', async (t) => {
  const { call, startInstance, database, entries } = await openTestApi(t)
  const url = 'https://example.com/hook'
  const { id } = (await call(FULL_KEY, 'POST', '/v1/webhooks', { url })).json<{ id: string }>()
  const now = new Date()
  await database.query(
    `insert into events (id, type, payload, sent_at, received_at)
     values ($1, 'sns.notification', '"x"', $2, $2)`,
    [`evt_${UNKNOWN}`, now],
  )
  await database.query(
    `insert into deliveries (id, event_id, webhook_id, status, created_at, updated_at)
     values ($1, $2, $3, 'dead', $4, $4)`,
    [`dlv_${UNKNOWN}`, `evt_${UNKNOWN}`, id, now],
  )
  await keepPending(database, { arn: ARN, subscribeUrl: 'https://sns.us-east-1.amazonaws.com/', now })
  const { id: keyId } = (await call(FULL_KEY, 'POST', '/v1/keys', { name: 'x', scope: 'read' })).json<{ id: string }>()
  const before = await entries()
  const snapshot = async () =>
    Promise.all(
      ['webhooks', 'api_keys', 'topics', 'recoveries', 'deliveries'].map(
        async (table) => (await database.query(`select * from ${table} order by 1`)).rows,
      ),
    )
  const rows = await snapshot()
  const since = '2026-01-01T00:00:00Z'
  const changes: [Method, string, object | undefined, string][] = [
    ['POST', '/v1/webhooks', { url }, 'insert into webhooks'],
    ['PATCH', `/v1/webhooks/${id}`, { description: 'x' }, 'update webhooks'],
    ['DELETE', `/v1/webhooks/${id}`, undefined, 'delete from webhooks'],
    ['POST', `/v1/webhooks/${id}/secret/rotate`, undefined, 'update webhooks'],
    ['POST', `/v1/webhooks/${id}/recover`, { since }, 'insert into recoveries'],
    ['POST', `/v1/deliveries/dlv_${UNKNOWN}/retry`, undefined, 'update deliveries'],
    ['POST', '/v1/deliveries/retry', {}, 'update deliveries'],
    ['POST', `/v1/events/evt_${UNKNOWN}/replay`, { webhook_ids: [id] }, 'insert into deliveries'],
    ['DELETE', `/v1/topics/${ARN}`, undefined, 'delete from topics'],
    ['POST', '/v1/keys', { name: 'y', scope: 'read' }, 'insert into api_keys'],
    ['DELETE', `/v1/keys/${keyId}`, undefined, 'update api_keys'],
  ]
  let broken = ''
  const instance = await startInstance((database) => breaking(database, () => broken))
  for (const [method, path, body, statement] of changes) {
    for (broken of [statement, 'insert into audit']) {
      t.equal((await instance(FULL_KEY, method, path, body)).statusCode, 500, `${method} ${path} without ${broken}`)
    }
    t.same(await entries(), before, `${method} ${path} left no entry`)
    t.same(await snapshot(), rows, `${method} ${path} changed nothing`)
  }
  for (const [method, path, body] of changes.filter(([method]) => method !== 'DELETE')) {
    t.ok((await call(FULL_KEY, method, path, body)).statusCode < 300, `${method} ${path} works otherwise`)
  }
  t.match(
    (await entries()).map(({ action }) => action).slice(0, -before.length),
    [
      'key.created',
      'event.replayed',
      'delivery.retried',
      'recovery.started',
      'webhook.secret_rotated',
      'webhook.updated',
      'webhook.created',
    ],
    'a retry of many that finds none is no change',
  )
})

t.test('entries are filtered by actor, action, target and time, and listed in pages', async (t) => {
  const { database, call, entries } = await openTestApi(t)
  const day = (n: number) => new Date(Date.UTC(2026, 0, n))
  const write = (actor: string, action: AuditEntry['action'], target: string | null, at: Date) =>
    insertAuditEntry(database, { actor, action, target, changes: {} }, at)
  await write('first key', 'webhook.created', 'wh_1', day(1))
  await write('relay', 'webhook.disabled', 'wh_1', day(2))
  await write('first key', 'deliveries.retried', null, day(3))
  const days = async (query: string) => (await entries(query)).map(({ at }) => new Date(at).getUTCDate())
  t.same(await days(''), [3, 2, 1])
  t.same(await days('actor=first%20key'), [3, 1])
  t.same(await days('action=webhook.disabled'), [2])
  t.same(await days('target=wh_1'), [2, 1])
  t.same(await days('target=wh_1&actor=relay'), [2])
  t.same(await days(`since=${day(2).toISOString()}`), [3, 2])
  t.same(await days(`since=${day(2).toISOString()}&until=${day(3).toISOString()}`), [2])
  const page = (await call(FULL_KEY, 'GET', '/v1/audit?limit=2')).json<{ next_cursor: string }>()
  t.same(await days(`limit=2&cursor=${page.next_cursor}`), [1])
  for (const query of ['action=webhook.exploded', 'since=yesterday', 'actor=%00']) {
    t.equal((await call(FULL_KEY, 'GET', `/v1/audit?${query}`)).statusCode, 400, query)
  }
})

t.test('entries are kept for a year, and deleted in bounded batches, oldest first', async (t) => {
  const { database, entries } = await openTestApi(t)
  const now = Date.UTC(2027, 0, 1)
  for (const age of [AUDIT_KEPT_MS + 2, AUDIT_KEPT_MS + 1, AUDIT_KEPT_MS]) {
    const entry = { actor: 'relay', action: 'webhook.disabled', target: `${age}`, changes: {} } as const
    await insertAuditEntry(database, entry, new Date(now - age))
  }
  const before = new Date(now - AUDIT_KEPT_MS)
  t.equal(await deleteOldAuditEntries(database, before, 1), 1)
  t.match(await entries(), [{ target: `${AUDIT_KEPT_MS}` }, { target: `${AUDIT_KEPT_MS + 1}` }])
  const upkeep = startUpkeep({
    ...{ database, log, retentionDays: 30, intervalMs: 3_600_000, now: () => now },
    queues: { addDispatches: async () => {}, addWakes: async () => {} },
    registry: createRegistry({ database, sealer: createSealer(Buffer.alloc(32, 7)) }),
  })
  t.teardown(() => upkeep.close())
  await upkeep.runOnce()
  t.same(
    (await entries()).map(({ target }) => target),
    [`${AUDIT_KEPT_MS}`],
    'upkeep deletes them',
  )
})
