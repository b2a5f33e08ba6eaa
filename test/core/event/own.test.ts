import t, { type Test } from 'tap'
import { createAccept } from '../../../src/core/event/accept.js'
import { findEvent } from '../../../src/core/event/event-store.js'
import { storeNotice } from '../../../src/core/event/notice.js'
import { quietAlerts } from '../../../src/core/event/quiet.js'
import { loadContent } from '../../../src/core/delivery/content.js'
import { cutBody, withIndicators, type Coalesced } from '../../../src/core/format/body.js'
import { cloudEvent } from '../../../src/core/format/receivers/cloudevents.js'
import { parseJson, stringifyJson, type Json, type JsonObject } from '../../../src/core/platform/json.js'
import type { Indicator } from '../../../src/core/indicator/once.js'
import { borrowTestDatabase } from '../../helpers/backends.js'
import { fixtureMessage } from '../../helpers/findings.js'

let serial = 0

async function intake(t: Test) {
  const database = await borrowTestDatabase(t)
  const accept = createAccept({ database, queues: { addDispatches: async () => {} } })
  const send = (message: string | Json, subject?: string) =>
    accept({
      messageId: `m-${++serial}`,
      topicArn: 'arn:aws:sns:us-east-1:123456789012:alerts',
      subject,
      message: typeof message === 'string' ? message : stringifyJson(message),
      sentAt: new Date(),
    })
  /** What is published of an event: its body as a topic's subscriber reads it. */
  const bodyOf = async (eventId: string, coalesced?: Coalesced) => {
    const { body } = await loadContent(database, (await findEvent(database, eventId))!, { coalesced })
    return parseJson(stringifyJson(body)) as JsonObject
  }
  const count = async () => Number((await database.query<{ n: bigint }>('select count(*) as n from events')).rows[0]!.n)
  return { database, send, bodyOf, count }
}

const change = (context: JsonObject, alert: JsonObject = {}) => ({
  updated_alert: { id: 'alert-1', title: 'T', severity: 'low', match_count: 3, update_count: 1, ...alert, context },
  incoming_rule_matches_context: context,
  context_diff: {},
  extra: { n: 12345678901234567890123n.toString() },
})

t.test('every body that the relay publishes is own when it comes back, and nothing is stored', async (t) => {
  const { database, send, bodyOf, count } = await intake(t)
  const first = await send(change({ ip: ['1.1.1.1'], n: [1.5] }))
  await send(change({ ip: ['2.2.2.2'] }, { match_count: 9 }))
  const third = await send(change({ ip: ['3.3.3.3'], user: { name: ['x'] } }))
  const listed = await send([change({ ip: ['4.4.4.4'] }, { id: 12345678901234567890n.toString() })])
  const numbered = await send('[{"updated_alert":{"id":7,"context":{}},"incoming_rule_matches_context":{"a":[NaN]}}]')
  const text = await send('plain "text"', 'A subject')
  const document = await send('{"n":12345678901234567890,"list":[1]}')
  await quietAlerts(
    { database, queues: { addDispatches: async () => {} } },
    { before: new Date(Date.now() + 1000), now: new Date(), limit: 10 },
  )
  const { rows } = await database.query<{ id: string }>(`select id from events where type = 'alert.quiet'`)
  const notice = await storeNotice(database, 'webhook.failing', {
    webhookId: 'wh_1',
    subject: { id: 'wh_1', health: 'failing' },
    now: new Date(),
  })
  const dead = await storeNotice(database, 'delivery.dead', {
    webhookId: 'wh_1',
    subject: { webhook: { id: 'wh_1' }, deliveries: [{ id: 'dlv_1' }] },
    now: new Date(),
  })
  const finding = await send(await fixtureMessage('guardduty-new'))
  const findingBody = await bodyOf(finding.event.id)
  const stored = await count()
  const coalesced = {
    sequences: [1n, 2n],
    isCreated: true,
    previousSeverity: null,
    incoming: [{ path: ['ip'], value: '1.1.1.1' }],
  }
  const body = await bodyOf(third.event.id)
  for (const [name, id, published] of [
    ['a change', first.event.id, await bodyOf(first.event.id)],
    ['a later change', third.event.id, body],
    ['coalesced changes', third.event.id, await bodyOf(third.event.id, coalesced)],
    ['a cut change', third.event.id, cutBody(body, 1)],
    ['counts of a change', third.event.id, cutBody(body, 2)],
    ['indicators', third.event.id, withIndicators(body, [{ path: 'user.name', value: 'x' } as Indicator])],
    ['a quiet alert', rows[0]!.id, await bodyOf(rows[0]!.id)],
    ['within a list and a JSON string', first.event.id, JSON.stringify([await bodyOf(first.event.id)])],
    ['a change from a list', listed.event.id, await bodyOf(listed.event.id)],
    ['a change with a number as its id', numbered.event.id, await bodyOf(numbered.event.id)],
    ['a finding', finding.event.id, findingBody],
    ['a cut finding', finding.event.id, cutBody(findingBody, 1)],
    ['counts of a finding', finding.event.id, cutBody(findingBody, 2)],
    ['a text', text.event.id, await bodyOf(text.event.id)],
    ['a document', document.event.id, await bodyOf(document.event.id)],
    ['a notice', notice, await bodyOf(notice)],
    ['a notice of dead deliveries', dead, await bodyOf(dead)],
  ] as const) {
    for (const subject of [undefined, 'T']) {
      t.match(await send(published, subject), { result: 'own', event: { id }, newValues: 0 }, name)
    }
  }
  t.equal(await count(), stored)
})

t.test('a message that carries anything new is stored, whatever relay.event_id it copies', async (t) => {
  const { send, bodyOf, count } = await intake(t)
  const { event } = await send(change({ ip: ['1.1.1.1'] }))
  await send(change({ ip: ['9.9.9.9'] }, { id: 'alert-2' }))
  const text = await send('plain text')
  const finding = await bodyOf((await send(await fixtureMessage('guardduty-new'))).event.id)
  const copy = await bodyOf(event.id)
  const alert = copy.updated_alert as JsonObject
  const relay = copy.relay as JsonObject
  const stored = await count()
  const forged: [string, JsonObject][] = [
    ['a value', { ...copy, incoming_rule_matches_context: { ip: ['6.6.6.6'] } }],
    ['a value of another alert', { ...copy, context_diff: { ip: ['9.9.9.9'] } }],
    ['a value at another path', { ...copy, updated_alert: { ...alert, context: { host: { ip: ['1.1.1.1'] } } } }],
    ['another alert', { ...copy, updated_alert: { ...alert, id: 'alert-2' } }],
    ['another alert that is not known', { ...copy, updated_alert: { ...alert, id: 'alert-3' } }],
    ['a severity', { ...copy, updated_alert: { ...alert, severity: 'critical' } }],
    ['a title', { ...copy, updated_alert: { ...alert, title: 'U' } }],
    ['a count', { ...copy, updated_alert: { ...alert, match_count: 4 } }],
    ['a table', { ...copy, updated_alert: { ...alert, tables: ['x'] } }],
    ['a field', { ...copy, note: 'x' }],
    ['an indicator', { ...copy, indicators: [{ path: 'ip', value: '6.6.6.6' }] }],
    ['a sequence', { ...copy, relay: { ...relay, sequence: 2 } }],
    ['an event that is not known', { ...copy, relay: { ...relay, event_id: `evt_${'0'.repeat(32)}` } }],
    ['the id of a notification', { ...copy, relay: { ...relay, event_id: text.event.id } }],
    ['a beginning, though nothing was cut', { ...copy, updated_alert: { ...alert, severity: 'l' } }],
    ['a text', { message: 'other text', subject: null, relay: { event_id: text.event.id } }],
    ['a subject', { message: 'plain text', subject: 's', relay: { event_id: text.event.id } }],
    ['another message of a finding', { ...finding, message: { a: 1 } }],
    ['no message of a finding', { ...finding, message: null }],
    ['a value of a finding', { ...finding, context_diff: { source: { ip: ['6.6.6.6'] } } }],
    [
      'a severity of a finding',
      { ...finding, updated_alert: { ...(finding.updated_alert as JsonObject), severity: 'info' } },
    ],
    ['a title of a finding', { ...finding, updated_alert: { ...(finding.updated_alert as JsonObject), title: 'U' } }],
    ['more than a text', { message: 'plain text', subject: null, more: 1, relay: { event_id: text.event.id } }],
    ['no text', { relay: { event_id: text.event.id } }],
    [
      'an alert for a text',
      { message: 'plain text', subject: null, updated_alert: 1, relay: { event_id: text.event.id } },
    ],
  ]
  for (const [name, document] of forged) t.match(await send(document), { result: 'stored' }, name)
  t.equal(await count(), stored + forged.length)
  t.match(await send(copy), { result: 'own' }, 'the copy itself is own')
})

t.test('relay.hops counts the relays, whatever they sent, and more than five are refused', async (t) => {
  const here = await intake(t)
  const hopsOf = async (eventId: string) => ((await here.bodyOf(eventId)).relay as JsonObject).hops
  const relay = { event_id: `evt_${'a'.repeat(32)}`, type: 'alert.created', sequence: 1 }
  const foreign = (hops?: Json) => ({
    ...change({ ip: ['1.1.1.1'] }),
    relay: { ...relay, ...(hops === undefined ? {} : { hops }) },
  })
  t.equal(await hopsOf((await here.send(change({ ip: ['1.1.1.1'] }))).event.id), undefined)
  t.equal(await hopsOf((await here.send(foreign())).event.id), 1)
  t.equal(await hopsOf((await here.send(foreign(4))).event.id), 5)
  t.equal(await hopsOf((await here.send(foreign('many'))).event.id), 1, 'what is no number counts as none')
  t.equal(await hopsOf((await here.send({ message: 'x', subject: null, relay: { ...relay, hops: 2 } })).event.id), 3)
  const { event } = await here.send(foreign(3))
  const body = await here.bodyOf(event.id)
  const wrapped = cloudEvent({ event, body } as unknown as Parameters<typeof cloudEvent>[0])
  const other = {
    ...wrapped,
    data: { ...body, relay: { ...(body.relay as JsonObject), hops: 4, event_id: relay.event_id } },
  }
  t.equal(await hopsOf((await here.send(other)).event.id), 5, 'in a CloudEvent too')
  const stored = await here.count()
  for (const hops of [5, 6, 1e6]) {
    await t.rejects(here.send(foreign(hops)), { code: 'too_many_hops', status: 403, message: /goes round in a loop/ })
  }
  t.equal(await here.count(), stored)
})
