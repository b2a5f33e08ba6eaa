import t from 'tap'
import { createAccept } from '../../../src/core/event/accept.js'
import { findEvent, findWaitingBatches } from '../../../src/core/event/event-store.js'
import { createRegistry } from '../../../src/core/webhook/registry.js'
import { deleteWebhook } from '../../../src/core/webhook/webhook-store.js'
import { editWebhook } from '../../helpers/queue-process.js'
import { workshop } from '../../helpers/workshop.js'

const ALERTS = 'arn:aws:sns:us-east-1:123456789012:alerts'
const CHANGE = JSON.stringify({ updated_alert: { id: 'a' }, incoming_rule_matches_context: {}, context_diff: {} })

t.test('who wants an event is asked of the registry as it is, not as this process knew it', async (t) => {
  const { database, queues, dispatches, sealer, addWebhook } = await workshop(t)
  // a process of its own, which hears of changes as others do
  const registry = createRegistry({ database, sealer })
  const accept = createAccept({ database, queues, audience: registry })
  let serial = 0
  const send = (message: string) =>
    accept({ messageId: `m-${++serial}`, topicArn: ALERTS, subject: undefined, message, sentAt: new Date() })
  /** Whether a message waits to be dispatched, and is queued for it. */
  async function waits(message: string): Promise<boolean> {
    const queued = dispatches.length
    const { event } = await send(message)
    const stored = (await findEvent(database, event.id))!
    t.same(stored.dispatchedAt, event.dispatchedAt)
    const waiting = await findWaitingBatches(database, { before: new Date(Date.now() + 1000), after: '', limit: 1000 })
    const isWaiting = waiting.some(({ batchId }) => batchId === event.batchId)
    t.equal(event.dispatchedAt === null, isWaiting)
    t.same(dispatches.slice(queued), isWaiting ? [event.batchId] : [])
    // what the process learned from this message it knows for the next
    await registry.current()
    return isWaiting
  }

  t.ok(await waits(CHANGE), 'nothing is known yet')
  t.notOk(await waits(CHANGE), 'there is no webhook')
  const { webhook } = await addWebhook(() => ({ status: 204 }))
  t.ok(await waits(CHANGE), 'a webhook was made that the process has not heard of')
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
  t.ok(await waits(CHANGE), 'it wants all topics, which the process has not heard of')
  await editWebhook(database, webhook.id, { status: 'disabled' })
  await registry.current()
  t.notOk(await waits(CHANGE), 'it is disabled')
  await editWebhook(database, webhook.id, { status: 'enabled' })
  await registry.current()
  t.ok(await waits(CHANGE))
  await deleteWebhook(database, webhook.id)
  t.ok(await waits(CHANGE), 'that it is deleted was not heard of')
  t.notOk(await waits(CHANGE), 'and now it was')
})

t.test('a registry that cannot be read refuses no message', async (t) => {
  const { database, queues } = await workshop(t)
  const audience = { audience: () => undefined, current: () => Promise.reject(new Error('no registry')) }
  const accept = createAccept({ database, queues, audience })
  const message = { messageId: 'm-1', topicArn: ALERTS, subject: undefined, message: CHANGE, sentAt: new Date() }
  t.equal((await accept(message)).event.dispatchedAt, null)
})
