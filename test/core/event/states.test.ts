import t from 'tap'
import { createAccept } from '../../../src/core/event/accept.js'
import { listAlerts } from '../../../src/core/alert/alert-list.js'
import { coalesceWaiting } from '../../../src/core/delivery/coalesce.js'
import { insertRecovery, stepRecovery } from '../../../src/core/delivery/recovery-store.js'
import { listEvents } from '../../../src/core/event/event-list.js'
import { quietAlerts } from '../../../src/core/event/quiet.js'
import type { JsonObject } from '../../../src/core/platform/json.js'
import { another, anotherFinding, fixtureMessage, relayAll, sendTo } from '../../helpers/findings.js'
import { createTestWorkers, type TestWorkers } from '../../helpers/workers.js'

interface Body {
  updated_alert: JsonObject
  context_diff: JsonObject
  relay: JsonObject
}

const OK = () => ({ status: 204 })
const FAILED = await fixtureMessage('securityhub-failed')
const PASSED = await fixtureMessage('securityhub-passed')

/** The control's finding that failed or passed on a day of January 2026. */
const failed = (day: number, members: JsonObject = {}) => anotherFinding(FAILED, { UpdatedAt: timeOf(day), ...members })
const passed = (day: number, members: JsonObject = {}) => anotherFinding(PASSED, { UpdatedAt: timeOf(day), ...members })
const timeOf = (day: number) => `2026-01-${day}T10:00:00.000Z`
const severe = (Label: string): JsonObject => ({ Severity: { Label } })

async function alertOf({ database }: Pick<TestWorkers, 'database'>) {
  const { data } = await listAlerts(database, {}, { limit: 10 })
  if (data.length !== 1) throw new Error(`${data.length} alerts`)
  return data[0]!
}

/** A receiver, and what of the bodies that came says how the alert fares. */
async function watched(t: Parameters<typeof createTestWorkers>[0]) {
  const workers = await createTestWorkers(t)
  const { receiver, webhook } = await workers.addWebhook(OK)
  const told = () =>
    receiver.received.map(({ json }) => {
      const { relay, updated_alert: alert } = json as Body
      return [relay.type, relay.state, alert.severity, ...(relay.previous_severity ? [relay.previous_severity] : [])]
    })
  return { workers, receiver, webhook, told }
}

t.test('a finding that is over resolves its alert, and one that is active again reopens it', async (t) => {
  const { workers, receiver, told } = await watched(t)
  await relayAll(workers, [failed(15), passed(16)])
  t.match(await alertOf(workers), { status: 'resolved', state_reason: 'passed', severity: 'high', quiet_at: null })
  t.type((await alertOf(workers)).resolved_at, 'string')
  await relayAll(workers, [passed(17), failed(18)])
  t.same(told(), [
    ['alert.created', 'active', 'high'],
    ['alert.resolved', 'resolved', 'high'],
    ['alert.updated', 'resolved', 'high'],
    ['alert.reopened', 'active', 'high'],
  ])
  const [, resolved] = receiver.received.map(({ json }) => json as Body)
  t.match(resolved, { relay: { reason: 'upstream', source: 'securityhub' }, updated_alert: { state_reason: 'passed' } })
  t.match(await alertOf(workers), { status: 'active', resolved_at: null, state_reason: null, sequence: 4 })
})

t.test('one incident of PagerDuty is triggered, resolved and triggered again', async (t) => {
  const workers = await createTestWorkers(t)
  const { receiver } = await workers.addWebhook(OK, {
    format: 'pagerduty',
    format_options: { routing_key: 'R0123456789abcdefR0123456789abcd' },
  })
  await relayAll(workers, [failed(15), passed(16), failed(17)])
  const bodies = receiver.received.map(({ json }) => json as JsonObject)
  t.same(
    bodies.map(({ event_action: action }) => action),
    ['trigger', 'resolve', 'trigger'],
  )
  t.equal(new Set(bodies.map(({ dedup_key: key }) => key)).size, 1)
})

t.test('alerts are listed by their state', async (t) => {
  const { workers } = await watched(t)
  await relayAll(workers, [failed(15), passed(16), await fixtureMessage('guardduty-new')])
  const { database } = workers
  const idsOf = async (status: 'active' | 'quiet' | 'resolved') =>
    (await listAlerts(database, { status }, { limit: 10 })).data.map(({ source }) => source)
  t.same(await idsOf('resolved'), ['securityhub'])
  t.same(await idsOf('active'), ['guardduty'])
  const later = new Date(Date.now() + 60_000)
  const queues = { addDispatches: async () => {} }
  t.equal(await quietAlerts({ database, queues }, { before: later, now: later, limit: 10 }), 1)
  t.same(await idsOf('resolved'), ['securityhub'], 'what is resolved does not become quiet')
  t.same(await idsOf('quiet'), ['guardduty'])
  await relayAll(workers, [another(await fixtureMessage('guardduty-update'))])
  t.same(await idsOf('active'), ['guardduty'])
})

t.test('changes that are coalesced have the type of what they did together', async (t) => {
  const workers = await createTestWorkers(t)
  const { receiver, webhook } = await workers.addWebhook(OK, { coalesce: true })
  const { database } = workers
  for (const messages of [[failed(10), passed(11)], [failed(12), failed(13)], [passed(14), passed(15)], [failed(16)]]) {
    await relayAll(workers, messages)
    const { id: alertId } = await alertOf(workers)
    const which = { webhookId: webhook.id, alertId }
    await coalesceWaiting(database, which, { skip: [], inOrder: false, maxBodyBytes: 1024 * 1024, now: new Date() })
    await workers.makeDue()
    await workers.work(webhook.id)
  }
  t.match(
    receiver.received.map(({ json }) => (json as Body).relay),
    [
      { type: 'alert.resolved', state: 'resolved', reason: 'upstream', changes: 2 },
      { type: 'alert.reopened', state: 'active', changes: 2 },
      { type: 'alert.resolved', state: 'resolved', reason: 'upstream', changes: 2 },
      { type: 'alert.reopened', state: 'active' },
    ],
  )
  t.equal(receiver.received.length, 4)
})

t.test('an older finding decides neither state nor title nor severity, but its values are new', async (t) => {
  const { workers, receiver, told } = await watched(t)
  const late = failed(16, { ...severe('CRITICAL'), Title: 'An old title', ProductName: 'Another product' })
  await relayAll(workers, [failed(15), passed(17), late])
  t.same(told().at(-1), ['alert.updated', 'resolved', 'high'])
  const { updated_alert: alert, context_diff: diff } = receiver.received.at(-1)!.json as Body
  t.not(alert.title, 'An old title')
  t.match(diff, { event: { provider: ['another product'] } })
  t.match(await alertOf(workers), { status: 'resolved', severity: 'high', title: alert.title })
})

t.test(
  'a finding that is over before anybody knew of it is stored and sent to nobody, until it is active',
  async (t) => {
    const { workers, webhook, told } = await watched(t)
    const { database } = workers
    const answer = await sendTo(workers.accept, passed(15))
    t.match(answer.event, { type: 'alert.resolved', unannounced: true })
    t.ok(answer.event.dispatchedAt, 'nothing waits to be dispatched')
    await relayAll(workers, [passed(16)])
    t.match(await alertOf(workers), { status: 'resolved', sequence: 2 })
    t.same(workers.dispatches, [])
    const now = new Date()
    await insertRecovery(database, webhook.id, { since: new Date(0), until: new Date(now.getTime() + 1000) }, now)
    await stepRecovery(database, workers.registry, now, 100)
    t.same((await workers.deliveriesOf(answer.event.id)).length, 0, 'nor does a recovery send it')
    await relayAll(workers, [failed(17), passed(18), failed(19)])
    t.same(told(), [
      ['alert.created', 'active', 'high'],
      ['alert.resolved', 'resolved', 'high'],
      ['alert.reopened', 'active', 'high'],
    ])
  },
)

t.test('a severity has risen when it is higher than that of any active finding before', async (t) => {
  const { workers, told } = await watched(t)
  await relayAll(workers, [
    failed(10, severe('MEDIUM')),
    failed(11, severe('HIGH')),
    passed(12),
    failed(13, severe('HIGH')),
    failed(14, severe('LOW')),
    failed(15, severe('HIGH')),
    failed(16, severe('CRITICAL')),
  ])
  t.same(told(), [
    ['alert.created', 'active', 'medium'],
    ['alert.updated', 'active', 'high', 'medium'],
    ['alert.resolved', 'resolved', 'high'],
    ['alert.reopened', 'active', 'high'],
    ['alert.updated', 'active', 'low'],
    ['alert.updated', 'active', 'high'],
    ['alert.updated', 'active', 'critical', 'high'],
  ])
})

t.test('an update time in the future counts as now', async (t) => {
  const { workers, told } = await watched(t)
  await relayAll(workers, [failed(15, { UpdatedAt: '2999-01-01T00:00:00.000Z' })])
  await relayAll(workers, [passed(16, { UpdatedAt: new Date(Date.now() + 1000).toISOString() })])
  t.same(told(), [
    ['alert.created', 'active', 'high'],
    ['alert.resolved', 'resolved', 'high'],
  ])
})

t.test('a finding that says nothing of its state keeps it', async (t) => {
  const { workers, told } = await watched(t)
  const [alarm, ok, insufficient] = await Promise.all(
    ['cloudwatch-alarm', 'cloudwatch-ok', 'cloudwatch-insufficient'].map(fixtureMessage),
  )
  const at = (message: JsonObject, hour: number) => ({
    ...message,
    StateChangeTime: `2026-01-15T${hour}:00:00.000+0000`,
  })
  await relayAll(workers, [at(insufficient!, 10), at(alarm!, 11), at(ok!, 12), at(insufficient!, 13), at(alarm!, 14)])
  t.same(
    told().map(([type, state]) => [type, state]),
    [
      ['alert.created', 'active'],
      ['alert.updated', 'active'],
      ['alert.resolved', 'resolved'],
      ['alert.updated', 'resolved'],
      ['alert.reopened', 'active'],
    ],
  )
})

t.test('whatever the order in which processes store findings, the newest one decides', async (t) => {
  const { workers } = await watched(t)
  const { database, queues } = workers
  for (const [last, status] of [
    [passed(28), 'resolved'],
    [failed(29), 'active'],
  ] as const) {
    const messages = [failed(20), passed(21), last, failed(22), passed(23), failed(24)]
    const answers = await Promise.all(
      messages.map((message) => sendTo(createAccept({ database, queues }), another(message))),
    )
    t.same(new Set(answers.map(({ result }) => result)), new Set(['stored']))
    t.equal((await alertOf(workers)).status, status)
  }
  const { data: events } = await listEvents(database, {}, { limit: 50 })
  t.same(
    events.map(({ sequence }) => sequence!).sort((a, b) => a - b),
    Array.from({ length: 12 }, (_, n) => n + 1),
  )
})
