import t from 'tap'
import { renderFormat } from '../../../../src/core/format/receivers.js'
import type { JsonObject } from '../../../../src/core/platform/json.js'
import { bodyOf, INPUTS, stringsOf } from '../bodies.js'
import { always, refuse, UNCLEAN } from '../hostile.js'
import { ALERT_ID, alertInput, EVENT_ID, notificationInput, ROUTING_KEY, TOPIC } from '../inputs.js'

t.test('an alert has one dedup_key, and alert.quiet resolves it', async (t) => {
  t.match(bodyOf('pagerduty', alertInput({ severity: 'high', runbook: 'https://wiki.example/r' })), {
    routing_key: ROUTING_KEY,
    event_action: 'trigger',
    dedup_key: ALERT_ID,
    payload: {
      severity: 'error',
      source: '2929922929292, us-west-2',
      summary: 'New alert: AWS Root Credentials Change',
      custom_details: { Matches: '2', 'New in this alert': { 'user.name': 'John Doe' } },
    },
    links: [{ href: 'https://wiki.example/r' }],
  })
  t.same(bodyOf('pagerduty', INPUTS.quiet), { routing_key: ROUTING_KEY, event_action: 'resolve', dedup_key: ALERT_ID })
  t.match(bodyOf('pagerduty', INPUTS.text), {
    event_action: 'trigger',
    dedup_key: EVENT_ID,
    payload: { source: TOPIC },
  })
  t.match(bodyOf('pagerduty', INPUTS.test), { event_action: 'trigger', dedup_key: EVENT_ID }, 'a test opens its own')
  t.match(bodyOf('pagerduty', INPUTS.failing), { event_action: 'trigger', dedup_key: 'wh_1' })
  t.match(bodyOf('pagerduty', INPUTS.recovered), { event_action: 'resolve', dedup_key: 'wh_1' })
  t.match(
    bodyOf('pagerduty', INPUTS.dead),
    { event_action: 'trigger', dedup_key: 'wh_1:dead' },
    'which no recovery resolves',
  )
  const long = bodyOf('pagerduty', alertInput({ id: '\u{1f600}'.repeat(200) }))
  t.match(long.dedup_key, /^[0-9a-f]{64}$/, 'an id that is too long is hashed')
})

t.test('severities are mapped, and an unknown one is a warning', async (t) => {
  const severityOf = (severity: string) =>
    (bodyOf('pagerduty', alertInput({ severity })).payload as JsonObject).severity
  t.same(['info', 'notice', 'low', 'medium', 'high', 'critical', 'odd'].map(severityOf), [
    ...['info', 'info', 'warning', 'warning', 'error', 'critical', 'warning'],
  ])
})

t.test('an event is below 512 KB', async (t) => {
  always('pagerduty', (body, text) => {
    refuse(UNCLEAN, stringsOf(body))
    if (Buffer.byteLength(text) > 512 * 1024) throw new Error('too large')
  })
  const values = Object.fromEntries(Array.from({ length: 6000 }, (_, i) => [`漢${i}`, ['漢'.repeat(100)]]))
  for (const input of [alertInput({}, values), notificationInput('漢'.repeat(250_000))]) {
    const size = Buffer.byteLength(renderFormat('pagerduty', input).text)
    t.ok(size > 100_000 && size < 512 * 1024, String(size))
  }
})
