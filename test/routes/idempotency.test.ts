import t from 'tap'
import { createDocument } from '../../src/http.js'
import type { AuditEntry } from '../../src/core/access/audit.js'
import { EXAMPLE_SOURCE } from '../../src/core/source/own-source.js'
import { createTestApp, TEST_KEY } from '../helpers/app.js'
import { injectUntilAccepted } from '../helpers/inject.js'
import { createReceiver } from '../helpers/receiver.js'

/** POSTs that make and send nothing, or that change nothing when they are repeated. */
const NOTHING_MADE = ['receiveSnsMessage', 'approveTopic', 'testFilter', 'previewWebhook', 'testSource']

type Response = Awaited<ReturnType<typeof injectUntilAccepted>>

interface Operation {
  operationId: string
  parameters?: { name: string }[]
  responses: object
}

t.test('every POST that makes or sends something takes an Idempotency-Key', async (t) => {
  const { paths } = (await createDocument()) as { paths: Record<string, { post?: Operation }> }
  const posts = Object.values(paths).flatMap(({ post }) => post ?? [])
  const taking = posts.filter(({ parameters = [] }) => parameters.some(({ name }) => name === 'idempotency-key'))
  t.same(
    posts.filter((post) => !taking.includes(post)).map(({ operationId }) => operationId),
    NOTHING_MADE,
  )
  for (const { operationId, responses } of taking) t.ok('422' in responses, `${operationId} may answer a mismatch`)
})

t.test('a request that is repeated with its key is done once and has the first answer', async (t) => {
  const app = await createTestApp(t)
  const receiver = await createReceiver()
  t.teardown(() => receiver.close())
  const inject = (key: string, url: string, payload?: object, apiKey = TEST_KEY) =>
    injectUntilAccepted(app.http, {
      ...{ method: 'POST', url, payload },
      headers: { authorization: `Bearer ${apiKey}`, 'idempotency-key': key },
    })
  const made = await app.api('POST', '/v1/webhooks', { url: receiver.url })
  const { id } = made.json<{ id: string }>()
  const matched = await app.api('POST', '/v1/rule-matches', { rule_matches: [{ rule: 'r', context: { a: ['b'] } }] })
  const { event_id: eventId } = matched.json<{ alerts: { event_id: string }[] }>().alerts[0]!
  const replayed = await app.api('POST', `/v1/events/${eventId}/replay`, {})
  const [deliveryId] = replayed.json<{ deliveries: string[] }>().deliveries
  const audited = async () => (await app.api('GET', '/v1/audit?limit=200')).json<{ data: AuditEntry[] }>().data.length

  const requests: { url: string; body?: object; other: object; entries: number }[] = [
    { url: '/v1/webhooks', body: { url: receiver.url, name: 'one' }, other: { url: receiver.url }, entries: 1 },
    { url: '/v1/keys', body: { name: 'one', scope: 'read' }, other: { name: 'one', scope: 'write' }, entries: 1 },
    { url: `/v1/webhooks/${id}/secret/rotate`, body: {}, other: { overlap_s: 60 }, entries: 1 },
    { url: '/v1/sources', body: EXAMPLE_SOURCE, other: { ...EXAMPLE_SOURCE, name: 'another' }, entries: 1 },
    {
      url: `/v1/webhooks/${id}/recover`,
      body: { since: '2026-01-01T00:00:00Z' },
      other: { since: '2026-01-02T00:00:00Z' },
      entries: 1,
    },
    { url: `/v1/events/${eventId}/replay`, body: {}, other: { webhook_ids: [id] }, entries: 1 },
    { url: `/v1/deliveries/${deliveryId}/retry`, other: { x: 1 }, entries: 1 },
    { url: '/v1/deliveries/retry', body: { status: 'pending' }, other: {}, entries: 0 },
    { url: `/v1/webhooks/${id}/test`, other: { x: 1 }, entries: 0 },
  ]
  for (const { url, body, other, entries } of requests) {
    await t.test(url, async (t) => {
      const before = await audited()
      const both = await Promise.all([inject('k', url, body), inject('k', url, body)])
      // whichever came first
      const [first, concurrent] = both.sort((a, b) => a.statusCode - b.statusCode) as [Response, Response]
      const again = await inject('k', url, body)
      t.ok(first.statusCode < 300, first.body)
      t.equal(again.statusCode, first.statusCode)
      t.equal(again.body, first.body)
      t.equal(again.headers.location, first.headers.location)
      // a test that is not over cannot be answered yet
      if (concurrent.statusCode !== 409) t.equal(concurrent.body, first.body)
      else t.match(concurrent.json(), { type: /conflict/, detail: /is not over/ })
      t.equal(await audited(), before + entries)
      t.match((await inject('k', url, other)).json(), { type: /idempotency_mismatch/ })
      t.equal(await audited(), before + entries)
    })
  }
  t.equal(receiver.received.length, 1, 'the test was sent once')

  await t.test('the key belongs to the API key, the route and its parameters', async (t) => {
    const { key } = (await inject('other', '/v1/keys', { name: 'b', scope: 'admin' })).json<{ key: string }>()
    const body = { url: receiver.url, name: 'one' }
    const mine = (await inject('k', '/v1/webhooks', body)).json<{ id: string }>()
    const theirs = (await inject('k', '/v1/webhooks', body, key)).json<{ id: string }>()
    t.not(theirs.id, mine.id)
    t.match((await inject('k', `/v1/webhooks/${mine.id}/test`)).json(), { type: /idempotency_mismatch/ })
  })

  await t.test('a request that was refused leaves its key unused', async (t) => {
    t.equal((await inject('fresh', '/v1/webhooks', { url: 'https://127.0.0.1.example:99999/' })).statusCode, 400)
    t.equal((await inject('fresh', '/v1/webhooks', { url: receiver.url })).statusCode, 201)
  })

  await t.test('an answer keeps every digit', async (t) => {
    const send = () =>
      injectUntilAccepted(app.http, {
        ...{ method: 'POST', url: '/v1/webhooks' },
        payload: `{"url":"${receiver.url}","filter":{"n":[12345678901234567890.5]}}`,
        headers: {
          authorization: `Bearer ${TEST_KEY}`,
          'idempotency-key': 'digits',
          'content-type': 'application/json',
        },
      })
    const first = await send()
    t.match(first.body, '12345678901234567890.5')
    t.equal((await send()).body, first.body)
  })
})
