import t from 'tap'
import type { JsonObject } from '../../../src/core/platform/json.js'
import { bodyOf, INPUTS, nodesOf, stringsOf } from './bodies.js'
import { alertInput, findingInput } from './inputs.js'

/** A change of an alert that is over and stays so. */
const UPDATED_WHEN_OVER = findingInput({ type: 'alert.updated', state: 'resolved' }, { state_reason: 'passed' })

t.test(
  'PagerDuty: what is over resolves the incident of its alert, and what is active again triggers it',
  async (t) => {
    const { finding, resolved, reopened } = INPUTS
    const bodies = [finding, resolved, UPDATED_WHEN_OVER, reopened].map((input) => bodyOf('pagerduty', input))
    t.same(
      bodies.map(({ event_action: action }) => action),
      ['trigger', 'resolve', 'resolve', 'trigger'],
    )
    t.same(new Set(bodies.map(({ dedup_key: key }) => key)), new Set(['arn:aws:f']))
    t.match(bodies[0], {
      client: 'GuardDuty',
      client_url: 'https://console.example/f',
      payload: { source: 'GuardDuty, 111122223333, eu-west-1' },
      links: [{ href: 'https://console.example/f', text: 'Open in GuardDuty' }],
    })
  },
)

t.test('OCSF: a finding that is over is closed, with the status that its producer says', async (t) => {
  const over = (reason: string) => {
    return bodyOf('ocsf', findingInput({ type: 'alert.resolved', state: 'resolved' }, { state_reason: reason }))
  }
  t.match(over('passed'), { activity_id: 3, status_id: 4, status: 'Resolved', is_alert: false })
  t.match(over('suppressed'), { activity_id: 3, status_id: 3, status: 'Suppressed', is_alert: false })
  t.match(over('archived'), { activity_id: 3, status_id: 5, status: 'Archived', is_alert: false })
  t.match(bodyOf('ocsf', UPDATED_WHEN_OVER), { activity_id: 2, status_id: 4, is_alert: false })
  t.match(bodyOf('ocsf', INPUTS.reopened), { activity_id: 2, status_id: 1, status: 'New', is_alert: true })
  t.match(bodyOf('ocsf', INPUTS.finding), { finding_info: { src_url: 'https://console.example/f' } })
})

t.test('chats say in colour and in words whether an alert is over', async (t) => {
  const slack = (input: typeof INPUTS.created) => bodyOf('slack', input).text
  t.equal(slack(INPUTS.finding), '🟠 New alert: A finding')
  t.equal(slack(INPUTS.resolved), '🟢 Alert resolved: A finding')
  t.equal(slack(UPDATED_WHEN_OVER), '🟢 Resolved alert updated: A finding')
  t.equal(slack(INPUTS.reopened), '🟠 Alert reopened: A finding')
  const discord = (input: typeof INPUTS.created) => (bodyOf('discord', input).embeds as JsonObject[])[0]!
  t.match(discord(INPUTS.finding), { color: 0xf97316, url: 'https://console.example/f' })
  t.match(discord(INPUTS.resolved), { color: 0x15803d, title: 'Alert resolved\\: A finding' })
  const teams = (input: typeof INPUTS.created) => nodesOf(bodyOf('teams', input), 'TextRun')[0]!
  t.match(teams(INPUTS.finding), { color: 'attention', text: 'New alert: A finding' })
  t.match(teams(INPUTS.resolved), { color: 'good', text: 'Alert resolved: A finding' })
  t.match(teams(INPUTS.quiet), { color: 'default', text: /^Alert quiet/ })
  t.match(slack(INPUTS.quiet), /^\u26ab Alert quiet/)
  for (const format of ['slack', 'discord', 'teams'] as const) {
    t.ok(
      stringsOf(bodyOf(format, INPUTS.resolved)).some((text) => /resolved \\?\(archived\\?\)/.test(text)),
      format,
    )
    t.ok(
      stringsOf(bodyOf(format, INPUTS.finding)).some((text) => text.includes('https://console.example/f')),
      format,
    )
  }
})

t.test('a link is shown of a finding alone, whose source made it', async (t) => {
  const own = alertInput({ url: 'https://phishing.example/' })
  for (const format of ['slack', 'discord', 'teams', 'pagerduty'] as const) {
    t.notOk(
      stringsOf(bodyOf(format, own)).some((text) => text.includes('phishing')),
      format,
    )
  }
})
