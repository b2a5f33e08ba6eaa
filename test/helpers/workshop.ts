/** The workers on a real database and real receivers, with a queue that the test turns by hand: jobs are noted, not run. */
import type { Test } from 'tap'
import { createAttempt } from '../../src/core/delivery/attempt.js'
import { createDeliver } from '../../src/core/delivery/deliver.js'
import { listDeliveries } from '../../src/core/delivery/delivery-list.js'
import { createAccept } from '../../src/core/event/accept.js'
import { createHttpClient } from '../../src/core/platform/http-client.js'
import { createSnsClient } from '../../src/core/platform/sns-client.js'
import { newId } from '../../src/core/platform/id.js'
import { createMetrics } from '../../src/core/platform/metrics.js'
import { createLogger } from '../../src/core/platform/logger.js'
import type { Queues, RetryJob } from '../../src/core/platform/queues.js'
import { createSealer } from '../../src/core/platform/secrets.js'
import { insertWebhook } from '../../src/core/webhook/webhook-store.js'
import type { Webhook } from '../../src/core/webhook/webhook.js'
import { newSecret } from '../../src/core/delivery/signature.js'
import { createDispatchHandler } from '../../src/workers/dispatch.js'
import { createRetryHandler } from '../../src/workers/retry.js'
import { openTestDatabase } from './backends.js'
import { createReceiver, type Respond } from './receiver.js'

export const log = createLogger('silent')

export async function workshop(t: Test) {
  const database = await openTestDatabase(t)
  const dispatches: string[] = []
  const retries: RetryJob[] = []
  const queues = {
    addDispatches: async (ids: readonly string[]) => void dispatches.push(...ids),
    addRetries: async (jobs: readonly RetryJob[]) => void retries.push(...jobs),
  } as Queues
  const sealer = createSealer(Buffer.alloc(32, 7))
  const http = createHttpClient({ allowPrivateTargets: ['127.0.0.0/8'] })
  t.teardown(() => http.close())
  const sns = createSnsClient()
  t.teardown(() => sns.close())
  const deliver = createDeliver({
    sendAttempt: createAttempt({ http, sns }),
    log,
    metrics: createMetrics(() => Promise.reject(new Error('not read'))),
    random: () => 0,
  })
  const parts = { database, queues, sealer, deliver }
  const accept = createAccept({ database, queues })
  const publish = async (message: string) =>
    (
      await accept({
        messageId: newId('evt'),
        topicArn: 'arn:aws:sns:us-east-1:123456789012:t',
        subject: undefined,
        message,
        sentAt: new Date(),
      })
    ).event
  const addWebhook = async (respond: Respond, fields: Partial<Webhook> = {}) => {
    const receiver = await createReceiver({ respond })
    t.teardown(() => receiver.close())
    const now = new Date().toISOString()
    const webhook: Webhook = {
      id: newId('wh'),
      url: receiver.url,
      description: '',
      status: 'enabled',
      disabled_reason: null,
      event_types: [],
      topics: [],
      once: null,
      timeout_ms: 1000,
      retry_schedule_s: null,
      created_at: now,
      updated_at: now,
      ...fields,
    }
    const secret = newSecret()
    receiver.secrets = [secret]
    await insertWebhook(database, sealer, webhook, [{ secret, expiresAt: null }])
    return { receiver, webhook }
  }
  const deliveriesOf = async (eventId: string) =>
    (await listDeliveries(database, { event_id: eventId }, { limit: 100 })).data
  return {
    database,
    dispatches,
    retries,
    queues,
    sealer,
    publish,
    addWebhook,
    deliveriesOf,
    dispatch: createDispatchHandler(parts),
    retry: createRetryHandler(parts),
  }
}
