import pg from 'pg'
import t from 'tap'
import { createReceiver } from '../helpers/receiver.js'
import { SESSIONS, startPgbouncer } from '../helpers/pgbouncer.js'
import { startRelay } from '../helpers/relay.js'
import { runTests } from '../helpers/run-tests.js'
import { startPostgres, startRedis } from '../helpers/servers.js'
import { createSnsPublisher, TEST_TOPIC } from '../helpers/sns-publisher.js'

const MANY = 60

t.test('PgBouncer in transaction mode, the queue in Redis: everything is taken and delivered', async (t) => {
  const [publisher, postgres, redis] = await Promise.all([createSnsPublisher(), startPostgres(t), startRedis(t)])
  await publisher.serve()
  t.teardown(() => publisher.close())
  const url = await startPgbouncer(t, postgres.url)
  const relay = await startRelay(t, {
    SNS_TOPICS: TEST_TOPIC,
    SNS_EMULATOR: publisher.origin,
    DATABASE_URL: url,
    REDIS_URL: redis.url,
  })
  const receiver = await createReceiver()
  t.teardown(() => receiver.close())
  await relay.api('POST', '/v1/webhooks', { url: receiver.url })
  for (let round = 0; round < MANY; round += 6) {
    const answers = await Promise.all(
      Array.from({ length: 6 }, async (_, i) => {
        const { status } = await relay.sns(publisher.notification({ message: 'text' }))
        const match = await relay.api('POST', '/v1/rule-matches', {
          rule_matches: [{ rule: `rule ${round + i}`, context: { a: 1 } }],
        })
        const list = await relay.api('GET', '/v1/events?limit=5')
        return [status, match.status, list.status]
      }),
    )
    t.same(answers, Array(6).fill([200, 202, 200]))
  }
  t.match(await relay.api('GET', '/readyz'), { status: 200 })
  await receiver.waitFor((all) => new Set(all.map(({ id }) => id)).size === 2 * MANY, { timeoutMs: 60_000 })
  const sessions = Array.from({ length: SESSIONS }, () => new pg.Client({ connectionString: url }))
  for (const client of sessions) {
    await client.connect()
    await client.query('begin')
    t.same((await client.query('show jit')).rows, [{ jit: 'on' }], 'they are left as they were: others use them too')
    t.same((await client.query('select name from pg_prepared_statements')).rows, [])
  }
  for (const client of sessions) await client.end()
  t.equal(await relay.stop(), 0)
  t.same(
    relay.lines.filter((line) => /"level":"(warn|error)"/.test(line) && !line.includes('SNS_EMULATOR')),
    [],
  )
})

t.test('PgBouncer in transaction mode: the conformance suite of the database', async (t) => {
  const postgres = await startPostgres(t)
  const servers = { TEST_DATABASE_URL: postgres.url, TEST_POOLER_URL: await startPgbouncer(t, postgres.url) }
  const { code, output } = await runTests('test/core/platform/database.test.ts', servers)
  t.equal(code, 0, output)
})

t.test('PgBouncer without REDIS_URL is one clear line', async (t) => {
  const postgres = await startPostgres(t)
  const url = await startPgbouncer(t, postgres.url)
  await t.rejects(startRelay(t, { DATABASE_URL: url, LOG_LEVEL: 'silent' }), {
    message:
      /^the relay stopped \(1\):\nalert-relay: DATABASE_URL leads through a pooler [^\n]*: set REDIS_URL[^\n]*\n?$/,
  })
})
