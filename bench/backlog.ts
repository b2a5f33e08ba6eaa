/**
 * backlog: deliveries a second (out x 10) while a million retries wait that are not due for days, divided by the same
 * without them. The waiting ones are rows without jobs, since only due deliveries have jobs.
 */
import { askPostgres, type Storage } from './backend.js'
import { drain } from './drain.js'
import { over, type Bench, type Measurement } from './measurement.js'
import { createWebhooks } from './relay.js'
import { openDatabase } from '../src/core/platform/database.js'

const OTHER_WEBHOOKS = 10

export async function measureBacklog(bench: Bench): Promise<Measurement[]> {
  const onServer = bench.backend.kind === 'server'
  const waiting = bench.quick || !onServer ? 100_000 : 1_000_000
  const size = { events: (bench.quick ? 500 : 2000) / (onServer ? 1 : 5), webhooks: 10 }
  const without = await drain(bench, size)
  let others: string[] = []
  const withBacklog = await drain(bench, {
    ...size,
    before: async (_place, api) => {
      const fields = { url: 'http://127.0.0.1:1/', status: 'disabled' }
      others = await createWebhooks(api, OTHER_WEBHOOKS, () => fields)
    },
    ready: (storage) => insertWaiting(storage, others, waiting / OTHER_WEBHOOKS),
  })
  const again = await drain(bench, size)
  const bare = (without.perSecond + again.perSecond) / 2
  const name = `backlog, ${waiting.toLocaleString('en')} waiting`
  return [over(name, withBacklog.perSecond, bare, 'deliveries/s', 'over without them, before and after')]
}

/** Inserts events that failed at each of the webhooks and are due again in two days or later. */
async function insertWaiting(storage: Storage, webhookIds: string[], events: number): Promise<void> {
  for (const sql of [
    `insert into events (id, type, message_id, topic_arn, payload, sent_at, received_at)
     select 'evt_0' || lpad(n::text, 25, '0'), 'sns.notification', 'waiting-' || n, 'arn:aws:sns:us-east-1:123456789012:old',
       '{"waiting": true}', now(), now()
     from generate_series(1, ${events}) as n`,
    `insert into deliveries
       (id, event_id, webhook_id, status, attempt_count, schedule_start, next_attempt_at, created_at, updated_at)
     select 'dlv_0' || w || lpad(n::text, 24, '0'), 'evt_0' || lpad(n::text, 25, '0'), webhook_id, 'pending', 3, 0,
       now() + interval '2 days' + n * interval '1 second', now(), now()
     from generate_series(1, ${events}) as n,
       unnest(array[${webhookIds.map((id) => `'${id}'`).join(',')}]) with ordinality as webhook (webhook_id, w)`,
    'analyze deliveries',
    'checkpoint',
  ]) {
    await execute(storage, sql)
  }
}

async function execute({ databaseUrl, dataDir }: Storage, sql: string): Promise<void> {
  if (databaseUrl !== undefined) return void (await askPostgres(databaseUrl, sql))
  const database = await openDatabase({ databaseUrl, dataDir })
  await database.query(sql)
  await database.close()
}
