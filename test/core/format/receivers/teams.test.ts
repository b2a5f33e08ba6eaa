import t from 'tap'
import { bodyOf, nodesOf, stringsOf } from '../bodies.js'
import { always, refuse, UNCLEAN } from '../hostile.js'
import { largestInput, notificationInput } from '../inputs.js'

t.test('hostile text is in no block that renders Markdown, and the message is below 28 KB', async () => {
  always('teams', (body, text) => {
    refuse(UNCLEAN, stringsOf(body))
    if (/"(TextBlock|FactSet)"/.test(JSON.stringify(nodesOf(body, 'RichTextBlock').map(({ type }) => type)))) {
      throw new Error('Markdown')
    }
    if (Buffer.byteLength(text) > 28 * 1024) throw new Error(`${Buffer.byteLength(text)} bytes`)
  })
})

t.test('the largest message is below 28 KB', async (t) => {
  const wide = '漢'.repeat(10_000)
  const sizes = [
    largestInput('漢'),
    largestInput('"\\'),
    notificationInput(wide, wide),
    notificationInput('漢\n'.repeat(5000), wide),
  ].map((input) => Buffer.byteLength(JSON.stringify(bodyOf('teams', input))))
  t.ok(Math.max(...sizes) > 15_000 && Math.max(...sizes) < 28 * 1024, String(sizes))
})
