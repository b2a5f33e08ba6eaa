import t from 'tap'
import { headlineOf, highlightsOf } from '../../../src/core/format/highlights.js'
import { INPUTS } from './bodies.js'
import { noticeInput } from './inputs.js'

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
