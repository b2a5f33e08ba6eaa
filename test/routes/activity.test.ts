import t from 'tap'
import { createTestApp } from '../helpers/app.js'
import { createSnsPublisher, TEST_TOPIC } from '../helpers/sns-publisher.js'

/** As EventBridge sends it: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html */
const activity = (id: string, detail: object = {}, detailType = 'AWS API Call via CloudTrail') => ({
  ...{ version: '0', id, 'detail-type': detailType, source: 'aws.iam', account: '123456789012' },
  ...{ time: '2026-01-01T00:00:00Z', region: 'us-east-1', resources: [] },
  detail: {
    eventVersion: '1.08',
    userIdentity: {
      type: 'IAMUser',
      principalId: 'AIDAEXAMPLE',
      arn: 'arn:aws:iam::123456789012:user/alice',
      accountId: '123456789012',
      userName: 'alice',
    },
    ...{ eventTime: '2026-01-01T00:00:00Z', eventSource: 'iam.amazonaws.com', eventName: 'CreateUser' },
    ...{ awsRegion: 'us-east-1', sourceIPAddress: '192.0.2.7', userAgent: 'aws-cli/2', eventID: id },
    ...detail,
  },
})

interface Receipt {
  result: string
  event_id: string
}

t.test(
  'where it is switched on, CloudTrail activity is counted by the engine, once in whichever messages it comes',
  async (t) => {
    const publisher = await createSnsPublisher()
    await publisher.serve()
    t.teardown(() => publisher.close())
    const settings = { SNS_TOPICS: TEST_TOPIC, SNS_EMULATOR: publisher.origin }
    const app = await createTestApp(t, {
      ...settings,
      SOURCES_ENABLED: 'cloudtrail',
      SOURCE_SEVERITY: 'cloudtrail=low',
    })
    const send = async (message: object) =>
      (await app.sns(publisher.notification({ message: JSON.stringify(message) }))).json<Receipt>()
    const first = await send(activity('one'))
    t.equal(first.result, 'stored')
    t.same(await send(activity('one')), { result: 'duplicate', event_id: first.event_id })
    const second = await send(activity('two', { sourceIPAddress: '192.0.2.8' }))
    const failed = await send(activity('three', { errorCode: 'AccessDenied', errorMessage: 'not allowed' }))
    const byService = await send(
      activity('four', { sourceIPAddress: 'cloudformation.amazonaws.com', eventName: 'DeleteUser' }),
    )
    const eventOf = async ({ event_id: id }: Receipt) =>
      (await app.api('GET', `/v1/events/${id}`)).json<{
        type: string
        alert_id: string
        body: { context_diff: Record<string, Record<string, unknown>>; updated_alert: { title: string } }
      }>()
    t.match(await eventOf(first), {
      ...{ type: 'alert.created', title: 'CreateUser by alice', severity: 'low', topic_arn: null },
      body: {
        context_diff: {
          event: { action: ['CreateUser'], outcome: ['success'], provider: ['iam.amazonaws.com'] },
          source: { ip: ['192.0.2.7'] },
          user: { name: ['alice'], id: ['AIDAEXAMPLE'] },
          cloud: { account: { id: ['123456789012'] }, region: ['us-east-1'] },
        },
      },
    })
    const update = await eventOf(second)
    t.equal(update.alert_id, (await eventOf(first)).alert_id, 'one actor and action are one alert')
    t.same(update.body.context_diff, { related: { ip: ['192.0.2.8'] }, source: { ip: ['192.0.2.8'] } })
    t.match(await eventOf(failed), { type: 'alert.created', title: 'CreateUser by alice, AccessDenied' })
    t.notOk('source' in (await eventOf(byService)).body.context_diff, 'the name of a service is no address')
    t.match(await send({ ...activity('five'), 'detail-type': 'Something else' }), { result: 'stored' })
    const { data } = (await app.api('GET', '/v1/alerts')).json<{ data: { match_count: number; title: string }[] }>()
    const counts = new Map(data.map(({ title, match_count: count }) => [title, count]))
    t.same([counts.get('CreateUser by alice'), counts.get('DeleteUser by alice'), counts.size], [2, 1, 3])
  },
)

t.test('CloudTrail activity is a notification unless it is switched on', async (t) => {
  const app = await createTestApp(t)
  const { event_id: id } = (await app.api('POST', '/v1/messages', activity('one'))).json<Receipt>()
  t.match((await app.api('GET', `/v1/events/${id}`)).json(), { type: 'sns.notification', alert_id: null })
  t.same((await app.api('GET', '/v1/alerts')).json<{ data: object[] }>().data, [])
})
