import t, { type Test } from 'tap'
import { createTestApp, type TestApp } from '../helpers/app.js'
import { createSnsEndpoint, setEnvironment } from '../helpers/sns-endpoint.js'
import { createSnsPublisher } from '../helpers/sns-publisher.js'
import { until } from '../helpers/until.js'

const [A, B] = ['a', 'b'].map((name) => `arn:aws:sns:us-east-1:123456789012:${name}`) as [string, string]

/** SNS: what is published to a topic is sent to its subscribers. */
async function snsFor(t: Test) {
  const endpoint = await createSnsEndpoint(t)
  setEnvironment(t, endpoint.environment)
  const publisher = await createSnsPublisher()
  await publisher.serve()
  t.teardown(() => publisher.close())
  const subscribers: Record<string, TestApp[]> = { [A]: [], [B]: [] }
  const answers: { status: number; result: string | undefined; type: string | undefined }[] = []
  const send = async (topicArn: string, message: string) => {
    const envelope = publisher.notification({ message, set: { TopicArn: topicArn } })
    for (const app of subscribers[topicArn]!) {
      const answer = await app.sns(envelope)
      const { result, type } = answer.json<{ result?: string; type?: string }>()
      answers.push({ status: answer.statusCode, result, type })
    }
  }
  let sent = 0
  /** Sends what was published since the last call. */
  const forward = async () => {
    for (; sent < endpoint.published.length; sent++) {
      const { topicArn, message } = endpoint.published[sent]!
      await send(topicArn, message)
    }
  }
  const relay = async (subscribed: string[], published: string[]) => {
    // relays with one Redis would take each other's jobs: each has its queue in its own database
    const settings = { SNS_TOPICS: `${A},${B}`, SNS_EMULATOR: publisher.origin, REDIS_URL: '' }
    const app = await createTestApp(t, settings)
    for (const topic of subscribed) subscribers[topic]!.push(app)
    for (const url of published) t.equal((await app.api('POST', '/v1/webhooks', { url })).statusCode, 201)
    app.startWorkers()
    return app
  }
  return { endpoint, answers, send, forward, relay }
}

const eventsOf = async (app: TestApp) => (await app.api('GET', '/v1/events')).json<{ data: { id: string }[] }>().data

t.test('of two topics that are both subscribed and both published to, one match makes one message each', async (t) => {
  const { endpoint, answers, forward, relay } = await snsFor(t)
  const app = await relay([A, B], [A, B])
  const match = { rule: 'r', context: { source: { ip: '1.1.1.1' } } }
  t.equal((await app.api('POST', '/v1/rule-matches', { rule_matches: [match] })).statusCode, 202)
  await until(forward, () => answers.length === 2)
  t.match(answers, [
    { status: 200, result: 'own' },
    { status: 200, result: 'own' },
  ])
  t.equal(endpoint.published.length, 2)
  const [event, ...others] = await eventsOf(app)
  t.same(others, [], 'it is stored once')
  t.ok(endpoint.published.every(({ attributes }) => attributes.event_id === event!.id))
  t.match((await app.api('GET', '/metrics')).body, /^alert_relay_sns_messages_total\{result="own"\} 2$/m)
})

t.test('two relays that feed each other stop at five hops', async (t) => {
  const { endpoint, answers, send, forward, relay } = await snsFor(t)
  const [left, right] = [await relay([A], [B]), await relay([B], [A])]
  await send(A, '{"detail-type":"GuardDuty Finding"}')
  await until(forward, () => answers.some(({ status }) => status !== 200))
  t.same(
    answers.map(({ status }) => status),
    [200, 200, 200, 200, 200, 200, 403],
  )
  t.match(answers.at(-1), { type: 'urn:alert-relay:problem:too_many_hops' })
  t.equal(endpoint.published.length, 6)
  t.same([(await eventsOf(left)).length, (await eventsOf(right)).length], [3, 3])
})
