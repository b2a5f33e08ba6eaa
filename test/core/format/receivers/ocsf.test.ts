import t from 'tap'
import type { Json, JsonObject } from '../../../../src/core/platform/json.js'
import { bodyOf, INPUTS } from '../bodies.js'
import { always } from '../hostile.js'
import { ALERT_ID, alertInput, EVENT_ID } from '../inputs.js'

t.test('an alert is a finding that is created, updated and closed', async (t) => {
  const created = bodyOf('ocsf', alertInput({ runbook: 'https://wiki.example/r' }))
  t.match(created, {
    activity_id: 1,
    type_uid: 200401,
    severity_id: 3,
    status_id: 1,
    time: 1767323045678,
    metadata: { uid: EVENT_ID },
    finding_info: {
      uid: ALERT_ID,
      title: 'AWS Root Credentials Change',
      first_seen_time: Date.parse('2023-03-15T06:21:13.687Z'),
      data_sources: ['aws_cloudtrail'],
      related_events_count: 2,
    },
    remediation: { references: ['https://wiki.example/r'] },
    unmapped: { updated_alert: { id: ALERT_ID } },
  })
  t.match(bodyOf('ocsf', INPUTS.updated), { activity_id: 2, type_uid: 200402 })
  t.match(bodyOf('ocsf', INPUTS.quiet), { activity_id: 3, type_uid: 200403, status_id: 4 })
  t.match(bodyOf('ocsf', INPUTS.text), { class_uid: 0, type_uid: 99, message: 'Notification: ALARM' })
})

t.test('severities are mapped, and an unknown one is Other with its text', async (t) => {
  const severityOf = (severity: unknown) => {
    const { severity_id: id, severity: text } = bodyOf('ocsf', alertInput({ severity }))
    return [id, text]
  }
  t.same(['info', 'notice', 'low', 'medium', 'HIGH', 'critical', 'sev-1', '', null].map(severityOf), [
    [1, 'Informational'],
    [1, 'Informational'],
    [2, 'Low'],
    [3, 'Medium'],
    [4, 'High'],
    [5, 'Critical'],
    [99, 'sev-1'],
    [0, 'Unknown'],
    [0, 'Unknown'],
  ])
})

t.test('observables are paths to their values, each listed once', async (t) => {
  const context = {
    source: { ip: ['1.2.3.4'], port: [443] },
    related: { ip: ['1.2.3.4', '2.3.4.5'], user: ['root'], hash: ['aa'] },
    file: { hash: { sha256: ['bb'] } },
    url: { full: ['https://x.example'] },
    user: { domain: ['CORP'] },
  }
  const { observables } = bodyOf('ocsf', alertInput({}, context))
  t.same(
    (observables as JsonObject[])
      .map(({ type, name, value }) => `${String(type)} ${String(name)} ${String(value)}`)
      .sort(),
    [
      'Hash unmapped.context_diff.file.hash.sha256 bb',
      'Hash unmapped.context_diff.related.hash aa',
      'IP Address unmapped.context_diff.related.ip 1.2.3.4',
      'IP Address unmapped.context_diff.related.ip 2.3.4.5',
      'URL String unmapped.context_diff.url.full https://x.example',
      'User Name unmapped.context_diff.related.user root',
    ],
  )
  const many = { related: { ip: Array.from({ length: 1000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`) } }
  t.equal((bodyOf('ocsf', alertInput({}, many)).observables as Json[]).length, 200)
})

t.test('any event is valid', async () => {
  always('ocsf', () => undefined)
})
