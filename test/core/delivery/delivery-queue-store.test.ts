import t from 'tap'
import {
  findDueQueues,
  releaseLease,
  renewLease,
  acquireLease,
  type DueQueue,
} from '../../../src/core/delivery/delivery-queue-store.js'
import { deleteWebhook } from '../../../src/core/webhook/webhook-store.js'
import { createTestWorkers } from '../../helpers/workers.js'

const LEASE_MS = 15_000
const RENEWAL = { leaseMs: LEASE_MS, nextSendAt: null }
const ok = () => ({ status: 200 })

t.test('delivery queues', async (t) => {
  const { database, publish, addWebhook, dispatch } = await createTestWorkers(t)
  const setQueue = async (webhookId: string, set: string) =>
    database.query(`update delivery_queues set ${set} where webhook_id = $1`, [webhookId])
  const holderOf = async (webhookId: string) =>
    (
      await database.query<{ holder: string | null }>('select holder from delivery_queues where webhook_id = $1', [
        webhookId,
      ])
    ).rows[0]!.holder

  await t.test('of many processes at once, one acquires the lease; the others set `wanted`', async (t) => {
    const { webhook } = await addWebhook(ok)
    const holders = Array.from({ length: 20 }, (_, i) => `process-${i}`)
    const leases = await Promise.all(holders.map((holder) => acquireLease(database, webhook.id, holder, LEASE_MS)))
    t.equal(leases.filter(Boolean).length, 1)
    const winner = holders[leases.findIndex(Boolean)]!
    t.equal(await holderOf(webhook.id), winner)
    t.ok(await renewLease(database, webhook.id, winner, RENEWAL), 'it is renewed')
    t.ok(await releaseLease(database, webhook.id, winner, RENEWAL), '`wanted` is set: the lease is kept')
    t.equal(await holderOf(webhook.id), winner)
    t.equal(await releaseLease(database, webhook.id, winner, RENEWAL), undefined, '`wanted` was cleared')
    t.equal(await holderOf(webhook.id), null)
    t.ok(await acquireLease(database, webhook.id, 'another', LEASE_MS))
    await deleteWebhook(database, webhook.id)
  })

  await t.test(
    'an expired lease is acquired by another process, and its former holder cannot renew or release it',
    async (t) => {
      const { webhook } = await addWebhook(ok)
      const next = new Date(Date.now() + 500)
      await acquireLease(database, webhook.id, 'one', LEASE_MS)
      await renewLease(database, webhook.id, 'one', { leaseMs: LEASE_MS, nextSendAt: next })
      t.equal(await acquireLease(database, webhook.id, 'two', LEASE_MS), undefined)
      await setQueue(webhook.id, `held_until = now() - interval '1 millisecond'`)
      t.same((await acquireLease(database, webhook.id, 'two', LEASE_MS))!.nextSendAt, next, 'it keeps the pace')
      t.equal(await renewLease(database, webhook.id, 'one', RENEWAL), undefined)
      t.equal(await releaseLease(database, webhook.id, 'one', RENEWAL), undefined)
      t.equal(await holderOf(webhook.id), 'two', 'its former holder does not release it')
      t.equal(await releaseLease(database, webhook.id, 'two', RENEWAL), undefined, 'acquiring it cleared `wanted`')
      t.equal(await acquireLease(database, 'wh_none', 'one', LEASE_MS), undefined)
      await deleteWebhook(database, webhook.id)
    },
  )

  await t.test('every delivery queue that has something due is found, and no other', async (t) => {
    const start = Date.now()
    await database.query(
      'delete from delivery_queues q where not exists (select from webhooks w where w.id = q.webhook_id)',
    )
    const named = new Map<string, string>()
    const add = async (name: string, set = `health = 'healthy'`, status: 'enabled' | 'disabled' = 'enabled') => {
      // with a limit everything waits in the delivery queue
      const { webhook } = await addWebhook(ok, { max_in_flight: 1 })
      named.set(webhook.id, name)
      return async () => {
        await setQueue(webhook.id, set)
        await database.query('update webhooks set status = $2 where id = $1', [webhook.id, status])
        return webhook.id
      }
    }
    const queues = [
      await add('due'),
      await add('disabled', `health = 'healthy'`, 'disabled'),
      await add('held', `holder = 'one', held_until = now() + interval '1 minute'`),
      await add('abandoned', `holder = 'one', held_until = now() - interval '1 minute'`),
      await add('probe ahead', `health = 'failing', probe_at = now() + interval '1 minute'`),
      await add('probe due', `health = 'failing', probe_at = now() - interval '1 minute'`),
      await add('told to wait', `resume_at = now() + interval '1 minute'`),
      await add('told to wait until now', `resume_at = now() - interval '1 minute'`),
      await add('both', `health = 'failing', probe_at = now(), resume_at = now() + interval '1 minute'`),
    ]
    const deleted = await add('deleted')
    await dispatch({ eventId: (await publish('text')).id })
    const idle = [
      await add('idle'),
      await add('recovering', `health = 'recovering', recovering_since = now()`),
      await add('recovering but disabled', `health = 'recovering', recovering_since = now()`, 'disabled'),
    ]
    for (const set of [...queues, ...idle]) await set()
    await deleteWebhook(database, await deleted())

    const before = new Date(start + 5000)
    const find = async () => {
      const found: DueQueue[] = []
      for (let after = ''; ; after = found.at(-1)!.webhookId) {
        const page = await findDueQueues(database, { before, after, limit: 2 })
        found.push(...page)
        if (page.length < 2) return found
      }
    }
    const found = await find()
    t.same(
      found.map(({ webhookId }) => named.get(webhookId)),
      ['due', 'abandoned', 'probe due', 'told to wait until now', 'deleted', 'recovering'],
    )
    t.ok(
      found.every(({ at }) => at <= before),
      'each is due before the given time',
    )
    await database.query(`update deliveries set next_attempt_at = now() + interval '1 hour'`)
    t.same(
      (await find()).map(({ webhookId }) => named.get(webhookId)),
      ['deleted', 'recovering'],
      'what is due later is found later',
    )
  })
})
