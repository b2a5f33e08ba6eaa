import t from 'tap'
import { HEALTHY, type HealthState } from '../../../src/core/circuit/health.js'
import { createCircuitTransitions, type WebhookOutcome } from '../../../src/core/circuit/transitions.js'
import { findEvent } from '../../../src/core/event/event-store.js'
import { deleteWebhook } from '../../../src/core/webhook/webhook-store.js'
import { editWebhook, readHealth } from '../../helpers/queue-process.js'
import { createTestWorkers, log } from '../../helpers/workers.js'

const DISABLE_AFTER_MS = 5 * 86_400_000
const ok = () => ({ status: 200 })

function outcome(webhookId: string, result: 'ok' | 'failed' | 'gone', state: HealthState = 'healthy'): WebhookOutcome {
  const failure = {
    reason: result === 'gone' ? 'rejected: status 410' : 'rejected: status 500',
    gone: result === 'gone',
    subject: 'receiver' as const,
    resumeAt: null,
  }
  return { webhookId, health: { ...HEALTHY, state }, failure: result === 'ok' ? null : failure }
}

t.test('the circuit breaker', async (t) => {
  const workers = await createTestWorkers(t)
  const { database, registry, publish, addWebhook, dispatch, work, makeDue, dispatches } = workers
  const typesOf = async (ids: readonly string[]) =>
    Promise.all(ids.map(async (id) => (await findEvent(database, id))!.type))
  const transitions = (settings: { now?: () => Date } = {}) =>
    createCircuitTransitions({ database, log, disableAfterMs: DISABLE_AFTER_MS, random: () => 0, ...settings })

  await t.test(
    'a notice is sent to webhooks that name its type, not to the one it is about, and without its URL',
    async (t) => {
      const all = ['sns.notification', 'webhook.failing', 'webhook.recovered', 'webhook.disabled'] as const
      const operators = await addWebhook(ok, {
        event_types: ['webhook.failing', 'webhook.recovered', 'webhook.disabled'],
      })
      const plain = await addWebhook(ok)
      const subject = await addWebhook(() => ({ status: 500 }), { event_types: [...all], description: 'the SOAR' })
      const { receiver, webhook } = subject
      const url = `${receiver.url}/hush-hush?token=hush-hush`
      await editWebhook(database, webhook.id, { url })
      const dispatchNotices = async () => {
        for (const eventId of dispatches.splice(0)) await dispatch({ eventId })
      }
      for (let i = 0; i < 5; i++) await dispatch({ eventId: (await publish('text')).id })
      t.equal(receiver.received.length, 5)
      await dispatchNotices()
      receiver.respond = ok
      await makeDue()
      await work(webhook.id)
      await dispatchNotices()
      receiver.respond = () => ({ status: 410 })
      await dispatch({ eventId: (await publish('text')).id })
      await dispatchNotices()

      const notices = operators.receiver.received.map(
        ({ json }) => json as { webhook: object; relay: { type: string } },
      )
      t.same(
        notices.map(({ relay }) => relay.type),
        ['webhook.failing', 'webhook.recovered', 'webhook.disabled'],
      )
      const { id, description } = webhook
      t.match(
        notices.map(({ webhook }) => webhook),
        [
          { id, description, status: 'enabled', health: 'failing', last_failure: 'rejected: status 500' },
          { id, status: 'enabled', health: 'healthy', failing_since: null, last_failure: null },
          { id, status: 'disabled', disabled_reason: 'the receiver answered 410 Gone' },
        ],
      )
      t.notMatch(JSON.stringify(operators.receiver.received), /hush/)
      t.ok(operators.receiver.received.every(({ verified }) => verified))
      t.same(
        new Set(plain.receiver.received.map(({ json }) => (json as (typeof notices)[0]).relay.type)),
        new Set(['sns.notification']),
        'an empty selection selects no notices',
      )
      t.equal(
        receiver.received.filter(({ json }) => (json as (typeof notices)[0]).relay.type.startsWith('webhook.')).length,
        0,
        'a webhook gets no notice about itself',
      )
      for (const { webhook } of [operators, plain, subject]) await deleteWebhook(database, webhook.id)
    },
  )

  await t.test('outcomes count in their order: a success ends the failures in a row', async (t) => {
    const { webhook } = await addWebhook(ok)
    const { record } = transitions()
    const four = Array.from({ length: 4 }, () => outcome(webhook.id, 'failed'))
    t.same(await record([...four, outcome(webhook.id, 'ok')]), [])
    t.same(await record(four), [])
    t.match(await readHealth(database, webhook.id), { health: 'healthy' })
    t.same(await typesOf(await record([outcome(webhook.id, 'failed')])), ['webhook.failing'])
    t.match((await registry.current()).byId.get(webhook.id), { state: { state: 'failing', failures: 5 } })
  })

  await t.test('the failures of all processes count together and make one notice', async (t) => {
    const webhooks = await Promise.all(Array.from({ length: 5 }, () => addWebhook(ok)))
    const ids = webhooks.map(({ webhook }) => webhook.id)
    const [one, two] = [transitions(), transitions()]
    // in opposite orders, so that two batches would deadlock without a lock order
    const batch = ids.flatMap((id) => Array.from({ length: 3 }, () => outcome(id, 'failed')))
    const noticeIds = (await Promise.all([one.record(batch), two.record([...batch].reverse())])).flat()
    t.equal(noticeIds.length, 5)
    const about = await Promise.all(noticeIds.map(async (id) => (await findEvent(database, id))!.webhookId))
    t.same([...about].sort(), [...ids].sort())
  })

  await t.test('a success of a healthy webhook writes nothing; that of a failing one is recorded', async (t) => {
    const { webhook } = await addWebhook(ok)
    const written = async () =>
      (
        await database.query<{ queue: string; registry: string }>(
          'select (select xmin::text from delivery_queues where webhook_id = $1) as queue, (select xmin::text from registry) as registry',
          [webhook.id],
        )
      ).rows
    const { record, settle } = transitions()
    const before = await written()
    t.same(await record(Array.from({ length: 9 }, () => outcome(webhook.id, 'ok'))), [])
    t.same(await written(), before)
    await record(Array.from({ length: 5 }, () => outcome(webhook.id, 'failed')))
    t.same(await record([outcome(webhook.id, 'ok', 'failing')]), [])
    t.match(await readHealth(database, webhook.id), { health: 'recovering', failing_since: null })
    t.same(await settle(webhook.id, { empty: false }), [], 'the ramp is not over')
    t.same(await typesOf(await settle(webhook.id, { empty: true })), ['webhook.recovered'])
    t.same(await settle(webhook.id, { empty: true }), [], 'there is one notice')
  })

  await t.test('nothing but failures for five days disable a webhook once, with the reason', async (t) => {
    const { webhook } = await addWebhook(ok)
    const start = Date.now()
    let now = start
    const { record } = transitions({ now: () => new Date(now) })
    await record(Array.from({ length: 5 }, () => outcome(webhook.id, 'failed')))
    const noticeIds: string[] = []
    for (let day = 1; day <= 7; day++) {
      now = start + day * 86_400_000
      noticeIds.push(...(await record([outcome(webhook.id, 'failed', 'failing')])))
      t.match(await readHealth(database, webhook.id), { status: day < 5 ? 'enabled' : 'disabled' }, `day ${day}`)
    }
    t.same(await typesOf(noticeIds), ['webhook.disabled'])
    const since = new Date(start).toISOString()
    t.match(await readHealth(database, webhook.id), {
      disabled_reason: `nothing but failures since ${since}, the last one: rejected: status 500`,
    })
  })

  await t.test(
    'a webhook that refuses every body is disabled with the reason, unless any process saw a success',
    async (t) => {
      const start = Date.now()
      let now = start
      const [one, two] = [transitions({ now: () => new Date(now) }), transitions({ now: () => new Date(now) })]
      const refused = (webhookId: string): WebhookOutcome => ({
        webhookId,
        health: HEALTHY,
        failure: { reason: 'rejected: status 413', gone: false, subject: 'body', resumeAt: null },
      })
      const { webhook } = await addWebhook(ok)
      const taken = await addWebhook(ok)
      t.same(await one.record([refused(webhook.id), refused(taken.webhook.id)]), [])
      now = start + DISABLE_AFTER_MS - 1000
      // of an event that only the one webhook gets
      await editWebhook(database, webhook.id, { status: 'disabled' })
      await dispatch({ eventId: (await publish('text')).id })
      await editWebhook(database, webhook.id, { status: 'enabled' })
      t.equal(taken.receiver.received.length, 1)
      await two.record([{ ...outcome(taken.webhook.id, 'ok') }])
      t.same(await one.record([refused(webhook.id), refused(taken.webhook.id)]), [])
      now = start + DISABLE_AFTER_MS
      t.same(await typesOf(await one.record([refused(webhook.id), refused(taken.webhook.id)])), ['webhook.disabled'])
      const since = new Date(start).toISOString()
      t.match(await readHealth(database, webhook.id), {
        status: 'disabled',
        disabled_reason: `nothing was accepted since ${since}, the last body was refused: rejected: status 413`,
      })
      t.match(await readHealth(database, taken.webhook.id), { status: 'enabled', failing_since: new Date(now) })
      now = start + 2 * DISABLE_AFTER_MS
      t.same(await typesOf(await one.record([refused(taken.webhook.id)])), ['webhook.disabled'], 'it starts anew')
    },
  )

  await t.test('every process sees that a webhook is held, and that the hold is over', async (t) => {
    const { webhook } = await addWebhook(ok)
    const held = async () => (await registry.current()).byId.get(webhook.id)!.state
    let now = Date.now()
    const { record } = transitions({ now: () => new Date(now) })
    const resumeAt = new Date(now + 30_000)
    const { failure } = outcome(webhook.id, 'failed')
    t.same(await record([{ webhookId: webhook.id, health: HEALTHY, failure: { ...failure!, resumeAt } }]), [])
    t.match(await held(), { state: 'healthy', failures: 1, resumeAt })
    t.same(await record([{ webhookId: webhook.id, health: await held(), failure: null }]), [], 'an attempt in flight')
    t.match(await held(), { state: 'healthy', resumeAt })
    now += 30_000
    t.same(await record([{ webhookId: webhook.id, health: await held(), failure: null }]), [], 'no notice')
    t.same(await held(), HEALTHY)
  })

  await t.test('a disabled webhook makes no further notices', async (t) => {
    const { webhook } = await addWebhook(ok)
    const { record } = transitions()
    const late = Array.from({ length: 6 }, () => outcome(webhook.id, 'failed'))
    t.same(await typesOf(await record([outcome(webhook.id, 'gone'), ...late, outcome(webhook.id, 'gone')])), [
      'webhook.disabled',
    ])
    t.same(await record(late), [])
  })

  await t.test('a deleted webhook makes no notices', async (t) => {
    const { webhook } = await addWebhook(ok)
    await deleteWebhook(database, webhook.id)
    const five = Array.from({ length: 5 }, () => outcome(webhook.id, 'failed'))
    t.same(await transitions().record([...five, outcome(webhook.id, 'gone')]), [])
    await database.query('delete from delivery_queues where webhook_id = $1', [webhook.id])
    t.same(await transitions().record(five), [])
    t.same(await transitions().settle(webhook.id, { empty: true }), [])
  })
})
