import t from 'tap'
import { bodyOf, nodesOf, stringsOf } from '../bodies.js'
import { always, refuse, UNCLEAN } from '../hostile.js'
import { alertInput, EVENT_ID } from '../inputs.js'

t.test(
  'the message has the headline and facts, and a runbook that is a URL is a link without a text of its own',
  async (t) => {
    const body = bodyOf('slack', alertInput({ runbook: 'https://wiki.example/a|b?c=1&d=<e>' }))
    t.equal(body.text, '🟡 New alert: AWS Root Credentials Change')
    const texts = stringsOf(body)
    t.ok(texts.includes('Severity: medium'))
    t.ok(texts.some((text) => text.includes('source.ip: 5.205.62.253')))
    t.ok(texts.includes(`Event: ${EVENT_ID}`))
    t.same(
      nodesOf(body, 'mrkdwn').map(({ text }) => text),
      ['Runbook: <https://wiki.example/a%7Cb?c=1&amp;d=%3Ce%3E>'],
    )
    const spoof = bodyOf('slack', alertInput({ runbook: 'https://bank.example@evil.example/' }))
    t.same(nodesOf(spoof, 'mrkdwn'), [], 'a URL with credentials is no link')
    for (const runbook of [
      'javascript:alert(1)',
      'see https://x.example',
      'https://x.example and <y>',
      '//x.example',
    ]) {
      t.same(nodesOf(bodyOf('slack', alertInput({ runbook })), 'mrkdwn'), [], runbook)
    }
  },
)

t.test('hostile text is never markup', async () => {
  always('slack', (body) => {
    const texts = stringsOf(body)
    refuse(UNCLEAN, texts)
    refuse(/<!|<@|<#/, texts)
    refuse(/&(?!amp;|lt;|gt;)/, texts)
    refuse(/[<>]/, [...nodesOf(body, 'plain_text').map(({ text }) => String(text)), String(body.text)])
    refuse(
      /^(?!Runbook: <https?:\/\/[^<>|\s]+>$)/,
      nodesOf(body, 'mrkdwn').map(({ text }) => String(text)),
    )
  })
})
