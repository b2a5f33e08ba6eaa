import t from 'tap'
import type { JsonObject } from '../../../../src/core/platform/json.js'
import { bodyOf } from '../bodies.js'
import { always, refuse, UNCLEAN } from '../hostile.js'
import { largestInput, notificationInput } from '../inputs.js'

t.test('hostile text is never Markdown, and all texts have at most 6,000 characters', async () => {
  always('discord', (body) => {
    const [embed] = body.embeds as JsonObject[]
    const { title = '', description = '', fields = [] } = embed!
    const content = String(description).replace(
      /^\*\*([A-Z][a-z ]+|\d+ new in this alert, too many to show)(:?)\*\*/gm,
      '$1$2',
    )
    const values = (fields as JsonObject[]).map(({ value }) => String(value).replace(/^<t:\d+:f>$/, 'time'))
    const texts = [String(title), content, ...values]
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
  const sizes = [largestInput('*'), largestInput('漢'), notificationInput(starred, starred)]
    .map((input) => (bodyOf('discord', input).embeds as JsonObject[])[0]!)
    .map(({ title, description, fields }) => [
      title,
      description,
      ...(fields as JsonObject[]).flatMap(({ name, value }) => [name, value]),
    ])
    .map((texts) => texts.join('').length)
  t.ok(Math.max(...sizes) > 4000 && Math.max(...sizes) < 6000, String(sizes))
})
