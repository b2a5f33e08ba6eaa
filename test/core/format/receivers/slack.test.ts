import t from 'tap'
import { bodyOf, nodesOf, stringsOf } from '../bodies.js'
import { always, refuse, UNCLEAN } from '../hostile.js'
import { alertInput, EVENT_ID } from '../inputs.js'

t.test('the message has the headline and facts, and a runbook that is a URL is a button', async (t) => {
  const body = bodyOf('slack', alertInput({ runbook: 'https://wiki.example/a|b?c=1&d=<e>' }))
  t.equal(body.text, '🟡 New alert: AWS Root Credentials Change')
  const texts = stringsOf(body)
  t.ok(texts.includes('Severity: medium'))
  t.ok(texts.some((text) => text.includes('source.ip: 5.205.62.253')))
  t.ok(texts.includes(`Event: ${EVENT_ID}`))
  t.match(nodesOf(body, 'button'), [
    { text: { text: 'Open the runbook' }, url: 'https://wiki.example/a%7Cb?c=1&d=%3Ce%3E' },
  ])
  const spoof = bodyOf('slack', alertInput({ runbook: 'https://bank.example@evil.example/' }))
  t.same(nodesOf(spoof, 'button'), [], 'a URL with credentials is no link')
  for (const runbook of ['javascript:alert(1)', 'see https://x.example', 'https://x.example and <y>', '//x.example']) {
    t.same(nodesOf(bodyOf('slack', alertInput({ runbook })), 'button'), [], runbook)
  }
})

t.test('hostile text is never markup', async () => {
  always('slack', (body) => {
    const own = nodesOf(body, 'mrkdwn').map(({ text }) => String(text))
    const urls = nodesOf(body, 'button').map(({ url }) => String(url))
    const texts = stringsOf(body).filter((text) => !own.includes(text) && !urls.includes(text))
    refuse(UNCLEAN, texts)
    refuse(/<!|<@|<#/, texts)
    refuse(/&(?!amp;|lt;|gt;)/, texts)
    refuse(/^(?!https?:\/\/[^<>|\s]+$)/, urls)
    refuse(/[<>]/, [...nodesOf(body, 'plain_text').map(({ text }) => String(text)), String(body.text)])
    refuse(
      /^(?!\*(New in this alert|Nothing new in this alert|Message|\d+ new in this alert, too many to show)\*$|(First seen|Updated|Sent): <!date\^\d+\^\{date_short_pretty\} \{time_secs\}\|[-:\d ]+ UTC>$)/,
      own,
    )
  })
})
