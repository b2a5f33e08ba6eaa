/** The relay as a client of LocalStack, with the settings of the README. */
import t, { type Test } from 'tap'
import { SAMPLE_CHANGE } from '../../src/core/event/sample.js'
import { receiverFor } from '../helpers/end-to-end.js'
import { awsEnvironment, startLocalStack, type LocalStack } from '../helpers/localstack.js'
import { startRelay, type Relay } from '../helpers/relay.js'
import { until } from '../helpers/until.js'

const python = process.env.LOCALSTACK_PYTHON
const options = { skip: python ? false : 'LOCALSTACK_PYTHON names no Python with LocalStack' }

interface Topic {
  arn: string
  status: string
}
const topicOf = async (relay: Relay, arn: string) =>
  (await relay.api<{ data: Topic[] }>('GET', '/v1/topics')).body.data.find((topic) => topic.arn === arn)
const becomes = (relay: Relay, arn: string, status: string) =>
  until(
    () => topicOf(relay, arn),
    (topic) => topic?.status === status,
  )

async function emulator(t: Test, settings: Record<string, string> = {}) {
  const localStack = await startLocalStack(t, python!)
  const relay = await startRelay(t, {
    SNS_EMULATOR: `http://localhost:${localStack.port}`,
    ...awsEnvironment(localStack),
    ...settings,
  })
  return { localStack, relay }
}

/** @returns the subscription's ARN */
async function subscribe(
  localStack: LocalStack,
  topicArn: string,
  endpoint: string,
  attributes: Record<string, string> = {},
): Promise<string> {
  const entries = Object.entries(attributes).flatMap(([key, value], i) => [
    [`Attributes.entry.${i + 1}.key`, key],
    [`Attributes.entry.${i + 1}.value`, value],
  ])
  const answer = await localStack.sns('Subscribe', {
    TopicArn: topicArn,
    Protocol: endpoint.startsWith('arn:') ? 'sqs' : 'http',
    Endpoint: endpoint,
    ReturnSubscriptionArn: 'true',
    ...(Object.fromEntries(entries) as Record<string, string>),
  })
  return /<SubscriptionArn>([^<]+)</.exec(answer)![1]!
}

const message = JSON.stringify(SAMPLE_CHANGE)
const ALLOWED = { SNS_TOPICS: 'arn:aws:sns:us-east-1:000000000000:*' }

t.test(
  'confirmed, both signature versions, out to a topic and its queue, and a new key at the same URL',
  options,
  async (t) => {
    const { localStack, relay } = await emulator(t, ALLOWED)
    const [alerts, out] = [await localStack.createTopic('alerts'), await localStack.createTopic('out')]
    const queue = await localStack.createQueue('out')
    await subscribe(localStack, out, queue.arn, { FilterPolicy: '{"type":["alert.created"]}' })
    const { receiver } = await receiverFor(t, relay)
    t.equal((await relay.api('POST', '/v1/webhooks', { url: out })).status, 201)
    await subscribe(localStack, alerts, `${relay.url}/sns`)
    await becomes(relay, alerts, 'confirmed')

    await localStack.sns('Publish', { TopicArn: alerts, Message: message, Subject: 'first' })
    await receiver.waitFor(1)
    await localStack.sns('SetTopicAttributes', {
      TopicArn: alerts,
      AttributeName: 'SignatureVersion',
      AttributeValue: '2',
    })
    await localStack.sns('Publish', { TopicArn: alerts, Message: message })
    const received = await receiver.waitFor(2)
    t.match(
      received.map(({ json, verified }) => ({ json, verified })),
      [
        {
          verified: true,
          json: { relay: { type: 'alert.created', topic_arn: alerts, subject: 'first', sequence: 1 } },
        },
        { verified: true, json: { relay: { type: 'alert.updated', topic_arn: alerts, sequence: 2 } } },
      ],
    )

    const envelope = JSON.parse(await localStack.receive(queue.url)) as Record<string, string>
    const { severity, title } = SAMPLE_CHANGE.updated_alert
    t.match(envelope, {
      TopicArn: out,
      Subject: `[${severity}] alert.created: ${title}`,
      MessageAttributes: { type: { Value: 'alert.created' }, event_id: { Value: received[0]!.id } },
    })
    t.equal(envelope.Message, received[0]!.body, 'the queue has the same body')

    const warnings = relay.lines.filter(
      (line) => /"level":"(warn|error)"/.test(line) && !line.includes('not for production'),
    )
    t.same(warnings, [])
    await localStack.kill()
    await localStack.start()
    const anew = await localStack.createTopic('anew')
    let subscriptions = 0
    // a certificate is fetched again at most once in five seconds
    await until(
      async () => {
        await subscribe(localStack, anew, `${relay.url}/sns?n=${subscriptions++}`)
        return topicOf(relay, anew)
      },
      (topic) => topic?.status === 'confirmed',
    )
  },
)

t.test(
  'a topic is approved by hand, and what the relay cannot take is in the dead-letter queue',
  options,
  async (t) => {
    const { localStack, relay } = await emulator(t)
    const alerts = await localStack.createTopic('alerts')
    const dead = await localStack.createQueue('dead')
    const redrive = { RedrivePolicy: JSON.stringify({ deadLetterTargetArn: dead.arn }) }
    await subscribe(localStack, alerts, `${relay.url}/sns`, redrive)
    await becomes(relay, alerts, 'pending')
    const { receiver } = await receiverFor(t, relay)
    t.equal((await relay.api('POST', `/v1/topics/${encodeURIComponent(alerts)}/approve`)).status, 200)
    await localStack.sns('Publish', { TopicArn: alerts, Message: message })
    t.match((await receiver.waitFor(1))[0], { json: { relay: { type: 'alert.created' } } })

    await relay.kill()
    const title = 'while nobody listens'
    await localStack.sns('Publish', { TopicArn: alerts, Message: title })
    const envelope = JSON.parse(await localStack.receive(dead.url)) as object
    t.match(envelope, { Type: 'Notification', TopicArn: alerts, Message: title })
    await relay.start()
    t.match(await relay.sns(envelope), { status: 200, body: { result: 'stored' } }, 'it can be handed in later')
  },
)
