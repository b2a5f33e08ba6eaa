import t, { type Test } from 'tap'
import { createReceiver } from '../helpers/receiver.js'
import { startRelay, type Relay } from '../helpers/relay.js'
import { startCluster, startReplicated, startSentinels } from '../helpers/redis-servers.js'
import { startPostgres } from '../helpers/servers.js'
import { createSnsPublisher, TEST_TOPIC } from '../helpers/sns-publisher.js'
import { startProxy } from '../helpers/tcp-proxy.js'
import { until } from '../helpers/until.js'

const WITHIN_MS = 10_000

async function start(t: Test, redisUrl: string) {
  const [publisher, postgres] = await Promise.all([createSnsPublisher(), startPostgres(t)])
  await publisher.serve()
  t.teardown(() => publisher.close())
  const relay = await startRelay(t, {
    SNS_TOPICS: TEST_TOPIC,
    SNS_EMULATOR: publisher.origin,
    DATABASE_URL: postgres.url,
    REDIS_URL: redisUrl,
  })
  const receiver = await createReceiver()
  t.teardown(() => receiver.close())
  await relay.api('POST', '/v1/webhooks', { url: receiver.url })
  /** SNS sends a message until it is taken, and then it is delivered. @returns how long both took, in milliseconds */
  const deliver = async (text: string) => {
    const before = performance.now()
    const id = await taken(relay, publisher.notification({ message: text }))
    const takenMs = performance.now() - before
    await receiver.waitFor((all) => all.some((request) => request.id === id), { timeoutMs: 60_000 })
    return { takenMs, deliveredMs: performance.now() - before }
  }
  return { relay, deliver }
}

async function taken(relay: Relay, message: object): Promise<unknown> {
  const { body } = await until(
    () => relay.sns(message),
    ({ status }) => status === 200,
  )
  return body.event_id
}

async function goesOn(t: Test, { relay, deliver }: Awaited<ReturnType<typeof start>>): Promise<void> {
  const { takenMs, deliveredMs } = await deliver('after')
  t.comment(`taken after ${Math.round(takenMs)} ms, delivered after ${Math.round(deliveredMs)} ms`)
  t.ok(deliveredMs < WITHIN_MS, `delivered within 10 s (${Math.round(deliveredMs)} ms)`)
  // An answer is kept for a second.
  await until(
    () => relay.api('GET', '/readyz'),
    ({ status }) => status === 200,
  )
  for (const text of ['one', 'two', 'three']) {
    const { deliveredMs } = await deliver(text)
    t.ok(deliveredMs < 2000, `and then at once (${Math.round(deliveredMs)} ms)`)
  }
  t.equal(await relay.stop(), 0)
}

t.test('a replica is promoted while connections live: the relay leaves the server that became read-only', async (t) => {
  const [primary, replica] = await startReplicated(t, 1)
  const proxy = await startProxy(t, primary.url)
  const shop = await start(t, proxy.url)
  await shop.deliver('before')
  await replica!.command('REPLICAOF', 'NO', 'ONE')
  await primary.command('REPLICAOF', '127.0.0.1', String(replica!.port))
  t.match(await shop.relay.api('GET', '/readyz'), { status: 503, body: { database: 'ok' } }, 'it could queue nothing')
  proxy.point(replica!.url)
  await goesOn(t, shop)
})

t.test('a primary hangs and its replica takes over', async (t) => {
  const [primary, replica] = await startReplicated(t, 1)
  const proxy = await startProxy(t, primary.url)
  const shop = await start(t, proxy.url)
  await shop.deliver('before')
  primary.freeze()
  await replica!.command('REPLICAOF', 'NO', 'ONE')
  proxy.point(replica!.url)
  await goesOn(t, shop)
})

for (const way of ['is told to hand over', 'dies'] as const) {
  t.test(`Sentinel: the primary ${way}`, async (t) => {
    const { primary, url, sentinel } = await startSentinels(t)
    const shop = await start(t, url)
    await shop.deliver('before')
    if (way === 'dies') await primary.kill()
    else await sentinel.command('SENTINEL', 'FAILOVER', 'mymaster')
    await goesOn(t, shop)
  })

  t.test(`Cluster: the primary ${way}`, async (t) => {
    const { url, holdersOf } = await startCluster(t)
    const shop = await start(t, url)
    await shop.deliver('before')
    const { primary, replica } = await holdersOf('{alert-relay}')
    if (way === 'dies') await primary.kill()
    else await replica.command('CLUSTER', 'FAILOVER')
    await goesOn(t, shop)
  })
}
