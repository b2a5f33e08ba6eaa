import { readFile, writeFile } from 'node:fs/promises'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { SAMPLE_CHANGE } from '../../src/core/event/sample.js'
import { createTestDatabaseUrl, createTestDataDir, relayRedisUrl } from '../helpers/backends.js'
import { createReceiver, type Receiver, type Respond } from '../helpers/receiver.js'
import { startRelay, type Relay } from '../helpers/relay.js'
import { createSnsPublisher, TEST_TOPIC, type SnsPublisher } from '../helpers/sns-publisher.js'
import { until } from '../helpers/until.js'

const embedded = !process.env.TEST_DATABASE_URL && 'an embedded database is for one process'
const CLI = join(import.meta.dirname, '../../dist/cli.js')

interface Delivery {
  id: string
  status: string
  reason: string | null
  attempt_count: number
  next_attempt_at: string | null
  webhook_id: string
}

async function publisherFor(t: Test): Promise<SnsPublisher> {
  const publisher = await createSnsPublisher()
  await publisher.serve()
  t.teardown(() => publisher.close())
  return publisher
}

async function relayFor(t: Test, publisher: SnsPublisher, settings: Record<string, string> = {}): Promise<Relay> {
  return startRelay(t, { SNS_TOPICS: TEST_TOPIC, SNS_EMULATOR: publisher.origin, ...settings })
}

async function receiverFor(
  t: Test,
  relay: Relay,
  respond?: Respond,
): Promise<{ receiver: Receiver; webhookId: string }> {
  const receiver = await createReceiver(respond ? { respond } : {})
  t.teardown(() => receiver.close())
  const { status, body } = await relay.api<{ id: string; secret: string }>('POST', '/v1/webhooks', {
    url: receiver.url,
  })
  t.equal(status, 201)
  receiver.secrets = [body.secret]
  return { receiver, webhookId: body.id }
}

/** What the API lists at the path, once it is right. */
async function deliveriesOnce(
  relay: Relay,
  path: string,
  areRight: (deliveries: Delivery[]) => boolean,
): Promise<Delivery[]> {
  return until(async () => (await relay.api<{ data: Delivery[] }>('GET', path)).body.data, areRight)
}

/** An attempt that takes long is recorded twice: when it is found to, and when it is over. */
function wereTried(deliveries: Delivery[]): boolean {
  return deliveries.length > 0 && deliveries.every(({ attempt_count: count }) => count > 0)
}

const seed = JSON.stringify(SAMPLE_CHANGE)

t.test('SNS subscribes and publishes; the webhook receives every change, signed', async (t) => {
  const publisher = await publisherFor(t)
  const relay = await relayFor(t, publisher)
  const { receiver, webhookId } = await receiverFor(t, relay)

  const confirmation = publisher.subscriptionConfirmation({ version: '2' })
  for (const answer of [await relay.sns(confirmation), await relay.sns(confirmation)]) {
    t.match(answer, { status: 200, body: { result: 'confirmed' } })
  }
  t.equal(publisher.confirmations, 2, 'confirming is idempotent: SNS sends confirmations twice')

  const { status, body } = await relay.sns(publisher.notification({ message: seed, subject: 'An alert' }))
  t.match({ status, body }, { status: 200, body: { result: 'stored', event_id: /^evt_/ } })
  const [request] = await receiver.waitFor(1)
  t.ok(request!.verified, 'the standardwebhooks library verifies it')
  t.equal(request!.id, body.event_id)
  t.match(request!.headers, {
    'content-type': 'application/json',
    'user-agent': /^alert-relay\/\d/,
    'x-alert-relay-attempt': '1',
  })
  t.match(request!.json, {
    updated_alert: { id: SAMPLE_CHANGE.updated_alert.id, title: 'AWS Root Credentials Change' },
    relay: { event_id: body.event_id, type: 'alert.created', sequence: 1, topic_arn: TEST_TOPIC },
  })

  await relay.sns(publisher.notification({ message: '{"source":"aws.guardduty"}' }))
  const [, finding] = await receiver.waitFor(2)
  t.match(finding!.json, { message: { source: 'aws.guardduty' }, relay: { type: 'sns.notification' } })

  const event = await relay.api('GET', `/v1/events/${String(body.event_id)}`)
  t.same(event.body.body, request!.json, 'the API shows the body that was sent')
  const { body: topic } = await relay.api('GET', `/v1/topics/${encodeURIComponent(TEST_TOPIC)}`)
  t.match(topic, { arn: TEST_TOPIC, status: 'confirmed', last_event_at: String })
  const deliveries = await deliveriesOnce(
    relay,
    `/v1/webhooks/${webhookId}/deliveries?status=succeeded`,
    (succeeded) => succeeded.length === 2,
  )
  const { body: delivery } = await relay.api('GET', `/v1/deliveries/${deliveries[1]!.id}`)
  t.match(delivery, {
    status: 'succeeded',
    attempt_count: 1,
    attempts: [{ number: 1, outcome: 'succeeded', status_code: 204 }],
  })
  t.equal(await relay.stop(), 0, 'SIGTERM ends it with 0')
  for (const line of relay.lines) t.notMatch(line, receiver.secrets[0]!, 'no log line holds the secret')
})

t.test('the same MessageId 50 times at once is one event, 50 times 200', async (t) => {
  const publisher = await publisherFor(t)
  const relay = await relayFor(t, publisher)
  const { receiver } = await receiverFor(t, relay)
  const message = publisher.notification({ message: seed })
  const answers = await Promise.all(Array.from({ length: 50 }, () => relay.sns(message)))
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.equal(answers.filter(({ body }) => body.result === 'stored').length, 1)
  await relay.sns(publisher.notification({ message: 'the last' }))
  await receiver.waitFor((received) => received.some(({ body }) => body.includes('the last')))
  t.equal(receiver.received.length, 2)
  const { body } = await relay.api<{ data: unknown[] }>('GET', '/v1/events')
  t.equal(body.data.length, 2)
})

t.test('one event to 100 webhooks of which one is down: 99 receive once, the one by its retry', async (t) => {
  const publisher = await publisherFor(t)
  const relay = await relayFor(t, publisher)
  const up = await createReceiver()
  t.teardown(() => up.close())
  const down = await createReceiver()
  await down.close()
  const secrets: string[] = []
  for (let i = 0; i < 100; i++) {
    const url = i === 42 ? down.url : `${up.url}/${i}`
    const { body } = await relay.api<{ secret: string }>('POST', '/v1/webhooks', { url })
    secrets.push(body.secret)
  }
  up.secrets = secrets
  const { body } = await relay.sns(publisher.notification({ message: seed }))
  await up.waitFor(99)
  const [retry] = await deliveriesOnce(
    relay,
    `/v1/events/${String(body.event_id)}/deliveries?status=pending`,
    (pending) => pending.length === 1 && wereTried(pending),
  )
  const { body: delivery } = await relay.api<{ attempts: { started_at: string; duration_ms: number }[] }>(
    'GET',
    `/v1/deliveries/${retry!.id}`,
  )
  const { started_at: startedAt, duration_ms: durationMs } = delivery.attempts[0]!
  const waits = Date.parse(retry!.next_attempt_at!) - Date.parse(startedAt) - durationMs
  // 10 s and up to a fifth; a duration is rounded
  t.ok(waits > 9_990 && waits < 14_000, `twice 5 s after an attempt that nobody answered: ${waits} ms`)
  const back = await createReceiver({ port: down.port, secret: secrets[42]! })
  t.teardown(() => back.close())
  const [request] = await back.waitFor(1, { timeoutMs: 25_000 })
  t.ok(request!.verified)
  t.equal(request!.id, body.event_id, 'webhook-id is unchanged')
  t.equal(request!.attempt, 2)
  t.equal(request!.body, up.received[0]!.body, 'the body is unchanged')
  t.equal(up.received.length, 99)
  t.same(new Set(up.received.map(({ path }) => path)).size, 99, 'each of the 99 once')
  t.ok(up.received.every(({ verified }) => verified))
})

t.test('kill -9 between 200 and delivery, then start: delivered', async (t) => {
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

t.test('a deleted webhook gets nothing more, and its waiting delivery says so', async (t) => {
  const publisher = await publisherFor(t)
  const relay = await relayFor(t, publisher)
  const { receiver, webhookId } = await receiverFor(t, relay, () => ({ status: 500, body: 'no\u0000 <b>' }))
  await relay.sns(publisher.notification({ message: seed }))
  await receiver.waitFor(1)
  const path = `/v1/webhooks/${webhookId}/deliveries`
  const deliveries = await deliveriesOnce(relay, path, wereTried)
  t.match(deliveries, [{ status: 'pending', attempt_count: 1 }])
  const { body } = await relay.api('GET', `/v1/deliveries/${deliveries[0]!.id}`)
  t.match(body, { attempts: [{ outcome: 'rejected', status_code: 500, response_body: 'no\ufffd <b>' }] })
  t.equal((await relay.api('DELETE', `/v1/webhooks/${webhookId}`)).status, 204)
  t.match((await relay.api<{ data: Delivery[] }>('GET', path)).body.data, [
    { status: 'dropped', reason: 'the webhook was deleted', next_attempt_at: null },
  ])
  const retry = await relay.api('POST', `/v1/deliveries/${deliveries[0]!.id}/retry`)
  t.match(retry, { status: 409, body: { type: 'urn:alert-relay:problem:conflict' } })
})

t.test('a retry by hand, a replay, and a disabled webhook that is enabled again', async (t) => {
  const publisher = await publisherFor(t)
  const relay = await relayFor(t, publisher)
  const { receiver, webhookId } = await receiverFor(t, relay, (_request, count) => ({
    status: count === 1 ? 503 : 200,
  }))
  const { body: receipt } = await relay.sns(publisher.notification({ message: seed }))
  await receiver.waitFor(1)
  const [first] = await deliveriesOnce(relay, `/v1/webhooks/${webhookId}/deliveries`, wereTried)
  const retried = await relay.api('POST', `/v1/deliveries/${first!.id}/retry`)
  t.match(retried, { status: 202, body: { status: /pending|succeeded/ } })
  await receiver.waitFor(2)
  t.equal(receiver.received[1]!.attempt, 2)

  const replayed = await relay.api('POST', `/v1/events/${String(receipt.event_id)}/replay`, {})
  t.match(replayed, { status: 202, body: { deliveries: [first!.id] } })
  await receiver.waitFor(3)
  t.same(new Set(receiver.received.map(({ id }) => id)), new Set([receipt.event_id]), 'one webhook-id')
  t.same(new Set(receiver.received.map(({ body }) => body)).size, 1, 'one body')

  receiver.respond = () => ({ status: 500 })
  const { body: second } = await relay.sns(publisher.notification({ message: 'second' }))
  await receiver.waitFor(4)
  await relay.api('PATCH', `/v1/webhooks/${webhookId}`, { status: 'disabled' })
  receiver.respond = () => ({ status: 200 })
  const held = `/v1/events/${String(second.event_id)}/deliveries`
  const [delivery] = await deliveriesOnce(
    relay,
    held,
    ([delivery]) => delivery?.reason === 'held: the webhook is disabled',
  )
  t.match(delivery, { status: 'pending', next_attempt_at: null, attempt_count: 1 })
  t.equal(receiver.received.length, 4, 'nothing is sent to a disabled webhook')
  await relay.api('PATCH', `/v1/webhooks/${webhookId}`, { status: 'enabled' })
  await receiver.waitFor(5, { timeoutMs: 20_000 })
  t.equal(receiver.received[4]!.id, second.event_id)
})

t.test('SIGTERM with an attempt under way lets it finish', async (t) => {
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

t.test('without SNS_TOPICS a topic waits for approval', async (t) => {
  const publisher = await publisherFor(t)
  const relay = await relayFor(t, publisher, { SNS_TOPICS: '' })
  const notAllowed = { status: 403, body: { type: 'urn:alert-relay:problem:topic_not_allowed' } }
  t.match(await relay.sns(publisher.notification({ message: seed })), notAllowed)
  t.match(await relay.sns(publisher.unsubscribeConfirmation()), notAllowed)
  t.equal(publisher.certificateFetches, 0, 'a stranger makes no network call')
  t.match(await relay.sns(publisher.subscriptionConfirmation()), { status: 200, body: { result: 'pending' } })
  t.equal(publisher.confirmations, 0)
  t.match(await relay.sns(publisher.notification({ message: seed })), notAllowed)
  const topic = `/v1/topics/${encodeURIComponent(TEST_TOPIC)}`
  t.match((await relay.api('GET', '/v1/topics?status=pending')).body, {
    data: [{ arn: TEST_TOPIC, status: 'pending' }],
  })
  t.match(await relay.api('POST', `${topic}/approve`), { status: 200, body: { status: 'confirmed' } })
  t.equal(publisher.confirmations, 1)
  t.match(await relay.api('POST', `${topic}/approve`), { status: 404 })
  t.match(await relay.sns(publisher.notification({ message: seed })), { status: 200 })
  t.match(await relay.sns(publisher.unsubscribeConfirmation()), { status: 200, body: { result: 'unsubscribed' } })
  t.equal(publisher.confirmations, 1, 'the SubscribeURL of an UnsubscribeConfirmation is never followed')
  t.match((await relay.api('GET', topic)).body, { status: 'unsubscribed' })
  t.equal((await relay.api('DELETE', topic)).status, 204)
  t.match(await relay.sns(publisher.notification({ message: seed })), notAllowed)
})

t.test(
  'a flush of Redis between 200 and delivery: delivered',
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

t.test('API and workers apart: a worker that is killed leaves its work to the other', { skip: embedded }, async (t) => {
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
})

t.test('a wrong setting stops the process with one line', async (t) => {
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

t.test('one DATA_DIR is for one process, and its keys belong to its database', async (t) => {
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
