import fc from 'fast-check'
import t from 'tap'
import { snsSubject } from '../../../src/core/delivery/sns-subject.js'

t.test('the Subject of a publication is severity, type and title', async (t) => {
  for (const [fields, subject] of [
    [{ type: 'alert.created', severity: 'high', title: 'Root login' }, '[high] alert.created: Root login'],
    [
      { type: 'alert.updated', severity: '', title: 'Zoë in Kraków\r\n\u0007now \u{1f600}' },
      'alert.updated: Zoe in Krakow now ?',
    ],
    [{ type: 'sns.notification', severity: null, title: null, subject: 'ALARM: cpu' }, 'sns.notification: ALARM: cpu'],
    [{ type: 'webhook.failing', severity: null }, 'webhook.failing'],
    [{ type: 'alert.quiet', severity: 'low', title: 'x'.repeat(500) }, `[low] alert.quiet: ${'x'.repeat(80)}`],
  ] as [Parameters<typeof snsSubject>[0], string][]) {
    t.equal(snsSubject(fields), subject)
  }
})

t.test('it is what SNS takes, whatever the title and the severity are', async (t) => {
  const text = fc.string({ unit: 'binary', maxLength: 600 })
  await fc.assert(
    fc.asyncProperty(text, text, async (title, severity) => {
      t.match(snsSubject({ type: 'alert.created', title, severity }), /^[[a-z][\x20-\x7e]{0,98}$/)
    }),
  )
})
