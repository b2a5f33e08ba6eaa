import { Ajv } from 'ajv'
import t from 'tap'
import { FORMATS } from '../../../src/core/format/format-names.js'
import { checkFormat, FormatOptions, hideSecrets } from '../../../src/core/format/options.js'
import { ROUTING_KEY } from './inputs.js'

t.test('a format requires its options, and refuses those of other formats', async (t) => {
  for (const format of FORMATS) {
    const missing = checkFormat(format, {}).map(({ path }) => path)
    const needed = { pagerduty: ['/routing_key'], jira: ['/project_key'], template: ['/template'] }
    t.same(missing, (needed as Record<string, string[]>)[format] ?? [], format)
  }
  t.same(checkFormat('pagerduty', { routing_key: ROUTING_KEY }), [])
  t.same(checkFormat('jira', { project_key: 'SEC' }), [])
  t.same(checkFormat('jira', { project_key: 'SEC', issue_type: 'Incident' }), [])
  const moves = { project_key: 'SEC', resolve_transition: 'Done' }
  t.same(checkFormat('jira', { ...moves, on_update: 'comment' }), [])
  const needsUpdate = [{ path: '/resolve_transition', detail: 'needs on_update: "comment" or "ignore"' }]
  t.same(checkFormat('jira', moves), needsUpdate)
  t.same(checkFormat('jira', { ...moves, on_update: 'create' }), needsUpdate)
  t.same(checkFormat('template', { template: '$' }), [])
  t.match(checkFormat('template', { template: '{' }), [{ path: '/template', detail: /^is no JSONata/ }])
  t.same(checkFormat('slack', { template: '{', project_key: 'SEC' }), [
    { path: '/template', detail: 'is unknown to the format slack' },
    { path: '/project_key', detail: 'is unknown to the format slack' },
  ])
})

t.test('the schema checks the shapes of the options', async (t) => {
  const validate = new Ajv({ strict: false }).compile(FormatOptions)
  const right = [
    {},
    { routing_key: ROUTING_KEY },
    { project_key: 'SEC' },
    { project_key: 'S_2', issue_type: 'Sécurité' },
  ]
  for (const options of right) t.ok(validate(options), JSON.stringify(options))
  const wrong = [
    ...['', 'x'.repeat(31), 'x'.repeat(33), `${'x'.repeat(31)}\n`, `${'x'.repeat(31)}-`].map((key) => ({
      routing_key: key,
    })),
    ...['', 'S', 'sec', '1SEC', 'SEC-1', 'SEC\n'].map((key) => ({ project_key: key })),
    { issue_type: '' },
    { issue_type: 'a\nb' },
    { template: '' },
    { template: 'x'.repeat(20_000) },
    { other: 1 },
  ]
  for (const options of wrong) t.notOk(validate(options), JSON.stringify(options).slice(0, 80))
})

t.test('a secret option is hidden', async (t) => {
  t.same(hideSecrets({ routing_key: ROUTING_KEY, project_key: 'SEC' }), { routing_key: '********', project_key: 'SEC' })
  t.same(hideSecrets({ template: '$' }), { template: '$' })
})
