import t from 'tap'
import type { JsonObject } from '../../../src/core/platform/json.js'
import { changesOf, fixture, shown } from './shown.js'

const findingOf = async (name: string) => ((await fixture(name)).detail as { findings: JsonObject[] }).findings[0]!

t.test('a control that passes after it failed resolves its alert', async (t) => {
  const [failed] = changesOf(await fixture('securityhub-failed'))
  const [passed] = changesOf(await fixture('securityhub-passed'))
  t.equal(passed!.alertId, failed!.alertId)
  t.match(failed, { state: 'active', severity: 'high', reason: undefined })
  t.match(passed, { state: 'resolved', severity: 'info', reason: 'passed' })
  t.ok(passed!.updatedAt! > failed!.updatedAt!)
  t.same(passed!.context, failed!.context, 'and brings no value')
})

t.test('a custom action with two findings is two changes, the first of a known alert', async (t) => {
  const changes = changesOf(await fixture('securityhub-action-two'))
  const [known] = changesOf(await fixture('securityhub-failed'))
  t.equal(changes.length, 2)
  t.same(changes[0], known)
})

t.test('twelve findings are twelve changes, and one that is there twice is one', async (t) => {
  const finding = await findingOf('securityhub-failed')
  const twelve = Array.from({ length: 12 }, (_, index) => ({ ...finding, Id: `${finding.Id as string}${index}` }))
  t.equal(changesOf({ findings: twelve }).length, 12)
  const newer = { ...finding, UpdatedAt: '2026-01-15T11:00:00.000Z', Title: 'newer', RecordState: 'ARCHIVED' }
  for (const findings of [
    [finding, newer],
    [newer, finding],
  ]) {
    const changes = changesOf({ findings })
    t.equal(changes.length, 1)
    t.match(changes[0], { title: 'newer', state: 'resolved' }, 'the latest by its own time')
    t.same(changes[0]!.context, changesOf(finding)[0]!.context, 'without repeats')
  }
  t.match(shown({ findings: Array.from({ length: 1001 }, () => finding) }), { unread: /holds 1001 findings/ })
})

t.test("GuardDuty's finding is one alert over both roads", async (t) => {
  const [direct] = changesOf(await fixture('guardduty-new'))
  const [over] = changesOf(await fixture('securityhub-guardduty'))
  t.equal(over!.alertId, direct!.alertId)
  t.equal(over!.severity, direct!.severity, 'the label says low, though the number is 40')
})

t.test('an id that is no ARN is one of its product and account', async (t) => {
  const message = await fixture('securityhub-custom-product')
  const idOf = (change: JsonObject) => changesOf({ ...message, ...change })[0]?.alertId
  t.not(idOf({ AwsAccountId: '999999999999' }), idOf({}))
  t.not(idOf({ ProductArn: 'arn:aws:securityhub:eu-west-1:111122223333:product/111122223333/other' }), idOf({}))
  const long = idOf({ Id: 'x'.repeat(512) })!
  t.equal(long.length, 200)
  t.match(long, /^arn:aws:securityhub:.*~[0-9a-f]{40}$/)
  t.not(idOf({ Id: `${'x'.repeat(511)}y` }), long)
})

t.test('a severity is its label, then its number, then the words of its product', async (t) => {
  const finding = await findingOf('securityhub-failed')
  const severityOf = (Severity: JsonObject) => changesOf({ ...finding, Severity })[0]!.severity
  t.equal(severityOf({ Label: 'INFORMATIONAL', Normalized: 90 }), 'info')
  t.equal(severityOf({ Normalized: 0 }), 'info')
  t.equal(severityOf({ Normalized: 39, Label: null }), 'low')
  t.equal(severityOf({ Normalized: '70' }), 'high')
  t.equal(severityOf({ Original: 'Moderate' }), 'medium')
  t.equal(severityOf({ Product: 8 }), 'notice', 'a number of its product has no scale')
})

t.test('what is no finding stays a notification', async (t) => {
  const finding = await findingOf('securityhub-failed')
  const near: JsonObject[] = [
    { source: 'aws.securityhub', 'detail-type': 'Security Hub Insight Results', detail: { insightArn: 'x' } },
    { ...finding, SchemaVersion: '2019-01-01' },
    { ...finding, Severity: 'HIGH' },
    { findings: [{ severity: 'HIGH', title: 'x' }] },
    { findings: [] },
    { findings: 'arn' },
  ]
  for (const message of near) t.equal(shown(message), null)
})
