import t from 'tap'
import { buildContext, uniqueValues } from '../../../src/core/alert/context.js'
import type { JsonObject } from '../../../src/core/platform/json.js'
import { recognise } from '../../../src/core/source/recognise.js'
import { changesOf, fixture, NO_OPTIONS, shown } from './shown.js'

const detail = async (name: string) => (await fixture(name)).detail as JsonObject

t.test('a finding that is sent again with other detail is the same alert, whose memory holds both', async (t) => {
  const [first] = changesOf(await fixture('guardduty-new'))
  const [second] = changesOf(await fixture('guardduty-update'))
  t.equal(second!.alertId, first!.alertId)
  t.ok(second!.updatedAt! > first!.updatedAt!)
  t.equal(second!.matchCount, 6n)
  const known = new Set(first!.context.map((value) => JSON.stringify(value)))
  t.same(buildContext(second!.context.filter((value) => !known.has(JSON.stringify(value)))), {
    source: { ip: ['198.51.100.88'] },
    related: { ip: ['198.51.100.88'] },
  })
  const memory = buildContext(uniqueValues([...first!.context, ...second!.context])) as { source: JsonObject }
  t.same(memory.source.ip, ['198.51.100.7', '198.51.100.88'])
})

t.test('a finding is the same with and without its envelope', async (t) => {
  const message = await fixture('guardduty-new')
  t.same(changesOf(message.detail!), changesOf(message))
})

t.test('the account and the Region are those of the finding, not of the bus', async (t) => {
  const message = await fixture('guardduty-new')
  const [change] = changesOf({ ...message, account: '999999999999', region: 'us-east-1' })
  t.equal(change!.account, '111122223333')
  t.equal(change!.region, 'eu-west-1')
})

t.test('the severity is that of its band, and 0 is info', async (t) => {
  const finding = await detail('guardduty-new')
  const severityOf = (severity: JsonObject[string]) => changesOf({ ...finding, severity })[0]!.severity
  const bands = { 0: 'info', 1: 'low', 3.9: 'low', 4: 'medium', 6.9: 'medium', 7: 'high', 8.9: 'high', 9: 'critical' }
  for (const [score, severity] of Object.entries(bands)) t.equal(severityOf(Number(score)), severity, score)
  t.equal(severityOf('8'), 'high', 'a number that is written as a text')
  t.equal(severityOf({}), 'notice')
  const severities = new Map([['guardduty', 'high' as const]])
  const answer = recognise({ ...finding, severity: {} }, { ...NO_OPTIONS, severities })
  t.match(answer, { changes: [{ severity: 'high' }] }, 'the setting is for findings without a severity')
})

t.test('a Region that is none never becomes part of a link', async (t) => {
  const finding = await detail('guardduty-new')
  for (const region of ['evil.example.com/', 'a.b', '', 'eu-west-1@evil.example.com']) {
    t.equal(changesOf({ ...finding, region })[0]!.url, undefined, region)
  }
})

t.test("what is no finding stays a notification: the API's form, announcements, clean scans, states", async (t) => {
  const envelope = { source: 'aws.guardduty', 'detail-type': 'GuardDuty Finding' }
  const scan = { ...envelope, 'detail-type': 'GuardDuty Malware Protection Object Scan Result' }
  const near = [
    { ...envelope, detail: { AccountId: '111122223333', Id: 'x', Type: 'Recon:EC2/Portscan', Severity: 5 } },
    { version: '1', type: 'NEW_FINDINGS', findingDetails: [{ link: 'https://example.com', findingType: 'x' }] },
    ...['NO_THREATS_FOUND', 'UNSUPPORTED', 'ACCESS_DENIED', 'FAILED'].map((scanResultStatus) => ({
      ...scan,
      detail: { scanStatus: 'COMPLETED', scanResultDetails: { scanResultStatus, threats: null } },
    })),
    { ...envelope, 'detail-type': 'GuardDuty Malware Protection Resource Status Active', detail: { id: 'x' } },
    { ...envelope, 'detail-type': 'GuardDuty Runtime Protection Unhealthy', detail: { id: 'x' } },
    { ...(await fixture('guardduty-new')), source: undefined },
  ]
  for (const message of near) t.equal(shown(JSON.parse(JSON.stringify(message)) as JsonObject), null)
})
