import t from 'tap'
import type { JsonObject } from '../../../src/core/platform/json.js'
import { recognise } from '../../../src/core/source/recognise.js'
import { SEVERITY_KINDS } from '../../../src/core/source/source.js'
import { changesOf, fixture, readFixtures } from './shown.js'

const change = async (name: string) => changesOf(await fixture(name))[0]!

t.test("Inspector's finding is one alert over Security Hub and by itself, and CLOSED resolves it", async (t) => {
  const [found, closed] = [await change('securityhub-v2'), await change('inspector-closed')]
  t.equal(closed.alertId, found.alertId)
  t.match(found, { state: 'active', severity: 'critical' })
  t.match(closed, { state: 'resolved', reason: 'closed', severity: 'critical' })
  t.ok(closed.updatedAt! > found.updatedAt!)
})

t.test("GuardDuty's finding is one alert over three roads", async (t) => {
  const changes = await Promise.all(['guardduty-new', 'securityhub-guardduty', 'ocsf-detection'].map(change))
  t.equal(new Set(changes.map(({ alertId }) => alertId)).size, 1)
  t.same(
    changes.map(({ source }) => source),
    ['guardduty', 'securityhub', 'ocsf'],
  )
})

t.test('a rule that is kept again resolves, whichever road says so', async (t) => {
  const [broken, kept, unknown, event] = await Promise.all(
    ['config-direct', 'config-compliant', 'config-insufficient', 'config-eventbridge'].map(change),
  )
  t.equal(new Set([broken, kept, unknown, event].map((each) => each!.alertId)).size, 1)
  t.same(
    [broken, kept, unknown, event].map((each) => each!.state),
    ['active', 'resolved', undefined, 'active'],
  )
  t.same(kept!.context, broken!.context, 'and brings no value')
})

t.test('pages of a Health event bring entities to one alert, and closed resolves it', async (t) => {
  const [first, second, closed] = await Promise.all(['health-issue', 'health-page-two', 'health-closed'].map(change))
  t.equal(new Set([first, second, closed].map((each) => each!.alertId)).size, 1)
  const known = new Set(first!.context.map((value) => JSON.stringify(value)))
  t.same(
    second!.context.filter((value) => !known.has(JSON.stringify(value))),
    [{ path: ['resource', 'id'], value: 'i-0123456789abcdef9' }],
  )
  t.match([first, second, closed], [{ state: 'active' }, { state: 'active' }, { state: 'resolved' }])
  const message = await fixture('health-issue')
  const other = { ...message, detail: { ...(message.detail as JsonObject), affectedAccount: '777788889999' } }
  t.not(changesOf(other)[0]!.alertId, first!.alertId, 'another account is another alert')
})

t.test('a finding of Access Analyzer is over when it is archived or deleted', async (t) => {
  const [found, archived, deleted] = await Promise.all(
    ['access-analyzer-external', 'access-analyzer-archived', 'access-analyzer-deleted'].map(change),
  )
  t.equal(new Set([found, archived, deleted].map((each) => each!.alertId)).size, 1)
  t.match([found!.reason, archived!.reason, deleted!.reason], [undefined, 'archived', 'deleted'])
})

t.test('an alert of Prometheus that is sent again brings nothing, and is resolved by its own status', async (t) => {
  const message = await fixture('alertmanager')
  const alerts = message.alerts as JsonObject[]
  const [firing, resolved] = changesOf(message)
  const [again] = changesOf({ ...message, alerts: [alerts[0]!] })
  t.same(again, firing)
  t.equal(resolved!.state, 'resolved', 'in a group that is firing')
  const ended = { ...alerts[0], status: 'resolved', endsAt: '2026-01-15T11:00:00Z' }
  const [end] = changesOf({ ...message, alerts: [ended] })
  t.equal(end!.alertId, firing!.alertId)
  t.ok(end!.updatedAt! > firing!.updatedAt!)
})

t.test('events of one Falco rule in one container are one alert', async (t) => {
  const message = await fixture('falco-shell')
  const fields = message.output_fields as JsonObject
  const [event] = changesOf(message)
  const [later] = changesOf({ ...message, uuid: 'other', output_fields: { ...fields, 'proc.name': 'sh' } })
  const [elsewhere] = changesOf({ ...message, output_fields: { ...fields, 'container.id': 'c0ffee000002' } })
  t.equal(later!.alertId, event!.alertId)
  t.not(elsewhere!.alertId, event!.alertId)
})

t.test("an operator's severity is for a kind, else for the source", async (t) => {
  const severities = new Map([
    ['health', 'low' as const],
    ['health.issue', 'critical' as const],
  ])
  const severityOf = async (name: string) => {
    const answer = recognise(await fixture(name), { disabled: new Set(), enabled: new Set<string>(), severities })
    return answer && 'changes' in answer ? answer.changes[0]!.severity : undefined
  }
  t.equal(await severityOf('health-issue'), 'critical')
  t.equal(await severityOf('health-old-scheduled'), 'low')
  t.equal(await severityOf('config-direct'), 'medium')
  t.equal(await severityOf('inspector-closed'), 'critical', 'one that has its own keeps it')
})

t.test('the kinds that have a severity of their own are those that can be set', async (t) => {
  const kinds = Object.entries(SEVERITY_KINDS).flatMap(([source, names]) => names.map((name) => `${source}.${name}`))
  const severities = new Map(kinds.map((kind) => [kind, 'critical' as const]))
  for (const { name, message } of await readFixtures()) {
    if (!/^(health|access-analyzer)-/.test(name)) continue
    t.match(
      recognise(message, { disabled: new Set(), enabled: new Set<string>(), severities }),
      { changes: [{ severity: 'critical' }] },
      name,
    )
  }
})
