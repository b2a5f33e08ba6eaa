import t, { type Test } from 'tap'
import { startRelay, type Relay } from '../helpers/relay.js'
import { relayWithServers } from '../helpers/relay-with-servers.js'
import { startPostgres } from '../helpers/servers.js'

/** Posts a message and requires 503 within 10 s. */
async function undecided(t: Test, relay: Relay, message: object): Promise<void> {
  const before = performance.now()
  const { status } = await relay.sns(message)
  const took = performance.now() - before
  t.equal(status, 503)
  t.ok(took < 10_000, `within 10 s (${Math.round(took)} ms)`)
}

/** Posts a message until the response is 200. */
async function repeated(relay: Relay, message: object): Promise<Record<string, unknown>> {
  for (;;) {
    const { status, body } = await relay.sns(message)
    if (status === 200) return body
  }
}

for (const outage of ['frozen', 'stopped'] as const) {
  t.test(`with PostgreSQL ${outage} SNS gets 503, and the repeated message is accepted`, async (t) => {
    const { publisher, postgres, relay, receiver } = await relayWithServers(t)
    const first = publisher.notification({ message: 'first' })
    t.equal((await relay.sns(first)).status, 200)
    await receiver.waitFor(1)
    await (outage === 'frozen' ? postgres.freeze() : postgres.kill())
    const second = publisher.notification({ message: 'second' })
    await Promise.all([undecided(t, relay, second), undecided(t, relay, second), undecided(t, relay, first)])
    t.match(await relay.api('GET', '/readyz'), { status: 503, body: { status: 'not_ready' } })
    t.equal((await relay.api('GET', '/healthz')).status, 200)
    t.match(await relay.api('GET', '/v1/events'), { status: 503, body: { type: 'urn:alert-relay:problem:undecided' } })
    await (outage === 'frozen' ? postgres.thaw() : postgres.start())
    const { event_id: id } = await repeated(relay, second)
    const received = await receiver.waitFor((all) => all.some((request) => request.id === id), { timeoutMs: 40_000 })
    t.ok(received.every(({ verified }) => verified))
    const { body } = await relay.api<{ data: unknown[] }>('GET', '/v1/events')
    t.equal(body.data.length, 2, 'each message is one event')
    t.equal(await relay.stop(), 0)
  })
}

for (const outage of ['frozen', 'stopped'] as const) {
  t.test(`with Redis ${outage} SNS gets 503, and stored events are delivered`, async (t) => {
    const { publisher, redis, relay, receiver } = await relayWithServers(t)
    await relay.sns(publisher.notification({ message: 'first' }))
    await receiver.waitFor(1)
    await (outage === 'frozen' ? redis.freeze() : redis.kill())
    const second = publisher.notification({ message: 'second' })
    await undecided(t, relay, second)
    t.match(await relay.api('GET', '/readyz'), { status: 503, body: { database: 'ok' } })
    const matches = { rule_matches: [{ rule: 'r', context: { a: 1 } }] }
    const { status, body } = await relay.api<{ alerts: { event_id: string }[] }>('POST', '/v1/rule-matches', matches)
    t.equal(status, 202, 'matches are stored: upkeep queues their event')
    await (outage === 'frozen' ? redis.thaw() : redis.start())
    const { event_id: id, result } = await repeated(relay, second)
    t.equal(result, 'duplicate', 'it was stored the first time')
    for (const eventId of [id, body.alerts[0]!.event_id]) {
      await receiver.waitFor((all) => all.some((request) => request.id === eventId), { timeoutMs: 40_000 })
    }
    t.equal(await relay.stop(), 0)
  })
}

t.test('a database or queue that is unreachable at the start is reported in one line', async (t) => {
  const start = (settings: Record<string, string>) => startRelay(t, { LOG_LEVEL: 'silent', ...settings })
  await t.rejects(start({ DATABASE_URL: 'postgres://u:hunter2@127.0.0.1:1/x' }), {
    message: /alert-relay: DATABASE_URL cannot be reached: .*ECONNREFUSED(?!.*hunter2)/,
  })
  const postgres = await startPostgres(t)
  await t.rejects(start({ DATABASE_URL: postgres.url, REDIS_URL: 'redis://:hunter2@127.0.0.1:1' }), {
    message: /alert-relay: REDIS_URL cannot be reached: .*ECONNREFUSED(?!.*hunter2)/,
  })
})
