import t from 'tap'
import { renderFormat } from '../../../../src/core/format/receivers.js'
import { bodyOf } from '../bodies.js'
import { always } from '../hostile.js'
import { ALERT_ID, alertInput, EVENT_ID, noticeInput, notificationInput, TOPIC } from '../inputs.js'

t.test('the attributes identify the event, and data is the body', async (t) => {
  const input = alertInput()
  const { contentType } = renderFormat('cloudevents', input)
  t.equal(contentType, 'application/cloudevents+json; charset=utf-8')
  t.match(bodyOf('cloudevents', input), {
    id: EVENT_ID,
    source: TOPIC,
    type: 'com.alert-relay.alert.created',
    subject: ALERT_ID,
    time: '2026-01-02T03:04:06.000Z',
    data: { updated_alert: { id: ALERT_ID }, relay: { event_id: EVENT_ID } },
  })
  const notice = bodyOf('cloudevents', noticeInput('webhook.failing', { id: 'wh_1' }))
  t.match(notice, { source: 'urn:alert-relay', subject: 'wh_1' })
  t.notOk('subject' in bodyOf('cloudevents', notificationInput('x')))
})

t.test('any event is valid', async () => {
  always('cloudevents', () => undefined)
})
