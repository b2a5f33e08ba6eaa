/** A relay with its own PostgreSQL, Redis, publisher and receiver, which a test may stop. */
import type { Test } from 'tap'
import { createReceiver } from './receiver.js'
import { startRelay } from './relay.js'
import { startPostgres, startRedis } from './servers.js'
import { createSnsPublisher, TEST_TOPIC } from './sns-publisher.js'

export async function relayWithServers(t: Test) {
  const [publisher, postgres, redis] = await Promise.all([createSnsPublisher(), startPostgres(t), startRedis(t)])
  await publisher.serve()
  t.teardown(() => publisher.close())
  const relay = await startRelay(t, {
    SNS_TOPICS: TEST_TOPIC,
    SNS_EMULATOR: publisher.origin,
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
  })
  const receiver = await createReceiver()
  t.teardown(() => receiver.close())
  const { body } = await relay.api<{ secret: string }>('POST', '/v1/webhooks', { url: receiver.url })
  receiver.secrets = [body.secret]
  return { publisher, postgres, redis, relay, receiver }
}
