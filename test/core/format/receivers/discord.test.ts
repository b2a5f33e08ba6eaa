import t from 'tap'
import type { JsonObject } from '../../../../src/core/platform/json.js'
import { bodyOf } from '../bodies.js'
import { always, refuse, UNCLEAN } from '../hostile.js'
import { alertInput, notificationInput } from '../inputs.js'

t.test('hostile text is never Markdown, and all texts have at most 6,000 characters', async () => {
  always('discord', (body) => {
    const [embed] = body.embeds as JsonObject[]
    const { title = '', description = '', fields = [] } = embed!
    const content = String(description).replace(/^\*\*(New in this alert|Message)\*\*\n/, '')
    const texts = [String(title), content, ...(fields as JsonObject[]).map(({ value }) => String(value))]
    refuse(UNCLEAN, texts)
    // an unescaped mark: an even number of backslashes before it; ours are ": ", ", " and nothing else
    refuse(/(?<!\\)(?:\\\\)*[*_~`|<>@#[\](){}/]/, texts)
    refuse(/(?<!\\)(?:\\\\)*\\(?![!-/:-@[-`{-~])/, texts)
    const total = [title, description, ...(fields as JsonObject[]).flatMap(({ name, value }) => [name, value])].join(
      '',
    ).length
    if (total > 6000) throw new Error(`${total} characters`)
    refuse(/^\s*$/, [String(title), ...(fields as JsonObject[]).map(({ value }) => String(value))])
  })
})

t.test('the largest message has fewer than 6,000 characters', async (t) => {
  const starred = '*'.repeat(10_000)
  const values = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`${starred.slice(0, 40)}${i}`, [starred]]))
  const alert = { title: starred, severity: starred, tables: [starred], runbook: starred, id: '*'.repeat(200) }
  const sizes = [
    alertInput({ ...alert, match_count: 1e15, update_count: 1e15 }, values),
    notificationInput(starred, starred),
  ]
    .map((input) => (bodyOf('discord', input).embeds as JsonObject[])[0]!)
    .map(({ title, description, fields }) => [
      title,
      description,
      ...(fields as JsonObject[]).flatMap(({ name, value }) => [name, value]),
    ])
    .map((texts) => texts.join('').length)
  t.ok(Math.max(...sizes) > 4000 && Math.max(...sizes) < 6000, String(sizes))
})
