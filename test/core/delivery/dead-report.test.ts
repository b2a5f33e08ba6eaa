import { pino } from 'pino'
import t from 'tap'
import { sendTest } from '../../../src/core/delivery/test-delivery.js'
import { findEvent } from '../../../src/core/event/event-store.js'
import { newId } from '../../../src/core/platform/id.js'
import { deleteWebhook, findTarget } from '../../../src/core/webhook/webhook-store.js'
import { createTestWorkers, publishMany } from '../../helpers/workers.js'

const down = () => ({ status: 500 })
const ok = () => ({ status: 200 })
/** The first attempt is the last. */
const fields = { retry_schedule_s: [], event_types: ['sns.notification' as const] }
const MINUTE_MS = 60_000

interface DeadNotice {
  webhook: { id: string; name: string }
  deliveries: { count: number; first: { delivery_id: string; event_id: string }[] }
  relay: { type: string }
}

t.test('dead deliveries', async (t) => {
  const lines: Record<string, unknown>[] = []
  const log = pino(
    { level: 'info' },
    { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[0]) },
  )
  const workers = await createTestWorkers(t, { log })
  const { database, dispatches, dispatch, addWebhook, deliveriesOf, runUpkeep, metrics, sealer, deliver } = workers
  /** Runs upkeep, some minutes from now, and dispatches the notices that it stored. */
  const tell = async (minutes = 0) => {
    dispatches.length = 0
    await runUpkeep(() => Date.now() + minutes * MINUTE_MS)
    for (const eventId of [...new Set(dispatches)]) if (await findEvent(database, eventId)) await dispatch({ eventId })
  }
  const forget = async () => {
    lines.length = 0
    await database.query('delete from undispatched')
    const { rows } = await database.query<{ id: string }>('select id from webhooks')
    for (const { id } of rows) await deleteWebhook(database, id)
  }
  const die = (count: number) =>
    publishMany(
      workers,
      Array.from({ length: count }, () => 'text'),
    )

  await t.test(
    'a notice names the webhook, how many died and the first of them; the webhook itself gets none',
    async (t) => {
      const operators = await addWebhook(ok, { event_types: ['delivery.dead'] })
      const plain = await addWebhook(ok)
      const failing = await addWebhook(down, {
        ...fields,
        name: 'soar',
        event_types: ['sns.notification', 'delivery.dead'],
      })
      const [eventId] = await die(3)
      const [delivery] = (await deliveriesOf(eventId!)).filter(({ webhook_id: id }) => id === failing.webhook.id)
      t.equal(delivery!.status, 'dead')
      await tell()
      const notices = operators.receiver.received.map(({ json }) => json as DeadNotice)
      t.equal(notices.length, 1)
      t.match(notices[0], {
        webhook: { id: failing.webhook.id, name: 'soar', health: 'healthy' },
        deliveries: {
          count: 3,
          first: [
            {
              delivery_id: delivery!.id,
              event_id: eventId,
              event_type: 'sns.notification',
              attempts: 1,
              reason: '1 attempts failed, the last one: rejected',
              last_failure: 'rejected: status 500',
            },
            { event_type: 'sns.notification' },
            { event_type: 'sns.notification' },
          ],
        },
        relay: { type: 'delivery.dead', topic_arn: null },
      })
      t.notMatch(JSON.stringify(notices), failing.receiver.url, 'without its URL')
      t.equal(failing.receiver.received.length, 3, 'no notice about itself')
      t.equal(plain.receiver.received.length, 3, 'an empty selection selects no notices')
      const warnings = lines.filter(({ msg }) => msg === 'delivery is dead')
      t.equal(warnings.length, 3)
      t.match(warnings[0], {
        ...{ level: 40, delivery_id: delivery!.id, event_id: eventId, webhook_id: failing.webhook.id, webhook: 'soar' },
        ...{ attempts: 1, reason: /^1 attempts failed/, last_failure: 'rejected: status 500' },
      })
      const scrape = await metrics.scrape()
      t.match(scrape, `alert_relay_deliveries_dead_total{webhook_id="${failing.webhook.id}",webhook="soar"} 3`)
      t.match(scrape, 'alert_relay_events_total{type="delivery.dead",source="relay"} 1')
      await forget()
    },
  )

  await t.test('when many die there is one notice a minute; it counts those since the last one', async (t) => {
    const operators = await addWebhook(ok, { event_types: ['delivery.dead'] })
    await addWebhook(down, { ...fields, max_in_flight: 1 })
    const { webhook } = await addWebhook(down, fields)
    const counts = () =>
      operators.receiver.received
        .map(({ json }) => json as DeadNotice)
        .filter((notice) => notice.webhook.id === webhook.id)
        .map(({ deliveries: { count, first } }) => [count, first.length])
    await die(1)
    await tell()
    await database.query(`update delivery_queues set health = 'healthy', failures = 0`)
    for (let i = 0; i < 4; i++) {
      await die(3)
      // the circuit would open after five failures
      await database.query(`update delivery_queues set health = 'healthy', failures = 0`)
      await database.query(`update registry set health_version = health_version + 1`)
    }
    await tell()
    t.same(counts(), [[1, 1]], 'within the minute there is no second')
    await tell(1)
    t.same(counts(), [
      [1, 1],
      [12, 10],
    ])
    await tell(3)
    t.equal(counts().length, 2, 'without another death there is no third')
    await forget()
  })

  await t.test('two processes make one notice', async (t) => {
    const { webhook } = await addWebhook(down, fields)
    await die(1)
    await Promise.all([runUpkeep(), runUpkeep(), runUpkeep()])
    const { rows } = await database.query<{ count: bigint }>(
      `select count(*) from events where type = 'delivery.dead' and webhook_id = $1`,
      [webhook.id],
    )
    t.equal(Number(rows[0]!.count), 1)
    await forget()
  })

  await t.test(
    'a notice of dead deliveries that dies makes no other: two that are down do not tell of each other',
    async (t) => {
      const both = { ...fields, event_types: ['sns.notification' as const, 'delivery.dead' as const] }
      const [one, other] = [await addWebhook(down, both), await addWebhook(down, both)]
      await die(1)
      const typesOf = ({ receiver }: typeof one) => receiver.received.map(({ json }) => (json as DeadNotice).relay.type)
      for (const minutes of [0, 2, 4, 6]) await tell(minutes)
      for (const webhook of [one, other]) t.same(typesOf(webhook), ['sns.notification', 'delivery.dead'])
      await forget()
    },
  )

  await t.test('what was retried before, what was a test, and what a deleted webhook had is not told', async (t) => {
    const operators = await addWebhook(ok, { event_types: ['delivery.dead'] })
    const { webhook, receiver } = await addWebhook(down, fields)
    const target = (await findTarget(database, sealer, webhook.id))!
    t.match(await sendTest({ database, deliver, log }, target, newId('dlv')), {
      status: 'dead',
      reason: /^1 attempts failed/,
    })
    await die(1)
    await database.query(`update deliveries set status = 'succeeded', next_attempt_at = null where webhook_id = $1`, [
      webhook.id,
    ])
    await tell()
    await die(1)
    await deleteWebhook(database, webhook.id)
    await tell(2)
    t.equal(receiver.received.length, 3)
    t.same(operators.receiver.received, [])
    t.same((await database.query('select from unreported_dead')).rowCount, 0)
    await forget()
  })
})
