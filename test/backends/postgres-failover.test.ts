import pg from 'pg'
import t, { type Test } from 'tap'
import { createReceiver } from '../helpers/receiver.js'
import { startRelay } from '../helpers/relay.js'
import { startPostgres, startRedis } from '../helpers/servers.js'
import { mountSmallDisk } from '../helpers/small-disk.js'
import { createSnsPublisher, TEST_TOPIC } from '../helpers/sns-publisher.js'
import { startProxy } from '../helpers/tcp-proxy.js'
import { until } from '../helpers/until.js'

const MANY = 60
/** Enough for a pool of sessions, and no load. */
const AT_ONCE = 6

async function start(t: Test, databaseUrl: string, queue: 'Redis' | 'PostgreSQL' = 'Redis') {
  const [publisher, redis] = await Promise.all([createSnsPublisher(), queue === 'Redis' ? startRedis(t) : undefined])
  await publisher.serve()
  t.teardown(() => publisher.close())
  const relay = await startRelay(t, {
    SNS_TOPICS: TEST_TOPIC,
    SNS_EMULATOR: publisher.origin,
    DATABASE_URL: databaseUrl,
    REDIS_URL: redis?.url ?? '',
  })
  const receiver = await createReceiver()
  t.teardown(() => receiver.close())
  await relay.api('POST', '/v1/webhooks', { url: receiver.url })
  let rules = 0
  const message = () => relay.sns(publisher.notification({ message: 'x'.repeat(3000) }))
  const match = () =>
    relay.api('POST', '/v1/rule-matches', { rule_matches: [{ rule: `r${rules++}`, context: { a: 'x'.repeat(3000) } }] })
  const list = () => relay.api('GET', '/v1/events?limit=1')
  /** Sixty messages, sixty rule matches and sixty lists, some at a time. @returns how often each status was answered */
  const ask = async () => {
    const [messages, matches, lists] = await Promise.all([count(message), count(match), count(list)])
    return { messages, matches, lists }
  }
  const readiness = () => relay.api('GET', '/readyz')
  /** Of a message that comes now. @returns how long it took, in milliseconds */
  const deliver = async () => {
    const before = performance.now()
    const { body } = await relay.sns(publisher.notification({ message: 'text' }))
    await receiver.waitFor((all) => all.some(({ id }) => id === body.event_id), { timeoutMs: 60_000 })
    return performance.now() - before
  }
  return { relay, ask, readiness, deliver }
}

/** Sixty requests, of which a few are under way at a time. @returns how often each status was answered */
async function count(request: () => Promise<{ status: number }>): Promise<Record<number, number>> {
  const counts: Record<number, number> = {}
  for (let asked = 0; asked < MANY; asked += AT_ONCE) {
    for (const { status } of await Promise.all(Array.from({ length: AT_ONCE }, request))) {
      counts[status] = (counts[status] ?? 0) + 1
    }
  }
  return counts
}

type Shop = Awaited<ReturnType<typeof start>>
const ALL_TAKEN = { messages: { 200: MANY }, matches: { 202: MANY }, lists: { 200: MANY } }

function noneFailed(t: Test, answers: Awaited<ReturnType<Shop['ask']>>): void {
  t.comment(JSON.stringify(answers))
  const statuses = Object.values(answers).flatMap((counts) => Object.keys(counts))
  t.same(
    statuses.filter((status) => !['200', '202', '503'].includes(status)),
    [],
    'nothing but taken or "not now"',
  )
}

/** Soon it is ready, and then everything is taken. */
async function recovers(t: Test, { relay, ask, readiness, deliver }: Shop): Promise<void> {
  const before = performance.now()
  await until(readiness, ({ status }) => status === 200)
  const took = performance.now() - before
  t.ok(took < 10_000, `ready within 10 s (${Math.round(took)} ms)`)
  t.same(await ask(), ALL_TAKEN)
  const deliveredMs = await deliver()
  t.ok(deliveredMs < 10_000, `delivered within 10 s (${Math.round(deliveredMs)} ms)`)
  t.equal(await relay.stop(), 0)
}

async function connectTo(t: Test, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'test' })
  client.on('error', () => {})
  await client.connect()
  t.teardown(() => client.end())
  return client
}

const END_SESSIONS = `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'alert-relay'`

/** A primary and a standby of it behind one address. */
async function startPair(t: Test) {
  const primary = await startPostgres(t)
  const standby = await startPostgres(t, { standbyOf: primary.url })
  const proxy = await startProxy(t, primary.url)
  return { primary, standby, proxy }
}

t.test('a primary is demoted while sessions live: none of them is used for long', async (t) => {
  const { primary, standby, proxy } = await startPair(t)
  const shop = await start(t, proxy.url)
  t.same(await shop.ask(), ALL_TAKEN)
  const client = await connectTo(t, primary.url)
  await client.query('alter system set default_transaction_read_only = on')
  await client.query('select pg_reload_conf()')
  await until(
    () => client.query('show default_transaction_read_only'),
    ({ rows }) => (rows[0] as Record<string, unknown>).default_transaction_read_only === 'on',
  )
  noneFailed(t, await shop.ask())
  t.match(await shop.readiness(), { status: 503, body: { status: 'not_ready', database: 'failed', queue: 'ok' } })
  await until(
    () => client.query('select from pg_stat_replication where replay_lsn = pg_current_wal_lsn()'),
    ({ rowCount }) => rowCount === 1,
  )
  await standby.promote()
  proxy.point(standby.url)
  await recovers(t, shop)
})

for (const queue of ['Redis', 'PostgreSQL'] as const) {
  t.test(
    `a switch-over behind one address, the queue in ${queue}: the primary stops, its standby is promoted`,
    async (t) => {
      const { primary, standby, proxy } = await startPair(t)
      const shop = await start(t, proxy.url, queue)
      t.same(await shop.ask(), ALL_TAKEN)
      const [answers] = await Promise.all([shop.ask(), primary.stop()])
      noneFailed(t, answers)
      proxy.point(standby.url)
      noneFailed(t, await shop.ask())
      t.match(await shop.readiness(), { status: 503, body: { database: 'failed' } }, 'it is a standby still')
      await standby.promote()
      await recovers(t, shop)
    },
  )
}

t.test('sessions are ended again and again while messages come', async (t) => {
  const postgres = await startPostgres(t)
  const shop = await start(t, postgres.url)
  const client = await connectTo(t, postgres.url)
  for (let round = 0; round < 5; round++) {
    const done = new AbortController()
    const answers = shop.ask().finally(() => done.abort())
    while (!done.signal.aborted) await client.query(`${END_SESSIONS} union all select pg_sleep(0.1) is null`)
    noneFailed(t, await answers)
  }
  await recovers(t, shop)
})

t.test('the server has no connection left', async (t) => {
  const postgres = await startPostgres(t, { settings: ['max_connections=14'] })
  const shop = await start(t, postgres.url)
  t.same(await shop.ask(), ALL_TAKEN)
  const client = await connectTo(t, postgres.url)
  const taken: pg.Client[] = []
  while (taken.length < 13) {
    await client.query(END_SESSIONS)
    const other = new pg.Client({ connectionString: postgres.url, application_name: 'test' })
    other.on('error', () => {})
    await other.connect().then(
      () => taken.push(other),
      () => {},
    )
  }
  noneFailed(t, await shop.ask())
  t.match(await shop.readiness(), { status: 503, body: { database: 'failed' } })
  await Promise.all(taken.map((other) => other.end()))
  await recovers(t, shop)
})

const disk = await mountSmallDisk(t, 24)

t.test('the disk is full', { skip: !disk && 'a small disk cannot be mounted here' }, async (t) => {
  const postgres = await startPostgres(t)
  await postgres.own(disk!.folder)
  const client = await connectTo(t, postgres.url)
  await client.query(`create tablespace small location '${disk!.folder}'`)
  await client.query('alter system set default_tablespace = small')
  await client.query('select pg_reload_conf()')
  const shop = await start(t, postgres.url)
  t.same(await shop.ask(), ALL_TAKEN)
  await disk!.fill()
  const answers = await shop.ask()
  noneFailed(t, answers)
  t.notMatch(answers.messages, { 200: MANY })
  t.match(await shop.readiness(), { status: 503, body: { database: 'failed' } })
  await disk!.free()
  await recovers(t, shop)
})

t.test('a standby at start is one clear line', async (t) => {
  const primary = await startPostgres(t)
  const standby = await startPostgres(t, { standbyOf: primary.url })
  await t.rejects(startRelay(t, { DATABASE_URL: standby.url, LOG_LEVEL: 'silent' }), {
    message: /^the relay stopped \(1\):\nalert-relay: DATABASE_URL [^\n]*read-only[^\n]*\n?$/,
  })
})
