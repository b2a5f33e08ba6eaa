/** The workers on a real database and real receivers. Jobs are recorded instead of run: the test runs their work. */
import type { Logger } from 'pino'
import type { Test } from 'tap'
import { healthFields } from '../../src/core/circuit/health-report.js'
import { createAttempt } from '../../src/core/delivery/attempt.js'
import { createAuthorizer } from '../../src/core/delivery/authorization.js'
import { createDeliver } from '../../src/core/delivery/deliver.js'
import { createRecorder } from '../../src/core/delivery/attempt-recorder.js'
import { createRecall } from '../../src/core/delivery/content.js'
import { createLimiter } from '../../src/core/delivery/limiter.js'
import { workQueue } from '../../src/core/delivery/delivery-queue.js'
import { listDeliveries } from '../../src/core/delivery/delivery-list.js'
import { createAccept, type Accept, type Accepted } from '../../src/core/event/accept.js'
import { createAcceptMatches } from '../../src/core/event/accept-matches.js'
import { createClaims, type ClaimWorker } from '../../src/core/event/claims.js'
import { findEvent } from '../../src/core/event/event-store.js'
import { createHttpClient } from '../../src/core/platform/http-client.js'
import { createSnsClient } from '../../src/core/platform/sns-client.js'
import { newId } from '../../src/core/platform/id.js'
import { createMetrics } from '../../src/core/platform/metrics.js'
import { createLogger } from '../../src/core/platform/logger.js'
import { createSignal } from '../../src/core/platform/signal.js'
import type { Database } from '../../src/core/platform/database.js'
import type { Batch, Queues, Wake } from '../../src/core/platform/queues.js'
import { createSealer } from '../../src/core/platform/secrets.js'
import { HEALTHY } from '../../src/core/circuit/health.js'
import { createCircuitTransitions } from '../../src/core/circuit/transitions.js'
import { createRenderer } from '../../src/core/format/render.js'
import { createRegistry } from '../../src/core/webhook/registry.js'
import { insertWebhook } from '../../src/core/webhook/webhook-store.js'
import { DEFAULT_MAX_BODY_BYTES, type Webhook } from '../../src/core/webhook/webhook.js'
import { newSecret } from '../../src/core/delivery/signature.js'
import { createDispatcher } from '../../src/workers/dispatch.js'
import { startUpkeep } from '../../src/workers/upkeep.js'
import { borrowTestDatabase } from './backends.js'
import { createReceiver, type Respond } from './receiver.js'

export const log = createLogger('silent')

interface ClaimingOptions {
  database?: Database
  /** Releases claims, where that is another one. */
  claimsDatabase?: Database
  worker?: ClaimWorker
  queues?: Pick<Queues, 'addDispatches' | 'addWakes'>
  /** Milliseconds. Default: no time passes, so that a busy machine changes nothing. */
  now?: () => number
  /** Seconds; default: an hour. */
  termS?: number
}

/** @param settings.log receives the lines of the workers; default: nobody does */
export async function createTestWorkers(t: Test, settings: { disableAfterMs?: number; log?: Logger } = {}) {
  const database = await borrowTestDatabase(t)
  const dispatches: string[] = []
  const wakes: Wake[] = []
  const queues = {
    addDispatches: async (batches: readonly Batch[]) => void dispatches.push(...batches.map(({ batchId }) => batchId)),
    addWakes: async (added: readonly Wake[]) => void wakes.push(...added),
  }
  const sealer = createSealer(Buffer.alloc(32, 7))
  const http = createHttpClient({ allowPrivateTargets: ['127.0.0.0/8'] })
  t.teardown(() => http.close())
  const sns = createSnsClient()
  t.teardown(() => sns.close())
  const metrics = createMetrics(() => Promise.reject(new Error('not read')))
  const renderer = createRenderer()
  t.teardown(() => renderer.close())
  const authorizer = createAuthorizer({ http })
  const deliver = createDeliver({
    sendAttempt: createAttempt({ http, sns }),
    renderer,
    authorizer,
    metrics,
    random: () => 0,
  })
  const registry = createRegistry({ database, sealer })
  const { disableAfterMs = 5 * 86_400_000, log: workersLog = log } = settings
  const { countEvent } = metrics
  const parts = {
    ...{ database, queues, registry, deliver, metrics, countEvent, log: workersLog, limiter: createLimiter() },
    ...{ recall: createRecall(database), record: createRecorder(database) },
  }
  /** The webhooks for whose delivery queues a dispatch added a job. */
  const woken: string[] = []
  const process = (holder: string) => {
    const circuit = createCircuitTransitions({ ...parts, disableAfterMs, random: () => 0 })
    const deliveryQueues = { wake: (id: string) => void woken.push(id) }
    const dispatcher = createDispatcher({ ...parts, circuit, deliveryQueues })
    return {
      /** Dispatches the batch of an event, and waits also for attempts that take longer than its job. */
      async dispatch({ eventId }: { eventId: string }) {
        const { batchId } = (await findEvent(database, eventId))!
        await dispatcher.dispatch({ batchId, size: 1 })
        await dispatcher.close()
      },
      /**
       * An intake of this process that claims what it accepts.
       * @param options.worker dispatches what is claimed; default: the dispatcher of this process, on `options.database`
       */
      claiming(options: ClaimingOptions = {}) {
        const { database: db = database, claimsDatabase = db, now = () => 0, termS = 3600, ...others } = options
        const given = { ...parts, ...others, database: db, circuit, deliveryQueues }
        const claims = createClaims({ ...given, database: claimsDatabase, now, termS })
        const worker = options.worker ?? createDispatcher(given)
        claims.start(worker)
        // a worker that never ends is taken for dead
        if (!options.worker) t.teardown(() => claims.close())
        const accept = createAccept({ ...given, audience: registry, claims })
        return {
          claims,
          accept,
          acceptMatches: createAcceptMatches({ ...given, audience: registry, claims }),
          publish: (message: string, messageId?: string) => publishTo(accept, message, messageId),
        }
      },
      /** Works a delivery queue until nothing is due. */
      work: (webhookId: string, isClosing = () => false) =>
        workQueue({ ...parts, circuit, holder, isClosing }, { webhookId, signal: createSignal() }),
    }
  }
  /** Makes every pending delivery and every probe due, and clears the Retry-After of webhooks. */
  const makeDue = async () => {
    await database.query(`update deliveries set next_attempt_at = now() - interval '1 second' where status = 'pending'`)
    await database.query(`update delivery_queues set probe_at = now() - interval '1 second' where probe_at is not null`)
    await database.query(
      `update delivery_queues set resume_at = now() - interval '1 second' where resume_at is not null`,
    )
  }
  /** Runs two rounds of upkeep: the second continues from the repairs of the first. @param now milliseconds since 1970 */
  const runUpkeep = async (now = Date.now) => {
    const upkeep = startUpkeep({ ...parts, retentionDays: 30, intervalMs: 3600_000, now })
    await upkeep.runOnce()
    await upkeep.close()
  }
  const accept = createAccept({ ...parts, audience: registry })
  const publish = async (message: string) => (await publishTo(accept, message)).event
  const addWebhook = async (respond: Respond, fields: Partial<Webhook> = {}) => {
    const receiver = await createReceiver({ respond })
    t.teardown(() => receiver.close())
    const now = new Date().toISOString()
    const webhook: Webhook = {
      id: newId('wh'),
      url: receiver.url,
      name: null,
      description: '',
      status: 'enabled',
      disabled_reason: null,
      event_types: [],
      topics: [],
      filter: null,
      format: 'change',
      format_options: {},
      headers: {},
      auth: null,
      tls: null,
      signing: 'hmac',
      once: null,
      timeout_ms: 10_000,
      success: null,
      retry_schedule_s: null,
      max_in_flight: null,
      rate_per_second: null,
      max_body_bytes: DEFAULT_MAX_BODY_BYTES,
      order: 'none',
      coalesce: false,
      only_new: false,
      ...healthFields(HEALTHY),
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
    wakes,
    woken,
    queues,
    registry,
    runUpkeep,
    renderer,
    authorizer,
    sealer,
    accept,
    publish,
    addWebhook,
    deliveriesOf,
    makeDue,
    process,
    deliver,
    metrics,
    ...process('one'),
  }
}

export type TestWorkers = Awaited<ReturnType<typeof createTestWorkers>>

function publishTo(accept: Accept, message: string, messageId = newId('evt')): Promise<Accepted> {
  const topicArn = 'arn:aws:sns:us-east-1:123456789012:t'
  return accept({ messageId, topicArn, subject: undefined, message, sentAt: new Date() })
}

/** Publishes messages and dispatches each before the next. @returns the ids of their events */
export async function publishMany(workers: TestWorkers, messages: readonly string[]): Promise<string[]> {
  const ids = []
  for (const message of messages) {
    const { id } = await workers.publish(message)
    await workers.dispatch({ eventId: id })
    ids.push(id)
  }
  return ids
}
