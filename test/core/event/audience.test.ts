import t from 'tap'
import { createAccept } from '../../../src/core/event/accept.js'
import { findEvent, findWaitingBatches } from '../../../src/core/event/event-store.js'
import { createRegistry } from '../../../src/core/webhook/registry.js'
import { deleteWebhook } from '../../../src/core/webhook/webhook-store.js'
import { editWebhook } from '../../helpers/queue-process.js'
import { createTestWorkers } from '../../helpers/workers.js'

const ALERTS = 'arn:aws:sns:us-east-1:123456789012:alerts'
const CHANGE = JSON.stringify({ updated_alert: { id: 'a' }, incoming_rule_matches_context: {}, context_diff: {} })

t.test(
  'whether an event is wanted is decided by the registry in the database, not by the copy of this process',
  async (t) => {
    const { database, queues, dispatches, sealer, addWebhook } = await createTestWorkers(t)
    // The registry of another process, which learns of changes when it reads the database.
    const registry = createRegistry({ database, sealer })
    const accept = createAccept({ database, queues, audience: registry })
    let serial = 0
    const send = (message: string) =>
      accept({ messageId: `m-${++serial}`, topicArn: ALERTS, subject: undefined, message, sentAt: new Date() })
    /** Whether a message is stored as undispatched and queued. */
    async function waits(message: string): Promise<boolean> {
      const queued = dispatches.length
      const { event } = await send(message)
      const stored = (await findEvent(database, event.id))!
      t.same(stored.dispatchedAt, event.dispatchedAt)
      const waiting = await findWaitingBatches(database, {
        before: new Date(Date.now() + 1000),
        after: '',
        limit: 1000,
      })
      const isWaiting = waiting.some(({ batchId }) => batchId === event.batchId)
      t.equal(event.dispatchedAt === null, isWaiting)
      t.same(dispatches.slice(queued), isWaiting ? [event.batchId] : [])
      // The refresh that this message started is complete before the next one.
      await registry.current()
      return isWaiting
    }

    t.ok(await waits(CHANGE), 'the registry was not read yet')
    t.notOk(await waits(CHANGE), 'there is no webhook')
    const { webhook } = await addWebhook(() => ({ status: 204 }))
    t.ok(await waits(CHANGE), 'a webhook was made since the registry was read')
    t.ok(await waits(CHANGE))
    t.ok(await waits('not an alert change'))

    await editWebhook(database, webhook.id, { event_types: ['alert.created'] })
    await registry.current()
    t.ok(await waits(CHANGE), 'the change may be the first of its alert')
    t.notOk(await waits('not an alert change'))
    await editWebhook(database, webhook.id, { event_types: [], topics: [`${ALERTS}-other`] })
    await registry.current()
    t.notOk(await waits(CHANGE), 'it wants another topic')
    await editWebhook(database, webhook.id, { topics: [] })
    t.ok(await waits(CHANGE), 'it wants all topics since the registry was read')
    await editWebhook(database, webhook.id, { status: 'disabled' })
    await registry.current()
    t.notOk(await waits(CHANGE), 'it is disabled')
    await editWebhook(database, webhook.id, { status: 'enabled' })
    await registry.current()
    t.ok(await waits(CHANGE))
    await deleteWebhook(database, webhook.id)
    t.ok(await waits(CHANGE), 'it was deleted since the registry was read')
    t.notOk(await waits(CHANGE), 'and the registry was read again')
  },
)

t.test('a message is accepted while the registry cannot be read', async (t) => {
  const { database, queues } = await createTestWorkers(t)
  const audience = { audience: () => undefined, current: () => Promise.reject(new Error('no registry')) }
  const accept = createAccept({ database, queues, audience })
  const message = { messageId: 'm-1', topicArn: ALERTS, subject: undefined, message: CHANGE, sentAt: new Date() }
  t.equal((await accept(message)).event.dispatchedAt, null)
})
