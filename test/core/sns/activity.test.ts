import t from 'tap'
import { createTopicActivity } from '../../../src/core/sns/activity.js'
import { writeNotes, type Notes } from '../../../src/core/sns/activity-store.js'
import { findTopic, markApproved, markConfirmed, markUnsubscribed } from '../../../src/core/sns/topic-store.js'
import { keepPending } from '../../../src/core/sns/pending-store.js'
import { borrowTestDatabase } from '../../helpers/backends.js'

const TOPIC = 'arn:aws:sns:us-east-1:123456789012:alerts'
const [FIRST, SECOND] = [
  `${TOPIC}:11111111-1111-4111-8111-111111111111`,
  `${TOPIC}:22222222-2222-4222-8222-222222222222`,
]
const at = (seconds: number) => new Date(Date.parse('2026-01-01T00:00:00Z') + 1000 * seconds)
const message = (seconds: number) => ({ at: at(seconds), sentAt: at(seconds) })
const silent = { warn: () => {} }

/** Notes of one message that was taken. */
function taken(seconds: number, through?: string): Notes {
  return {
    topics: new Map([[TOPIC, message(seconds)]]),
    subscriptions: new Map(through === undefined ? [] : [[through, { topicArn: TOPIC, ...message(seconds) }]]),
    refused: new Map(),
  }
}

t.test('a thousand messages during a write are one more write, and the last is not lost', async (t) => {
  const writes: Notes[] = []
  let release = () => {}
  const activity = createTopicActivity({
    write: (notes) =>
      new Promise((resolve) => {
        writes.push(notes)
        release = resolve
      }),
    log: silent,
  })
  for (let i = 0; i < 1000; i++) activity.received(TOPIC, FIRST, message(i))
  t.equal(writes.length, 1, 'the first is written at once')
  t.same(writes[0]!.topics, new Map([[TOPIC, message(0)]]))
  release()
  const closed = activity.close()
  await new Promise(setImmediate)
  release()
  await closed
  t.equal(writes.length, 2)
  t.same(writes[1]!.topics, new Map([[TOPIC, message(999)]]))
  t.same([...writes[1]!.subscriptions.keys()], [FIRST])
})

t.test('names that anybody can make up are bounded, and a write that fails is done again', async (t) => {
  const writes: Notes[] = []
  let isDown = true
  const activity = createTopicActivity({
    write: async (notes) => {
      if (isDown) throw new Error('down')
      writes.push(notes)
    },
    log: silent,
  })
  for (let i = 0; i < 5000; i++) activity.refused(`${TOPIC}-${i}`, 'signature_mismatch', at(i))
  await new Promise(setImmediate)
  isDown = false
  await activity.close()
  t.equal(writes.length, 1)
  t.equal(writes[0]!.refused.size, 1000)
  t.ok(writes[0]!.refused.has(`${TOPIC}-4999`), 'the latest are kept')
})

t.test('a refusal adds no topic, and a message approves none', async (t) => {
  const database = await borrowTestDatabase(t)
  const refused = {
    topics: new Map(),
    subscriptions: new Map(),
    refused: new Map([[TOPIC, { at: at(1), code: 'raw_delivery' }]]),
  }
  await writeNotes(database, refused, true)
  t.equal(await findTopic(database, TOPIC), undefined)
  await writeNotes(database, taken(1, FIRST), false)
  t.equal(await findTopic(database, TOPIC), undefined, 'a topic that was deleted meanwhile stays deleted')
  await keepPending(database, { arn: TOPIC, subscribeUrl: undefined, now: at(2) })
  await writeNotes(database, taken(3, FIRST), false)
  t.match(await findTopic(database, TOPIC), { status: 'pending', last_message_at: null, subscriptions: [] })
  await writeNotes(database, refused, false)
  t.match(await findTopic(database, TOPIC), { last_refused: { at: at(1).toISOString(), code: 'raw_delivery' } })
  await markApproved(database, TOPIC, at(4))
  t.match(await findTopic(database, TOPIC), { status: 'approved' })
  await writeNotes(database, taken(5, FIRST), false)
  t.match(await findTopic(database, TOPIC), { status: 'confirmed', last_message_at: at(5).toISOString() })
})

t.test('a topic that SNS_TOPICS lists is added with its first message', async (t) => {
  const database = await borrowTestDatabase(t)
  await writeNotes(database, taken(1), true)
  t.match(await findTopic(database, TOPIC), {
    status: 'confirmed',
    confirmed_at: null,
    last_message_at: at(1).toISOString(),
    last_refused: null,
    subscriptions: [],
  })
})

t.test('of two subscriptions one ends: the topic is still confirmed; it is unsubscribed when both have', async (t) => {
  const database = await borrowTestDatabase(t)
  await markConfirmed(database, { arn: TOPIC, subscriptionArn: FIRST, now: at(1) })
  await markConfirmed(database, { arn: TOPIC, subscriptionArn: SECOND, now: at(2) })
  const end = (subscriptionArn: string | undefined, seconds: number) =>
    markUnsubscribed(database, { arn: TOPIC, subscriptionArn, at: at(seconds), mayAdd: true })
  t.equal(await end(undefined, 3), 'confirmed', 'which one is not said: either may be left')
  t.equal(await end(FIRST, 4), 'confirmed')
  t.match(await findTopic(database, TOPIC), {
    status: 'confirmed',
    unsubscribed_at: null,
    subscriptions: [
      { arn: FIRST, status: 'unsubscribed', unsubscribed_at: at(4).toISOString() },
      { arn: SECOND, status: 'confirmed', confirmed_at: at(2).toISOString() },
    ],
  })
  t.equal(await end(undefined, 5), 'unsubscribed', 'it can only be the second')
  t.match(await findTopic(database, TOPIC), { status: 'unsubscribed', unsubscribed_at: at(5).toISOString() })
  await writeNotes(database, taken(4, SECOND), true)
  t.match(await findTopic(database, TOPIC), { status: 'unsubscribed' }, 'a late repeat of an earlier message')
  await writeNotes(database, taken(6, SECOND), true)
  t.match(await findTopic(database, TOPIC), {
    status: 'confirmed',
    subscriptions: [{ status: 'unsubscribed' }, { status: 'confirmed', last_message_at: at(6).toISOString() }],
  })
})

t.test(
  'of the subscriptions that unsigned headers name 20 are kept, those that were confirmed here first',
  async (t) => {
    const database = await borrowTestDatabase(t)
    await markConfirmed(database, { arn: TOPIC, subscriptionArn: FIRST, now: at(0) })
    for (let i = 0; i < 40; i++) await writeNotes(database, taken(i, `${TOPIC}:made-up-${i}`), true)
    const { subscriptions } = (await findTopic(database, TOPIC))!
    t.equal(subscriptions.length, 20)
    t.ok(subscriptions.some(({ arn }) => arn === FIRST))
  },
)
