/**
 * recovery: a webhook with 10,000 waiting deliveries is enabled again. Its receiver counts requests in flight and requests
 * in any one second, which must not exceed `max_in_flight` and `rate_per_second`. The limits take the place of the bare
 * loop.
 */
import { openDatabase } from '../src/core/platform/database.js'
import { over, type Bench, type Measurement } from './measurement.js'
import { startProgram } from './program.js'
import type { Sink } from './programs/sink.js'
import { createWebhooks, startPair, startRelay } from './relay.js'
import { maxInOneSecond } from './statistics.js'
import { withTeardowns } from './teardowns.js'
import type { Storage } from './backend.js'

/** With this answer time the rate needs five requests in flight, so that both limits are approached. */
const ANSWER_MS = 20
const LIMITS = { max_in_flight: 10, rate_per_second: 250 }

export function measureRecovery(bench: Bench): Promise<Measurement[]> {
  const count = bench.quick ? 1500 : 10_000
  return withTeardowns(async (t) => {
    const storage = await bench.backend.createStorage(t)
    const sink = startProgram<Sink>(t, 'sink')
    const [port] = await sink.call('listen', 1)
    await sink.call('configure', { delayMs: ANSWER_MS })
    const setUp = await startRelay(t, storage, { role: 'api', measured: false })
    const fields = { url: `http://127.0.0.1:${port}/`, status: 'disabled' }
    const [id] = await createWebhooks(setUp, 1, () => ({ ...fields, ...LIMITS }))
    await setUp.stop()
    await insertWaiting(storage, id!, count)

    const { api } = await startPair(t, storage, '')
    await sink.call('resetCount')
    const arrived = sink.call('arrived', count)
    await sink.call('record')
    const enabled = await api.api('PATCH', `/v1/webhooks/${id}`, { status: 'enabled' })
    if (enabled.status !== 200) throw new Error(`PATCH: ${enabled.status} ${JSON.stringify(enabled.body)}`)
    await arrived
    const { atMs, maxInFlight } = await sink.call('recorded')
    const perSecond = atMs.length / ((atMs.at(-1)! - atMs[0]!) / 1000)
    const max = maxInOneSecond(atMs)
    return [
      over(
        'recovery, arrivals',
        perSecond,
        LIMITS.rate_per_second,
        'deliveries/s',
        `${count} waited; divided by its limit`,
      ),
      over('recovery, max in one second', max, LIMITS.rate_per_second, 'deliveries', 'divided by its limit: at most 1'),
      over(
        'recovery, max in flight',
        maxInFlight,
        LIMITS.max_in_flight,
        'deliveries',
        'divided by its limit: at most 1',
      ),
    ]
  })
}

/** Inserts deliveries that failed once and wait, since their webhook is disabled. */
async function insertWaiting(storage: Storage, webhookId: string, count: number): Promise<void> {
  const database = await openDatabase(storage)
  try {
    await database.query(
      `insert into events (id, type, message_id, topic_arn, payload, sent_at, received_at)
       select 'evt_0' || lpad(n::text, 25, '0'), 'sns.notification', 'waiting-' || n, 'arn:aws:sns:us-east-1:123456789012:old',
         '{"waiting": true}', now(), now()
       from generate_series(1, ${count}) as n`,
    )
    await database.query(
      `insert into deliveries
         (id, event_id, webhook_id, status, attempt_count, schedule_start, next_attempt_at, created_at, updated_at)
       select 'dlv_0' || lpad(n::text, 25, '0'), 'evt_0' || lpad(n::text, 25, '0'), $1, 'pending', 1, 0, now(), now(), now()
       from generate_series(1, ${count}) as n`,
      [webhookId],
    )
  } finally {
    await database.close()
  }
}
