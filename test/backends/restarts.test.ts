import { Redis } from 'ioredis'
import t from 'tap'
import { relayWithServers } from '../helpers/relay-with-servers.js'
import { until } from '../helpers/until.js'

t.test('an event is delivered after FLUSHALL between the 200 and its delivery', async (t) => {
  const { publisher, redis, relay, receiver } = await relayWithServers(t)
  receiver.respond = (_request, count) => ({ status: count === 1 ? 500 : 200 })
  const { body } = await relay.sns(publisher.notification({ message: 'text' }))
  await receiver.waitFor(1)
  const path = `/v1/events/${String(body.event_id)}/deliveries`
  await until(
    () => relay.api<{ data: unknown[] }>('GET', path),
    ({ body }) => body.data.length > 0,
  )
  const client = new Redis(redis.url)
  await client.flushall()
  client.disconnect()
  const received = await receiver.waitFor(2, { timeoutMs: 30_000 })
  t.equal(received[1]!.id, body.event_id)
  await relay.sns(publisher.notification({ message: 'another' }))
  await receiver.waitFor(3)
})

t.test('a job whose process is killed twice is done by the third process', async (t) => {
  const { publisher, relay, receiver } = await relayWithServers(t)
  receiver.respond = () => ({ status: 200, hang: true })
  const { body } = await relay.sns(publisher.notification({ message: 'text' }))
  // the kill interrupts the dispatch, which waits for a response for a moment before it writes anything
  for (const deaths of [1, 2]) {
    await receiver.waitFor(deaths, { timeoutMs: 60_000 })
    await relay.kill()
    if (deaths === 2) receiver.respond = () => ({ status: 204 })
    await relay.start()
  }
  const received = await receiver.waitFor(3, { timeoutMs: 60_000 })
  t.same(new Set(received.map(({ id }) => id)), new Set([body.event_id]))
})

t.test('messages that got 200 are delivered although Redis restarts under load', async (t) => {
  const { publisher, redis, relay, receiver } = await relayWithServers(t)
  const accepted = new Set<unknown>()
  const send = async () => {
    const { status, body } = await relay.sns(publisher.notification({ message: 'text' }))
    if (status === 200) accepted.add(body.event_id)
  }
  // continues until messages are accepted for some rounds after the restart
  for (let round = 0, again = 0; again < 5; round++) {
    const before = accepted.size
    const load = Promise.all(Array.from({ length: 20 }, send))
    if (round === 4) await redis.kill()
    if (round === 6) await redis.start()
    await load
    if (round > 6 && accepted.size > before) again++
  }
  const all = (received: typeof receiver.received) => {
    const arrived = new Set<unknown>(received.map(({ id }) => id))
    return [...accepted].every((id) => arrived.has(id))
  }
  await receiver.waitFor(all, { timeoutMs: 60_000 })
  t.equal(await relay.stop(), 0)
})
