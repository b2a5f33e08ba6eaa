import t from 'tap'
import { checkTemplate, MAX_TEMPLATE_LENGTH } from '../../../src/core/format/template-check.js'

t.test('a template with a wrong syntax is refused with the error', async (t) => {
  for (const text of ['$', 'updated_alert.title', '{"text": updated_alert.title & "!"}', '/a+/']) {
    t.equal(checkTemplate(text), undefined, text)
  }
  t.match(checkTemplate('{"a": '), /^is no JSONata: .+ \(at character \d+\)$/)
  t.match(checkTemplate(''), /^is no JSONata/)
  t.match(checkTemplate('/(/'), /^is no JSONata/)
  t.match(checkTemplate('$'.padEnd(MAX_TEMPLATE_LENGTH + 1)), /^is longer than/)
})

/** CPU time, so that other processes do not count. */
t.test('the check takes a short time for any text', async (t) => {
  const parts = [
    '(',
    '[',
    '{"a":',
    'a.',
    '%.',
    '-',
    '$f(',
    'function($x){',
    '/a/.',
    '"',
    'a[',
    'a?',
    '**.',
    '@$x.',
    '|a|',
    '(/*',
  ]
  for (const part of parts) {
    const text = part.repeat(Math.floor(MAX_TEMPLATE_LENGTH / part.length))
    const before = process.cpuUsage()
    checkTemplate(text)
    checkTemplate(`${text}a`)
    const { user, system } = process.cpuUsage(before)
    const tookMs = (user + system) / 1000
    t.ok(tookMs < 1000, `${part}: ${Math.round(tookMs)} ms`)
  }
})
