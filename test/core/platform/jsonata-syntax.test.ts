import t from 'tap'
import { checkExpression, MAX_EXPRESSION_LENGTH } from '../../../src/core/platform/jsonata-syntax.js'

t.test('an expression with a wrong syntax is refused with the error', async (t) => {
  for (const text of ['$', 'updated_alert.title', '{"text": updated_alert.title & "!"}', '/a+/']) {
    t.equal(checkExpression(text), undefined, text)
  }
  t.match(checkExpression('{"a": '), /^is no JSONata: .+ \(at character \d+\)$/)
  t.match(checkExpression(''), /^is no JSONata/)
  t.match(checkExpression('/(/'), /^is no JSONata/)
  t.match(checkExpression('$'.padEnd(MAX_EXPRESSION_LENGTH + 1)), /^is longer than/)
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
    const text = part.repeat(Math.floor(MAX_EXPRESSION_LENGTH / part.length))
    const before = process.cpuUsage()
    checkExpression(text)
    checkExpression(`${text}a`)
    const { user, system } = process.cpuUsage(before)
    const tookMs = (user + system) / 1000
    t.ok(tookMs < 1000, `${part}: ${Math.round(tookMs)} ms`)
  }
})
