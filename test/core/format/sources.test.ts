/** What people see of the commonest sources: in the same order everywhere, so that a message that is cut has lost the least. */
import t from 'tap'
import { isJsonObject, type Json } from '../../../src/core/platform/json.js'
import { bodyOf, stringsOf } from './bodies.js'
import { alertInput, fixtureInput } from './inputs.js'
import { SLACK_LINES } from './slack-lines.js'

const INPUTS = {
  guardduty: await fixtureInput('guardduty-new'),
  securityhub: await fixtureInput('securityhub-failed'),
  cloudwatch: await fixtureInput('cloudwatch-alarm'),
  inspector: await fixtureInput('inspector-ecr'),
  config: await fixtureInput('config-eventbridge'),
  matano: alertInput({ runbook: 'https://wiki.example/root' }, undefined, { source: 'matano' }),
}

/** The texts of Slack's blocks from the top, one line a block; of a time its fallback. */
function slackLines(blocks: Json | undefined): string[] {
  return Array.isArray(blocks) ? blocks.map((block) => textsOf(block).join(' | ')) : []
}

function textsOf(node: Json): string[] {
  if (Array.isArray(node)) return node.flatMap(textsOf)
  if (!isJsonObject(node)) return []
  if (typeof node.text === 'string') return [node.text.replace(/<!date\^\d+\^[^|]+\|([^>]+)>/g, '$1')]
  return [node.text, node.fields, node.elements].flatMap((child) => textsOf(child ?? null))
}

t.test('Slack: title, severity, state, source, account, Region, what is new, the link, then facts', async (t) => {
  for (const [name, input] of Object.entries(INPUTS)) {
    t.strictSame(slackLines(bodyOf('slack', input).blocks), SLACK_LINES[name], name)
  }
})

t.test('every format shows them in that order', async (t) => {
  for (const [name, input] of Object.entries(INPUTS)) {
    for (const format of ['slack', 'teams', 'discord', 'pagerduty', 'jira'] as const) {
      // what is shown is the rest of the body after what only the receiver reads
      const { text: _fallback, ...body } = bodyOf(format, input)
      const shown = stringsOf(body).join('\n').replaceAll('\\', '')
      const marks = [
        'New alert',
        'Severity',
        'State',
        'Source',
        'Account',
        'Region',
        'New in this alert',
        'Alert\\b(?!:? ?S)',
      ]
      const at = marks
        .filter((mark) => name !== 'matano' || mark !== 'State')
        .map((mark) => shown.search(new RegExp(`^\\W*${mark}`, 'm')))
      t.notOk(at.includes(-1), `${name} in ${format}: ${at.join()}`)
      t.strictSame(
        at,
        at.toSorted((a, b) => a - b),
        `${name} in ${format}`,
      )
    }
  }
})
