import t from 'tap'
import { cutBody } from '../../../src/core/format/body.js'
import { headlineOf, highlightsOf } from '../../../src/core/format/highlights.js'
import type { JsonObject } from '../../../src/core/platform/json.js'
import { INPUTS } from './bodies.js'
import { alertInput, findingInput, noticeInput, notificationInput } from './inputs.js'

t.test('a notice is titled by the name of its webhook, and by its id where it has none', async (t) => {
  const titled = (name: string | null) => headlineOf(highlightsOf(noticeInput('webhook.failing', { id: 'wh_1', name })))
  t.equal(titled('soar'), 'Webhook failing: soar')
  t.equal(titled(null), 'Webhook failing: wh_1')
  t.equal(headlineOf(highlightsOf(INPUTS.dead)), 'Dead deliveries: soar')
})

t.test(
  'a notice of dead deliveries shows how many there are and what the first failed with, before the webhook',
  async (t) => {
    t.same(highlightsOf(INPUTS.dead).lines, [
      { name: 'dead_deliveries', value: '2' },
      { name: 'dlv_1', value: 'rejected: status 500' },
      { name: 'id', value: 'wh_1' },
      { name: 'name', value: 'soar' },
    ])
  },
)

t.test('an epoch in a field that holds a time is a time, and any other number is itself', async (t) => {
  const event = { start: [1768471200123456], end: [1768471260], duration: [1768471200123456], created: [12] }
  const { lines } = highlightsOf(alertInput({}, { event, source: { port: [1768471260] } }))
  t.same(lines, [
    { name: 'source.port', value: '1768471260' },
    { name: 'event.created', value: '12' },
    { name: 'event.duration', value: '1768471200123456' },
    { name: 'event.end', value: '2026-01-15 10:01:00 UTC' },
    { name: 'event.start', value: '2026-01-15 10:00:00 UTC' },
  ])
  t.strictSame(
    highlightsOf(alertInput()).facts.find(({ name }) => name === 'First seen'),
    { name: 'First seen', value: '2023-03-15 06:21:13 UTC', time: new Date('2023-03-15T06:21:13.687Z') },
  )
})

t.test('what is new leaves out what is shown beside the title, and copies', async (t) => {
  const context = {
    cloud: { account: { id: ['111122223333'] }, region: ['eu-west-1'] },
    related: { ip: ['198.51.100.7'], hosts: ['only here'] },
    rule: { name: ['A finding'] },
    source: { as: { number: [64496] }, ip: ['198.51.100.7'], address: ['198.51.100.7'] },
  }
  const alert = { account: '111122223333', region: 'eu-west-1' }
  const linesFor = (news: JsonObject) =>
    highlightsOf(findingInput({ type: 'alert.updated', state: 'active' }, alert, news)).lines.map(({ name }) => name)
  t.same(linesFor(context), ['source.ip', 'source.as.number', 'related.hosts'])
  t.same(linesFor({ cloud: { region: ['eu-west-1'] } }), ['cloud.region'], 'unless it is that alone')
})

t.test('an update without new values says so, and a body that is cut how many there are', async (t) => {
  const updated = findingInput({ type: 'alert.updated', state: 'active' }, {}, {})
  t.match(highlightsOf(updated), { heading: 'Nothing new in this alert', lines: [], text: '' })
  const cut = { ...INPUTS.finding, body: cutBody(INPUTS.finding.body, 2) }
  t.match(highlightsOf(cut), { heading: '1 new in this alert, too many to show', lines: [] })
  t.equal(highlightsOf(INPUTS.quiet).heading, '')
})

t.test('a notification without a subject is titled by what its producer titles it with', async (t) => {
  const titled = (message: unknown) => highlightsOf(notificationInput(message)).title
  t.equal(titled({ AlarmName: 'cpu' }), 'cpu')
  t.equal(titled({ 'detail-type': 'Console Sign In', source: 'aws.signin' }), 'Console Sign In (aws.signin)')
  t.equal(
    titled({ Records: [{ eventName: 'ObjectCreated:Put', eventSource: 'aws:s3' }] }),
    'ObjectCreated:Put (aws:s3)',
  )
  t.equal(titled([{ title: 'x' }]), 'x')
  t.equal(titled({ a: 1 }), 'without a subject')
  t.equal(titled('Disk full\non web-1'), 'Disk full')
  t.same(highlightsOf(notificationInput({ Records: [{ s3: { key: 'a' } }, { s3: { key: 'b' } }] })).lines, [
    { name: 'Records.s3.key', value: 'a, b' },
  ])
})
