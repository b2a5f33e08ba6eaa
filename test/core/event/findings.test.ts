import t from 'tap'
import { createAccept } from '../../../src/core/event/accept.js'
import { listEvents } from '../../../src/core/event/event-list.js'
import { findEvent } from '../../../src/core/event/event-store.js'
import { SAMPLE_CHANGE } from '../../../src/core/event/sample.js'
import { loadContent } from '../../../src/core/delivery/content.js'
import { parseJson, stringifyJson, type Json, type JsonObject } from '../../../src/core/platform/json.js'
import { another, fixtureMessage, relayAll, sendTo } from '../../helpers/findings.js'
import { createTestWorkers, type TestWorkers } from '../../helpers/workers.js'

interface Body {
  updated_alert: JsonObject & { context: JsonObject }
  context_diff: JsonObject
  incoming_rule_matches_context: JsonObject
  message: JsonObject
  relay: JsonObject
}

const OK = () => ({ status: 204 })

async function bodyOf({ database }: TestWorkers, eventId: string): Promise<Body> {
  const event = await findEvent(database, eventId)
  return parseJson(stringifyJson((await loadContent(database, event!)).body)) as unknown as Body
}

async function storedEvents({ database }: TestWorkers) {
  return (await listEvents(database, {}, { limit: 200 })).data
}

t.test('three occurrences of a GuardDuty finding are one alert, and each says only what is new', async (t) => {
  const workers = await createTestWorkers(t)
  const { receiver } = await workers.addWebhook(OK)
  const [first, second] = await Promise.all(['guardduty-new', 'guardduty-update'].map(fixtureMessage))
  await relayAll(workers, [first!, second!, another(second!)])
  const bodies = receiver.received.map(({ json }) => json as Body)
  t.match(
    bodies.map(({ relay }) => relay),
    [
      { type: 'alert.created', source: 'guardduty', state: 'active', sequence: 1 },
      { type: 'alert.updated', source: 'guardduty', state: 'active', sequence: 2, new_values: 2 },
      { type: 'alert.updated', source: 'guardduty', state: 'active', sequence: 3, new_values: 0 },
    ],
  )
  t.match(bodies[0]!.updated_alert, {
    id: /^arn:aws:guardduty:eu-west-1:111122223333:detector\/.*\/finding\//,
    title: String,
    severity: 'low',
    url: /^https:\/\/eu-west-1\.console\.aws\.amazon\.com\/guardduty\//,
    account: '111122223333',
    region: 'eu-west-1',
    match_count: 1,
  })
  t.equal(new Set(bodies.map(({ updated_alert: { id } }) => id)).size, 1)
  t.same(bodies[0]!.context_diff, bodies[0]!.updated_alert.context, 'of the first everything is new')
  t.same(bodies[1]!.context_diff, { related: { ip: ['198.51.100.88'] }, source: { ip: ['198.51.100.88'] } })
  t.match(bodies[1]!.updated_alert, { match_count: 6, context: { source: { ip: ['198.51.100.7', '198.51.100.88'] } } })
  t.match(bodies[1]!.incoming_rule_matches_context, { source: { ip: ['198.51.100.88'] } })
  t.same(bodies[2]!.context_diff, {})
  t.same(bodies[1]!.message, second, 'the message is there as a whole')
  t.notOk('upstream_context_diff' in bodies[0]!.relay)
})

t.test('the raw format sends the message of a finding byte for byte', async (t) => {
  const workers = await createTestWorkers(t)
  const { receiver } = await workers.addWebhook(OK, { format: 'raw' })
  const text = ` ${JSON.stringify(await fixtureMessage('guardduty-new'), undefined, 3)}\n`
  const { event } = await sendTo(workers.accept, text)
  await workers.dispatch({ eventId: event.id })
  t.equal(receiver.received[0]!.body, text)
})

t.test('a filter selects by the context of a finding and by its message', async (t) => {
  const workers = await createTestWorkers(t)
  const byContext = { updated_alert: { context: { source: { ip: ['198.51.100.7'] } } } }
  const byMessage = { message: { detail: { findings: { Compliance: { SecurityControlId: ['EC2.19'] } } } } }
  const guardDuty = await workers.addWebhook(OK, { filter: byContext })
  const control = await workers.addWebhook(OK, { filter: byMessage })
  const messages = await Promise.all(['guardduty-new', 'securityhub-action-two'].map(fixtureMessage))
  await relayAll(workers, messages)
  const idsAt = ({ receiver }: typeof control) => receiver.received.map(({ json }) => (json as Body).updated_alert.id)
  t.match(idsAt(guardDuty), [/guardduty/])
  t.match(idsAt(control), [/EC2\.19/], 'and not the other finding of that message')
})

t.test('a message of two findings is two alerts, of one transaction, and each body has its own finding', async (t) => {
  const workers = await createTestWorkers(t)
  const message = await fixtureMessage('securityhub-action-two')
  const { event, eventIds, result } = await sendTo(workers.accept, message, { messageId: 'two' })
  t.equal(result, 'stored')
  t.equal(eventIds[0], event.id)
  const events = await storedEvents(workers)
  t.match(events.map(({ message_id: messageId, part, type, source }) => [messageId, part, type, source]).sort(), [
    ['two', 0, 'alert.created', 'securityhub'],
    ['two', 1, 'alert.created', 'securityhub'],
  ])
  const bodies = await Promise.all(eventIds.map((id) => bodyOf(workers, id)))
  const { findings } = message.detail as { findings: JsonObject[] }
  t.same(
    bodies.map(({ updated_alert: { id } }) => id),
    findings.map(({ Id }) => Id),
  )
  t.same(
    bodies.map((body) => body.message),
    findings.map((finding) => ({ ...message, detail: { ...(message.detail as JsonObject), findings: [finding] } })),
  )
  const again = await sendTo(workers.accept, message, { messageId: 'two' })
  t.match(again, { result: 'duplicate', eventIds, newValues: 0 })
  t.equal((await storedEvents(workers)).length, 2)
})

t.test(
  'the findings of a message are stored together, also when repeats come at once to several processes',
  async (t) => {
    const workers = await createTestWorkers(t)
    const message = await fixtureMessage('securityhub-action-two')
    const { findings } = message.detail as { findings: JsonObject[] }
    const many = another(message, {
      findings: Array.from({ length: 12 }, (_, n) => ({ ...findings[0]!, Id: `${findings[0]!.Id as string}-${n}` })),
    })
    const { database, queues } = workers
    const processes = Array.from({ length: 4 }, () => createAccept({ database, queues }))
    const answers = await Promise.all(
      processes.flatMap((accept) => [1, 2].map(() => sendTo(accept, many, { messageId: 'many' }))),
    )
    t.equal(answers.filter(({ result }) => result === 'stored').length, 1)
    const [first, ...others] = answers.map(({ eventIds }) => eventIds)
    t.equal(first!.length, 12)
    for (const ids of others) t.same(ids, first, 'every answer names the same events')
    const events = await storedEvents(workers)
    t.same(
      events.map(({ part }) => part).sort((a, b) => a - b),
      Array.from({ length: 12 }, (_, n) => n),
    )
    t.same(new Set(events.map(({ sequence }) => sequence)), new Set([1]))
  },
)

t.test('a message of which an earlier release stored the whole is a duplicate', async (t) => {
  const workers = await createTestWorkers(t)
  const message = await fixtureMessage('securityhub-action-two')
  const { event } = await sendTo(workers.accept, 'a text', { messageId: 'before' })
  const again = await sendTo(workers.accept, message, { messageId: 'before' })
  t.match(again, { result: 'duplicate', eventIds: [event.id] })
})

t.test(
  'an EventBridge event that comes again in another message is a duplicate, but in another topic it is not',
  async (t) => {
    const workers = await createTestWorkers(t)
    const message = await fixtureMessage('securityhub-action-two')
    const first = await sendTo(workers.accept, message)
    const again = await sendTo(workers.accept, message)
    t.match(again, { result: 'duplicate', eventIds: first.eventIds })
    const elsewhere = await sendTo(workers.accept, message, { topicArn: 'arn:aws:sns:eu-west-1:111122223333:others' })
    t.match(elsewhere, { result: 'stored', newValues: 0 }, 'its subscribers may be others')
    t.equal((await storedEvents(workers)).length, 4)
  },
)

t.test('what cannot be read of a message is a notification that says why', async (t) => {
  const workers = await createTestWorkers(t)
  const message = await fixtureMessage('securityhub-partly-unread')
  const { eventIds, unread } = await sendTo(workers.accept, message)
  t.match(unread, { reason: 'finding', detail: /a finding of securityhub/ })
  const bodies = await Promise.all(eventIds.map((id) => bodyOf(workers, id)))
  t.match(bodies.map(({ relay }) => relay.type).sort(), ['alert.created', 'sns.notification'])
  const notification = bodies.find(({ relay }) => relay.type === 'sns.notification')!
  t.match(notification.relay, { unread: /^No alert change: a finding of securityhub/ })
  const kept = bodies.flatMap(({ message: { detail } }) => (detail as { findings: Json[] }).findings)
  t.equal(kept.length, (message.detail as { findings: Json[] }).findings.length, 'nothing of the message is lost')
  const whole = await sendTo(workers.accept, await fixtureMessage('guardduty-unread'))
  t.match(await bodyOf(workers, whole.event.id), { relay: { type: 'sns.notification', unread: /guardduty/ } })
})

t.test('a long message of many findings is stored once, not once for each finding', async (t) => {
  const workers = await createTestWorkers(t)
  const message = await fixtureMessage('securityhub-action-two')
  const { findings } = message.detail as { findings: JsonObject[] }
  const long = (filler: string) =>
    another(message, {
      filler,
      findings: Array.from({ length: 100 }, (_, n) => ({ ...findings[0]!, Id: `f${n}`, Note: 'x'.repeat(1000) })),
    })
  for (const filler of ['', 'x'.repeat(100_000)]) {
    const text = stringifyJson(long(filler))
    const { eventIds } = await sendTo(workers.accept, text)
    t.equal(eventIds.length, 100)
    const { rows } = await workers.database.query<{ bytes: bigint }>(
      'select sum(length(payload)) as bytes from events where id = any($1)',
      [eventIds],
    )
    t.ok(Number(rows[0]!.bytes) <= text.length + 262_144, `${rows[0]!.bytes} of ${text.length}`)
  }
})

t.test('a body that is cut keeps what is new, and not the message', async (t) => {
  const workers = await createTestWorkers(t)
  const { receiver } = await workers.addWebhook(OK, { max_body_bytes: 4096 })
  const message = await fixtureMessage('guardduty-new')
  await relayAll(workers, [another(message, { filler: 'x'.repeat(10_000) })])
  const body = receiver.received[0]!.json as Body
  t.match(body.relay, { cut: true, type: 'alert.created', new_values: Number })
  t.match(body.updated_alert, { severity: 'low', context: {} })
  t.match(body.context_diff, { source: { ip: ['198.51.100.7'] } })
  t.notOk('message' in body)
})

t.test(
  "an operator's severity is that of findings without one, and a source that is off leaves notifications",
  async (t) => {
    const workers = await createTestWorkers(t)
    const { database, queues } = workers
    const accept = createAccept({
      ...{ database, queues },
      sources: {
        disabled: new Set(['guardduty']),
        enabled: new Set<string>(),
        severities: new Map([['config', 'critical' as const]]),
      },
    })
    const config = await sendTo(accept, await fixtureMessage('config-direct'))
    t.match(config.event, { type: 'alert.created', severity: 'critical', source: 'config' })
    const guardDuty = await sendTo(accept, await fixtureMessage('guardduty-new'))
    t.match(guardDuty.event, { type: 'sns.notification', source: null })
  },
)

t.test('an EventBridge event that is no finding is stored once, in whichever messages it comes', async (t) => {
  const workers = await createTestWorkers(t)
  const event = another({ source: 'aws.s3', 'detail-type': 'Object Created', detail: { bucket: { name: 'b' } } })
  const messages = [event, event, another(event), { ...event, id: null }, { ...event, id: null }]
  const accepted = await Promise.all(messages.map((message) => sendTo(workers.accept, message)))
  t.same(
    accepted.map(({ result }) => result),
    ['stored', 'duplicate', 'stored', 'stored', 'stored'],
  )
  t.equal(accepted[1]!.event.id, accepted[0]!.event.id)
})

t.test('a change of Matano that has no topic keeps the diff of Matano', async (t) => {
  const workers = await createTestWorkers(t)
  const fields = { messageId: null, topicArn: null }
  const { event } = await sendTo(workers.accept, SAMPLE_CHANGE as unknown as Json, fields)
  const { relay } = await bodyOf(workers, event.id)
  t.match(relay, { source: 'matano', topic_arn: null })
  t.same(relay.upstream_context_diff, SAMPLE_CHANGE.context_diff)
})
