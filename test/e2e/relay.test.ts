import t from 'tap'
import { SAMPLE_CHANGE } from '../../src/core/event/sample.js'
import {
  deliveriesOnce,
  publisherFor,
  receiverFor,
  relayFor,
  seed,
  wereTried,
  type Delivery,
} from '../helpers/end-to-end.js'
import { createReceiver } from '../helpers/receiver.js'
import { TEST_TOPIC } from '../helpers/sns-publisher.js'

t.test('a webhook receives every change that SNS publishes, signed', async (t) => {
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

t.test('the same MessageId sent 50 times at once makes one event, and each request gets 200', async (t) => {
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

t.test('of 100 webhooks 99 receive an event once, and the failing one by its retry', async (t) => {
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
  // 10 s plus up to a fifth; durations are rounded
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

t.test('a deleted webhook receives nothing more, and its pending delivery has that reason', async (t) => {
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

t.test('a manual retry, a replay, and enabling a disabled webhook deliver the event', async (t) => {
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
  const deliveriesPath = `/v1/events/${String(second.event_id)}/deliveries`
  const [delivery] = await deliveriesOnce(
    relay,
    deliveriesPath,
    ([delivery]) => delivery?.reason === 'held: the webhook is disabled',
  )
  t.match(delivery, { status: 'pending', next_attempt_at: null, attempt_count: 1 })
  t.equal(receiver.received.length, 4, 'nothing is sent to a disabled webhook')
  await relay.api('PATCH', `/v1/webhooks/${webhookId}`, { status: 'enabled' })
  await receiver.waitFor(5, { timeoutMs: 20_000 })
  t.equal(receiver.received[4]!.id, second.event_id)
})

t.test('without SNS_TOPICS a topic needs approval', async (t) => {
  const publisher = await publisherFor(t)
  const relay = await relayFor(t, publisher, { SNS_TOPICS: '' })
  const notAllowed = { status: 403, body: { type: 'urn:alert-relay:problem:topic_not_allowed' } }
  const waits = { status: 503, body: { type: 'urn:alert-relay:problem:topic_pending' } }
  t.match(await relay.sns(publisher.unsubscribeConfirmation()), notAllowed)
  t.equal(publisher.certificateFetches, 0, 'a stranger makes no network call')
  t.match(await relay.sns(publisher.subscriptionConfirmation()), { status: 200, body: { result: 'pending' } })
  t.equal(publisher.confirmations, 0)
  t.match(await relay.sns(publisher.notification({ message: seed })), waits)
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
  t.match(await relay.sns(publisher.notification({ message: seed })), waits)
})
