import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t from 'tap'
import { createTestDatabaseUrl, createTestDataDir, relayRedisUrl } from '../helpers/backends.js'
import {
  deliveriesOnce,
  publisherFor,
  receiverFor,
  relayFor,
  seed,
  wereTried,
  type Delivery,
} from '../helpers/end-to-end.js'
import { startRelay } from '../helpers/relay.js'

const embedded = !process.env.TEST_DATABASE_URL && 'an embedded database is for one process'
const CLI = join(import.meta.dirname, '../../src/cli.js')

t.test('an event is delivered after SIGKILL between the 200 and its delivery', async (t) => {
  const publisher = await publisherFor(t)
  const relay = await relayFor(t, publisher, { API_KEYS: 'a-key-for-the-kill-test' })
  const { receiver } = await receiverFor(t, relay, () => ({ status: 200, hang: true }))
  const { status, body } = await relay.sns(publisher.notification({ message: seed }))
  t.equal(status, 200)
  await receiver.waitFor(1)
  await relay.kill()
  receiver.respond = () => ({ status: 204 })
  await relay.start()
  const received = await receiver.waitFor(2, { timeoutMs: 60_000 })
  t.ok(received[1]!.verified)
  t.equal(received[1]!.id, body.event_id)
})

t.test('SIGTERM lets a running attempt finish', async (t) => {
  const publisher = await publisherFor(t)
  const relay = await relayFor(t, publisher, { API_KEYS: 'a-key-for-the-drain-test' })
  let finish!: () => void
  const finished = new Promise<void>((resolve) => (finish = resolve))
  const { receiver } = await receiverFor(t, relay, async () => {
    await finished
    return { status: 200 }
  })
  const { body } = await relay.sns(publisher.notification({ message: seed }))
  await receiver.waitFor(1)
  const stopped = relay.stop()
  finish()
  t.equal(await stopped, 0)
  await relay.start()
  const { body: page } = await relay.api<{ data: Delivery[] }>('GET', `/v1/events/${String(body.event_id)}/deliveries`)
  t.match(page.data, [{ status: 'succeeded', attempt_count: 1 }])
  t.equal(receiver.received.length, 1)
})

t.test(
  'an event is delivered after a flush of Redis between the 200 and its delivery',
  { skip: !relayRedisUrl && 'no Redis here' },
  async (t) => {
    const publisher = await publisherFor(t)
    const relay = await relayFor(t, publisher)
    const { receiver } = await receiverFor(t, relay, (_request, count) => ({ status: count === 1 ? 500 : 200 }))
    const { body } = await relay.sns(publisher.notification({ message: seed }))
    await receiver.waitFor(1)
    const path = `/v1/events/${String(body.event_id)}/deliveries`
    await deliveriesOnce(relay, path, wereTried)
    const redis = new Redis(relayRedisUrl!)
    await redis.flushdb()
    redis.disconnect()
    const received = await receiver.waitFor(2, { timeoutMs: 30_000 })
    t.equal(received[1]!.id, body.event_id)
  },
)

t.test(
  'with separate API and workers the work of a killed worker is done by another',
  { skip: embedded },
  async (t) => {
    const publisher = await publisherFor(t)
    const shared = {
      DATABASE_URL: (await createTestDatabaseUrl(t))!,
      API_KEYS: 'a-key-for-all-roles',
      ENCRYPTION_KEY: Buffer.alloc(32, 3).toString('base64'),
    }
    const api = await relayFor(t, publisher, { ...shared, ROLE: 'api' })
    const first = await startRelay(t, { ...shared, ROLE: 'worker' })
    const { receiver } = await receiverFor(t, api, () => ({ status: 200, hang: true }))
    t.equal((await fetch(`${first.url}/v1/webhooks`)).status, 404, 'a worker has no API')
    t.equal((await fetch(`${first.url}/readyz`)).status, 200)
    const { body } = await api.sns(publisher.notification({ message: seed }))
    await receiver.waitFor(1)
    await first.kill()
    receiver.respond = () => ({ status: 204 })
    await startRelay(t, { ...shared, ROLE: 'worker' })
    const received = await receiver.waitFor(2, { timeoutMs: 60_000 })
    t.equal(received[1]!.id, body.event_id)
    t.ok(received[1]!.verified)
  },
)

t.test('an invalid setting stops the process with one line', async (t) => {
  for (const [settings, line] of [
    [{ PORT: 'eighty' }, 'alert-relay: PORT must be integer\n'],
    [{ REDIS_URL: 'redis://127.0.0.1' }, /^alert-relay: REDIS_URL needs DATABASE_URL too: .*\n$/],
    [{ ENCRYPTION_KEY: 'short' }, /^alert-relay: ENCRYPTION_KEY must be 32 bytes in base64 .*\n$/],
    [
      { DATABASE_URL: 'mysql://root:hunter2@localhost/x' },
      /^alert-relay: DATABASE_URL must be a URL that starts with postgres.*\n$/,
    ],
  ] as const) {
    const { code, stderr } = await runCli(settings)
    t.equal(code, 1)
    t.match(stderr, line)
    t.notMatch(stderr, /hunter2/)
  }
})

t.test('one process at a time may use a DATA_DIR, and its keys belong to its database', async (t) => {
  const dataDir = await createTestDataDir(t)
  await writeFile(join(dataDir, 'lock'), String(process.pid))
  const used = await runCli({ DATA_DIR: dataDir })
  t.match(used, { code: 1, stderr: /^alert-relay: DATA_DIR .* is in use by process \d+: .*\n$/ })
  await writeFile(join(dataDir, 'lock'), '999999999')
  const relay = await startRelay(t, { DATA_DIR: dataDir, DATABASE_URL: '' })
  t.match((await readFile(join(dataDir, 'api-key'), 'utf8')).trim(), /^ark_/)
  await relay.stop()
  const other = await runCli({ DATA_DIR: dataDir, ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64') })
  t.match(other, { code: 1, stderr: /^alert-relay: ENCRYPTION_KEY is not the key that sealed .*\n$/ })
})

async function runCli(settings: Record<string, string>): Promise<{ code: number; stderr: string }> {
  const child = spawn(process.execPath, [CLI, 'serve'], {
    env: { PATH: process.env.PATH, PORT: '0', LOG_LEVEL: 'silent', ...settings },
  })
  let stderr = ''
  child.stderr.on('data', (chunk) => (stderr += String(chunk)))
  const [code] = (await once(child, 'close')) as [number]
  return { code, stderr }
}
