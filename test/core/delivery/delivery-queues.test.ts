import t from 'tap'
import { createDeliveryQueues } from '../../../src/core/delivery/delivery-queues.js'
import { newId } from '../../../src/core/platform/id.js'
import { countByStatus, latch, leaseHolderOf, queueProcess } from '../../helpers/queue-process.js'
import { createTestWorkers, publishMany } from '../../helpers/workers.js'

t.test(
  'a process works a delivery queue once at a time, notices each wake-up, and closes when its attempts have ended',
  async (t) => {
    const workers = await createTestWorkers(t)
    const { opened, open } = latch()
    const { webhook } = await workers.addWebhook(() => ({ status: 200 }), { max_in_flight: 1 })
    await publishMany(workers, ['a'])
    const sent: string[] = []
    const started = latch()
    const { options } = queueProcess(workers, 'here', async ({ event }) => {
      sent.push(event.id)
      started.open()
      await opened
      return 200
    })
    const queues = createDeliveryQueues(options)
    for (let i = 0; i < 3; i++) queues.wake(webhook.id)
    await started.opened
    const [later] = await publishMany(workers, ['b'])
    queues.wake(webhook.id)
    queues.wake(newId('wh'))
    const closed = queues.close()
    queues.wake(webhook.id)
    open()
    await closed
    t.equal(sent.length, 1, 'while closing no attempt is started')
    t.equal(await leaseHolderOf(workers.database, webhook.id), null)
    const again = createDeliveryQueues(options)
    again.wake(webhook.id)
    while ((await countByStatus(workers.database)).pending) await new Promise(setImmediate)
    await again.close()
    t.same(sent.slice(1), [later])
  },
)
