import t from 'tap'
import type { JsonObject } from '../../../src/core/platform/json.js'
import { changesOf, fixture, shown } from './shown.js'

t.test('OK resolves the alert of ALARM, and brings no value', async (t) => {
  const [alarm] = changesOf(await fixture('cloudwatch-alarm'))
  const [ok] = changesOf(await fixture('cloudwatch-ok'))
  t.equal(ok!.alertId, alarm!.alertId)
  t.match(alarm, { state: 'active', region: 'eu-west-1' })
  t.match(ok, { state: 'resolved', reason: 'ok' })
  t.same(ok!.context, alarm!.context)
})

t.test('INSUFFICIENT_DATA changes no state', async (t) => {
  const [change] = changesOf(await fixture('cloudwatch-insufficient'))
  t.match(change, { state: undefined, reason: 'insufficient_data' })
})

t.test('an alarm is one alert over both roads, with the same values', async (t) => {
  const [action] = changesOf(await fixture('cloudwatch-alarm'))
  const [event] = changesOf(await fixture('cloudwatch-eventbridge'))
  t.equal(event!.alertId, action!.alertId)
  t.same(event!.context, action!.context)
})

t.test('each contributor of an alarm is an alert of its own', async (t) => {
  const message = await fixture('cloudwatch-contributor')
  const [one] = changesOf(message)
  const [other] = changesOf({ ...message, AlarmContributorId: 'other' })
  const [event] = changesOf(await fixture('cloudwatch-eventbridge-contributor'))
  t.not(other!.alertId, one!.alertId)
  t.equal(event!.alertId, one!.alertId)
})

t.test("an old message without an ARN has its topic's Region", async (t) => {
  const message = await fixture('cloudwatch-no-arn')
  const answer = shown(message, { topicArn: 'arn:aws-cn:sns:cn-north-1:111122223333:alerts' })
  t.match(answer, {
    changes: [
      {
        alertId: 'arn:aws-cn:cloudwatch:cn-north-1:111122223333:alarm:db-memory',
        region: 'cn-north-1',
        url: /^https:\/\/cn-north-1\.console\.amazonaws\.cn\/cloudwatch\//,
      },
    ],
  })
  t.match(shown(message), { source: 'cloudwatch', unread: /no AlarmArn/ })
})

t.test('the severity can be set', async (t) => {
  const answer = shown(await fixture('cloudwatch-alarm'), { severities: new Map([['cloudwatch', 'high']]) })
  t.match(answer, { changes: [{ severity: 'high' }] })
})

t.test('a source that is turned off leaves its messages to others', async (t) => {
  t.equal(shown(await fixture('cloudwatch-alarm'), { disabled: new Set(['cloudwatch']) }), null)
})

t.test('what is no change of state stays a notification', async (t) => {
  const alarm = await fixture('cloudwatch-alarm')
  const event = await fixture('cloudwatch-eventbridge')
  const near: JsonObject[] = [
    { ...event, 'detail-type': 'CloudWatch Alarm Configuration Change' },
    { ...event, detail: { alarmName: 'x', state: { value: 'DISABLED' } } },
    { ...alarm, NewStateValue: 'alarm' },
    { ...alarm, StateChangeTime: null },
    { AlarmName: 'x', Trigger: {} },
  ]
  for (const message of near) t.equal(shown(message), null)
})
