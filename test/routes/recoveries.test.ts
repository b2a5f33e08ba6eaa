import t, { type Test } from 'tap'
import type { Delivery, DeliveryWithAttempts } from '../../src/core/delivery/delivery.js'
import type { Recovery } from '../../src/core/delivery/recovery.js'
import { newId } from '../../src/core/platform/id.js'
import { createTestApp, type TestApp } from '../helpers/app.js'
import { createReceiver, type Respond } from '../helpers/receiver.js'
import { until } from '../helpers/until.js'

interface Problem {
  type: string
  detail: string
  errors?: { path: string; detail: string }[]
}

const TYPE = 'urn:alert-relay:problem:'

function client(t: Test, app: TestApp) {
  const { api } = app
  return {
    api,
    async addWebhook(respond: Respond, fields: object = {}) {
      const receiver = await createReceiver({ respond })
      t.teardown(() => receiver.close())
      const made = await api('POST', '/v1/webhooks', { url: receiver.url, ...fields })
      const { id, secret } = made.json<{ id: string; secret: string }>()
      receiver.secrets = [secret]
      return { receiver, id }
    },
    /** Creates an event. @returns its id */
    async match(rule: string) {
      const answer = await api('POST', '/v1/rule-matches', { rule_matches: [{ rule, context: { rule: [rule] } }] })
      return answer.json<{ alerts: { event_id: string }[] }>().alerts[0]!.event_id
    },
    deliveries: async (query: string) =>
      (await api('GET', `/v1/deliveries?${query}`)).json<{ data: Delivery[] }>().data,
  }
}

t.test('recoveries and retries work over the API', async (t) => {
  const app = await createTestApp(t)
  app.startWorkers()
  const { api, addWebhook, match, deliveries } = client(t, app)
  const taken = await addWebhook(() => ({ status: 200 }))
  const { receiver, id } = await addWebhook(() => ({ status: 410 }))
  const events = [await match('first')]
  await until(
    () => deliveries('status=dead'),
    (dead) => dead.length === 1,
  )
  // the 410 is recorded with the delivery; the webhook is disabled right after
  await until(
    async () => (await api('GET', `/v1/webhooks/${id}`)).json<{ status: string }>(),
    ({ status }) => status === 'disabled',
  )

  await t.test('a disabled webhook is not recovered', async (t) => {
    const refused = await api('POST', `/v1/webhooks/${id}/recover`, { since: '2020-01-01T00:00:00Z' })
    t.equal(refused.statusCode, 409)
    t.match(refused.json(), { type: `${TYPE}conflict`, detail: 'This webhook is disabled: enable it, then recover.' })
    t.match((await api('GET', `/v1/webhooks/${id}`)).json(), { disabled_reason: 'the receiver answered 410 Gone' })
  })

  await t.test('an invalid request is refused with its field', async (t) => {
    await api('PATCH', `/v1/webhooks/${id}`, { status: 'enabled' })
    const cases: [object, string, RegExp][] = [
      [{}, '/since', /is required/],
      [{ since: 'yesterday' }, '/since', /date-time/],
      [{ since: 5 }, '/since', /must be string/],
      [{ since: '2999-01-01T00:00:00Z' }, '/since', /must be before until, or before now/],
      [{ since: '2020-01-02T00:00:00Z', until: '2020-01-02T00:00:00Z' }, '/since', /must be before until/],
      [{ since: '2020-01-02T00:00:00Z', until: '2020-01-01T00:00:00Z' }, '/since', /must be before until/],
      [{ since: '2020-01-01T00:00:00Z', until: 'now' }, '/until', /date-time/],
      [{ since: '2020-01-01T00:00:00Z', status: 'dead' }, '/status', /./],
    ]
    for (const [body, path, detail] of cases) {
      const answer = await api('POST', `/v1/webhooks/${id}/recover`, body)
      t.equal(answer.statusCode, 400, JSON.stringify(body))
      const problem = answer.json<Problem>()
      t.equal(problem.type, `${TYPE}invalid_request`)
      t.match(problem.errors, [{ path, detail }], JSON.stringify(body))
    }
    const leap = await api('POST', `/v1/webhooks/${id}/recover`, { since: '0000-01-01T00:00:00Z' })
    t.equal(leap.statusCode, 400, 'a time that cannot be compared with')
    t.match((await api('GET', `/v1/webhooks/${id}/recoveries`)).json(), { data: [], next_cursor: null })
    for (const [method, url] of [
      ['POST', `/v1/webhooks/${newId('wh')}/recover`],
      ['GET', `/v1/recoveries/${newId('rec')}`],
    ] as const) {
      const answer = await api(method, url, method === 'POST' ? { since: '2020-01-01T00:00:00Z' } : undefined)
      t.equal(answer.statusCode, 404)
      t.match(answer.json(), { type: `${TYPE}not_found` })
    }
  })

  await t.test(
    'failed and missed deliveries are delivered again in the background, with visible progress',
    async (t) => {
      receiver.respond = () => ({ status: 200 })
      const later = await addWebhook(() => ({ status: 200 }))
      const sent = receiver.received.length
      const foreseen = await api('POST', `/v1/webhooks/${id}/recover`, { since: '2020-01-01T00:00:00Z', dry_run: true })
      t.equal(foreseen.statusCode, 200, 'a dry run')
      t.match(foreseen.json(), { deliveries: 1, webhooks: [{ webhook_id: id, deliveries: 1 }], is_complete: true })
      t.equal(foreseen.json<{ oldest: string }>().oldest, foreseen.json<{ newest: string }>().newest)
      const before = await api('POST', `/v1/webhooks/${id}/recover`, {
        ...{ since: '2020-01-01T00:00:00Z', until: '2020-01-02T00:00:00Z', dry_run: true },
      })
      t.same(before.json(), { deliveries: 0, webhooks: [], oldest: null, newest: null, is_complete: true })
      t.match((await api('GET', `/v1/webhooks/${id}/recoveries`)).json(), { data: [] }, 'which began nothing')
      const made: Recovery[] = []
      for (const webhookId of [id, later.id]) {
        const answer = await api('POST', `/v1/webhooks/${webhookId}/recover`, { since: '2020-01-01T00:00:00Z' })
        t.equal(answer.statusCode, 202)
        const recovery = answer.json<Recovery>()
        made.push(recovery)
        t.equal(answer.headers.location, `/v1/recoveries/${recovery.id}`)
        t.match(recovery, {
          id: /^rec_[0-9a-f]{32}$/,
          webhook_id: webhookId,
          status: 'running',
          since: '2020-01-01T00:00:00.000Z',
          until: recovery.created_at,
          events_examined: 0,
          deliveries_queued: 0,
        })
      }
      await app.upkeep()!.runOnce()
      for (const { id } of made) {
        const shown = await until(
          async () => (await api('GET', `/v1/recoveries/${id}`)).json<Recovery>(),
          ({ status }) => status !== 'running',
        )
        t.equal(shown.status, 'done')
        t.equal(shown.deliveries_queued, 1)
        t.ok(shown.events_examined >= 1)
      }
      t.same(
        (await api('GET', `/v1/webhooks/${id}/recoveries`)).json<{ data: Recovery[] }>().data.map(({ id }) => id),
        [made[0]!.id],
      )
      await receiver.waitFor(sent + 1)
      await later.receiver.waitFor(1)
      for (const request of [receiver.received.at(-1)!, later.receiver.received[0]!]) {
        t.match(request, { id: events[0], verified: true })
        t.equal(request.headers['x-alert-relay-replay'], 'true')
      }
      t.match(await deliveries(`webhook_id=${later.id}`), [{ event_id: events[0], replay: true }])
      await api('DELETE', `/v1/webhooks/${later.id}`)
    },
  )

  await t.test('dead deliveries are listed, and retried in bulk by a filter', async (t) => {
    receiver.respond = () => ({ status: 410 })
    events.push(await match('second'))
    const dead = await until(
      () => deliveries(`status=dead&webhook_id=${id}`),
      (dead) => dead.length === 1,
    )
    t.match(dead, [{ event_id: events[1], status: 'dead', reason: 'the receiver answered 410 Gone', attempt_count: 1 }])
    t.match(dead, [{ event_type: 'alert.created', title: 'second', severity: 'info' }], 'what it was of')
    const [attempt] = (await api('GET', `/v1/deliveries/${dead[0]!.id}`)).json<DeliveryWithAttempts>().attempts
    const { number, outcome, status_code: statusCode, error, started_at: startedAt } = attempt!
    t.same(dead[0]!.last_attempt, { number, outcome, status_code: statusCode, error, started_at: startedAt })
    t.equal(statusCode, 410)
    t.same(await deliveries(`status=dead&webhook_id=${taken.id}`), [])
    t.same(await deliveries('status=dead&until=2020-01-01T00:00:00Z'), [])
    await until(
      () => deliveries(`status=succeeded&event_id=${events[1]}`),
      (succeeded) => succeeded.length === 1,
    )
    await api('PATCH', `/v1/webhooks/${id}`, { status: 'enabled' })
    receiver.respond = () => ({ status: 200 })
    const sent = receiver.received.length
    const retry = async (body: object) => (await api('POST', '/v1/deliveries/retry', body)).json<object>()
    const none = { retried: 0, has_more: false }
    t.same(await retry({ webhook_id: taken.id }), none)
    t.same(await retry({ event_type: 'sns.notification' }), none)
    t.same(await retry({ until: '2020-01-01T00:00:00Z' }), none)
    t.same(await retry({ since: '2999-01-01T00:00:00Z' }), none)
    const dryRun = await api('POST', '/v1/deliveries/retry', { dry_run: true })
    t.equal(dryRun.statusCode, 200)
    t.same(dryRun.json(), {
      deliveries: 1,
      webhooks: [{ webhook_id: id, deliveries: 1 }],
      oldest: dead[0]!.created_at,
      newest: dead[0]!.created_at,
      is_complete: true,
    })
    t.equal((await deliveries('status=dead')).length, 1, 'it is dead as before')
    t.same(await retry({ status: 'dead', webhook_id: id, event_type: 'alert.created' }), {
      retried: 1,
      has_more: false,
    })
    const received = await receiver.waitFor(sent + 1)
    t.match(received.at(-1), { id: events[1], attempt: 2 })
    t.equal(received.at(-1)!.headers['x-alert-relay-replay'], undefined, 'a retry is no replay')
    await until(
      () => deliveries(`event_id=${events[1]}&webhook_id=${id}`),
      ([delivery]) => delivery?.last_attempt?.number === 2 && delivery.last_attempt.status_code === 200,
    )
    await until(
      () => deliveries('status=dead'),
      (dead) => dead.length === 0,
    )
  })

  await t.test('a failed test is not retried in bulk: whoever asked for it had its answer', async (t) => {
    receiver.respond = () => ({ status: 500 })
    t.match((await api('POST', `/v1/webhooks/${id}/test`)).json(), { status: 'dead' })
    const retried = await api('POST', '/v1/deliveries/retry', { webhook_id: id })
    t.same(retried.json(), { retried: 0, has_more: false })
    receiver.respond = () => ({ status: 200 })
  })

  await t.test('an invalid bulk retry is refused with its field', async (t) => {
    const cases: [object, string][] = [
      [{ status: 'succeeded' }, '/status'],
      [{ webhook_id: 'wh_1' }, '/webhook_id'],
      [{ event_type: 'alert.closed' }, '/event_type'],
      [{ since: 'yesterday' }, '/since'],
      [{ event_id: newId('evt') }, '/event_id'],
    ]
    for (const [body, path] of cases) {
      const answer = await api('POST', '/v1/deliveries/retry', body)
      t.equal(answer.statusCode, 400, path)
      t.match(answer.json(), { type: `${TYPE}invalid_request`, errors: [{ path }] })
    }
    t.equal((await api('GET', '/v1/deliveries?status=lost')).statusCode, 400)
  })

  await t.test('a replay and a manual retry while a retry is pending make one attempt', async (t) => {
    const { receiver, id } = await addWebhook((_request, count) => ({ status: count === 1 ? 500 : 200 }))
    const event = await match('third')
    const [waiting] = await until(
      () => deliveries(`webhook_id=${id}&status=pending`),
      (pending) => pending[0]?.attempt_count === 1,
    )
    const replayed = await api('POST', `/v1/events/${event}/replay`, { webhook_ids: [id] })
    t.same(replayed.json(), { deliveries: [waiting!.id] })
    await receiver.waitFor(2)
    const [over] = await until(
      () => deliveries(`webhook_id=${id}`),
      ([delivery]) => delivery!.status === 'succeeded',
    )
    t.match(over, { id: waiting!.id, attempt_count: 2, replay: true })
    t.same(
      receiver.received.map(({ id, attempt, headers }) => [id, attempt, headers['x-alert-relay-replay']]),
      [
        [event, 1, undefined],
        [event, 2, 'true'],
      ],
    )
    await app.upkeep()!.runOnce()
    t.equal(receiver.received.length, 2)
  })

  await t.test('a delivery to a failing webhook shows why it waits, and a manual retry is the probe', async (t) => {
    const { receiver, id } = await addWebhook(() => ({ status: 500 }))
    const last = []
    for (let i = 0; i < 6; i++) {
      last.push(await match(`failing-${i}`))
      await until(
        () => deliveries(`webhook_id=${id}`),
        (all) =>
          all.length === i + 1 && all.every(({ attempt_count: count }, j) => count === 1 || (i === 5 && j === 0)),
      )
    }
    t.match((await api('GET', `/v1/webhooks/${id}`)).json(), {
      health: 'failing',
      last_failure: 'rejected: status 500',
    })
    t.match((await api('GET', '/v1/webhooks?health=failing')).json(), { data: [{ id }] })
    const [waiting] = await deliveries(`webhook_id=${id}&event_id=${last[5]}`)
    t.match(waiting, { status: 'pending', reason: /^waits: the webhook is failing/ })
    const sent = receiver.received.length
    receiver.respond = () => ({ status: 200 })
    t.equal((await api('POST', `/v1/deliveries/${waiting!.id}/retry`)).statusCode, 202)
    await receiver.waitFor(sent + 1)
    await until(
      async () => (await api('GET', `/v1/webhooks/${id}`)).json<{ health: string }>().health,
      (health) => health !== 'failing',
    )
  })
})
