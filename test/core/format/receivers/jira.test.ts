import t from 'tap'
import type { JsonObject } from '../../../../src/core/platform/json.js'
import { bodyOf, stringsOf } from '../bodies.js'
import { always, refuse, UNCLEAN } from '../hostile.js'
import { alertInput, largestInput } from '../inputs.js'

t.test('an issue is made in the project and of the type of the options', async (t) => {
  const input = alertInput()
  t.match(bodyOf('jira', input), {
    fields: {
      project: { key: 'SEC' },
      issuetype: { name: 'Task' },
      summary: 'New alert: AWS Root Credentials Change',
      labels: ['alert-relay', 'alert.created', 'severity-medium', /^alert-[0-9a-f]{32}$/],
    },
  })
  const incident = { ...input, options: { project_key: 'OPS', issue_type: 'Incident' } }
  t.match(bodyOf('jira', incident), { fields: { project: { key: 'OPS' }, issuetype: { name: 'Incident' } } })
})

t.test('the summary is one line, and the description has at most 32,767 characters', async () => {
  always('jira', (body) => {
    const { summary, description } = body.fields as JsonObject
    refuse(UNCLEAN, stringsOf(body))
    refuse(/\n/, [String(summary)])
    const { length } = JSON.stringify(description)
    if (length > 32_767) throw new Error(`${length} characters`)
  })
  for (const text of ['x', '"', '漢']) {
    const { description } = bodyOf('jira', largestInput(text)).fields as JsonObject
    if (JSON.stringify(description).length > 32_767) throw new Error(text)
  }
})
