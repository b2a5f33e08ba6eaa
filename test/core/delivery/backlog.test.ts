import t from 'tap'
import { readBacklog } from '../../../src/core/delivery/backlog.js'
import { MAX_WEBHOOKS } from '../../../src/core/platform/webhook-metrics.js'
import { deleteWebhook } from '../../../src/core/webhook/webhook-store.js'
import { editWebhook } from '../../helpers/queue-process.js'
import { createTestWorkers } from '../../helpers/workers.js'

const ok = () => ({ status: 200 })
const queues = { counts: async () => [] }

t.test('the backlog is read of each webhook, with its state and who disabled it', async (t) => {
  const { database, addWebhook, publish, dispatch } = await createTestWorkers(t)
  const states = async () => (await readBacklog(database, queues, new Date())).byWebhook
  t.same(await states(), { listed: [], others: undefined })
  const [soar, siem, chat, gone] = [
    await addWebhook(ok, { name: 'soar', max_in_flight: 1 }),
    await addWebhook(ok, { name: 'siem' }),
    await addWebhook(ok),
    await addWebhook(ok),
  ]
  for (let i = 0; i < 3; i++) await dispatch({ eventId: (await publish('text')).id })
  const disabled = { status: 'disabled', disabled_reason: 'the receiver answered 410 Gone' }
  await editWebhook(database, siem.webhook.id, disabled)
  await editWebhook(database, chat.webhook.id, { ...disabled, disabled_reason: 'disabled by an operator' })
  await deleteWebhook(database, gone.webhook.id)
  t.same(await states(), {
    listed: [
      { id: soar.webhook.id, name: 'soar', state: 'healthy', waiting: 3 },
      { id: siem.webhook.id, name: 'siem', state: 'disabled', waiting: 0 },
      { id: chat.webhook.id, name: null, state: 'disabled_by_operator', waiting: 0 },
    ],
    others: undefined,
  })
})

t.test(`beyond ${MAX_WEBHOOKS} webhooks the rest is read as one`, async (t) => {
  const { database, addWebhook } = await createTestWorkers(t)
  const { webhook } = await addWebhook(ok)
  const columns = 'url, description, status, event_types, topics, timeout_ms, secrets, format, max_body_bytes'
  await database.query(
    `insert into webhooks (id, ${columns}) select 'wh_z' || lpad(n::text, 4, '0'), ${columns}
     from webhooks, generate_series(1, ${MAX_WEBHOOKS + 4}) n`,
  )
  await database.query(
    `insert into delivery_queues (webhook_id, health)
     select id, case when id like '%0504' then 'failing' else 'healthy' end from webhooks on conflict do nothing`,
  )
  await database.query(
    `with event as (
       insert into events (id, type, payload, sent_at, received_at) values ('evt_1', 'sns.notification', '1', now(), now())
       returning id
     )
     insert into deliveries (id, event_id, webhook_id, status, next_attempt_at, created_at, updated_at)
     select 'dlv_' || w.id, event.id, w.id, 'pending', now(), now(), now() from event, webhooks w`,
  )
  const { listed, others } = (await readBacklog(database, queues, new Date())).byWebhook
  t.equal(listed.length, MAX_WEBHOOKS)
  t.equal(listed[0]!.id, webhook.id, 'the oldest')
  t.ok(listed.every(({ waiting }) => waiting === 1))
  t.same(others, { states: { healthy: 4, failing: 1 }, waiting: 5 })
})
