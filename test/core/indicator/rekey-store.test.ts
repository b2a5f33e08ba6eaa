/** Claims of earlier versions: rows without a kind, whose key is a digest of path and value. */
import t from 'tap'
import { contextKey } from '../../../src/core/alert/context.js'
import { stringifyJson, type JsonObject } from '../../../src/core/platform/json.js'
import { rekeyIndicators } from '../../../src/core/indicator/rekey-store.js'
import type { ReceivedRequest } from '../../helpers/receiver.js'
import { createTestWorkers, type TestWorkers } from '../../helpers/workers.js'

const NOW = new Date()
const daysAgo = (days: number) => new Date(NOW.getTime() - days * 86_400_000)

const change = (context: JsonObject) =>
  stringifyJson({ updated_alert: { id: 'a', context }, incoming_rule_matches_context: context, context_diff: {} })

const valuesOf = ({ json }: ReceivedRequest) =>
  (json as { indicators: { path: string; value: string }[] }).indicators.map(({ path, value }) => `${path}=${value}`)

interface OldClaim {
  path: string
  value: string
  eventId?: string
  sentAt?: Date
}

async function scene(workers: TestWorkers, within?: string) {
  const { database, publish, dispatch, addWebhook } = workers
  const added = await addWebhook(() => ({ status: 200 }), { once: { paths: 'indicators', within } })
  return {
    ...added,
    async claim({ path, value, eventId = 'evt_old', sentAt = NOW }: OldClaim) {
      const key = contextKey({ path: path.split('.'), value })
      const row = [added.webhook.id, key, path, stringifyJson(value), eventId, sentAt]
      await database.query(
        'insert into indicators (webhook_id, key, path, value, event_id, sent_at) values ($1, $2, $3, $4, $5, $6)',
        row,
      )
    },
    async send(context: JsonObject) {
      const event = await publish(change(context))
      await dispatch({ eventId: event.id })
      return event
    },
  }
}

t.test('what an earlier version sent is not sent again, at no path and in no spelling', async (t) => {
  const { receiver, claim, send } = await scene(await createTestWorkers(t))
  await claim({ path: 'url.domain', value: 'EVIL.example' })
  await claim({ path: 'related.ip', value: '2001:db8:0:0::1' })
  await claim({ path: 'file.hash.md5', value: 'ABCDEF0123456789ABCDEF0123456789' })
  await send({ url: { domain: ['EVIL.example'] }, related: { ip: ['2001:db8::1'], hosts: ['evil.example'] } })
  await send({ process: { hash: { md5: ['abcdef0123456789abcdef0123456789'] } } })
  await send({ dns: { question: { name: ['evil.example.', 'new.example'] } } })
  t.same(receiver.received.map(valuesOf), [['dns.question.name=new.example']])
  await claim({ path: 'url.domain', value: 'late.example' })
  await send({ related: { hosts: ['late.example'] } })
  t.equal(receiver.received.length, 1, 'a claim of an earlier version that still runs')
})

t.test('of several claims of one value the latest time counts', async (t) => {
  const workers = await createTestWorkers(t)
  const { receiver, claim, send } = await scene(workers, '30d')
  await claim({ path: 'url.domain', value: 'a.example', eventId: 'evt_1', sentAt: daysAgo(40) })
  await claim({ path: 'related.hosts', value: 'a.example', eventId: 'evt_2', sentAt: daysAgo(10) })
  await claim({ path: 'url.domain', value: 'b.example', eventId: 'evt_1', sentAt: daysAgo(40) })
  await claim({ path: 'related.hosts', value: 'b.example', eventId: 'evt_2', sentAt: daysAgo(35) })
  await send({ dns: { question: { name: ['a.example', 'b.example'] } } })
  t.same(receiver.received.map(valuesOf), [['dns.question.name=b.example']])
  await claim({ path: 'server.domain', value: 'a.example', eventId: 'evt_3', sentAt: daysAgo(1) })
  await send({ dns: { question: { name: ['c.example'] } } })
  await workers.database.query(`update indicators set sent_at = sent_at - interval '25 days'`)
  await send({ dns: { question: { name: ['a.example'] } } })
  t.equal(receiver.received.length, 2, 'a claim that came later counts too')
})

t.test(
  'an event that an earlier version began keeps the values of its body, and gives them back when it is dead',
  async (t) => {
    const workers = await createTestWorkers(t)
    const { webhook, receiver, claim, send } = await scene(workers)
    receiver.respond = () => ({ status: 500 })
    const context = { url: { domain: ['a.example'] }, related: { hosts: ['a.example'] } }
    const event = await send(context)
    await workers.database.query('delete from indicators')
    for (const path of ['url.domain', 'related.hosts']) await claim({ path, value: 'a.example', eventId: event.id })
    await send({ url: { domain: ['b.example'] } })
    for (let tries = 1; tries < 12; tries++) {
      await workers.makeDue()
      await workers.work(webhook.id)
    }
    const bodies = receiver.received.filter(({ id }) => id === event.id).slice(1)
    t.same(
      new Set(bodies.map((body) => String(valuesOf(body)))),
      new Set(['related.hosts=a.example,url.domain=a.example']),
    )
    t.match(await workers.deliveriesOf(event.id), [{ status: 'dead' }])
    receiver.respond = () => ({ status: 200 })
    const next = await send({ server: { domain: ['A.example'] } })
    await workers.makeDue()
    await workers.work(webhook.id)
    t.ok(receiver.received.some(({ id }) => id === next.id))
  },
)

t.test('many claims are rekeyed by two processes at once, each once', async (t) => {
  const workers = await createTestWorkers(t)
  const { webhook } = await scene(workers)
  const { database } = workers
  await database.query(
    `insert into indicators (webhook_id, key, path, value, event_id, sent_at)
     select $1, decode(md5(p || n), 'hex'), p, '"host-' || n || '"', 'evt_' || p || n, now() - n * interval '1 minute'
     from generate_series(1, 2500) n, unnest(array['url.domain', 'related.hosts']) p`,
    [webhook.id],
  )
  await Promise.all([1, 2].map(() => rekeyIndicators(database, webhook.id)))
  const { rows } = await database.query<{ kind: string; count: bigint }>(
    'select kind, count(*) from indicators group by kind order by kind',
  )
  t.same(rows, [
    { kind: 'domain', count: 2500n },
    { kind: 'path', count: 2500n },
  ])
})
