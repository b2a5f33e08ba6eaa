import t from 'tap'
import { shareAnswer } from '../../../src/core/platform/share-answer.js'

t.test('who asks while an answer is on its way, or a moment later, shares it', async (t) => {
  let nowMs = 0
  const open: ((answer: string) => void)[] = []
  const ask = shareAnswer(
    () => new Promise<string>((resolve) => void open.push(resolve)),
    1000,
    () => nowMs,
  )
  const first = Array.from({ length: 100 }, ask)
  nowMs = 5000
  first.push(ask())
  t.equal(open.length, 1, 'however long it takes')
  open[0]!('one')
  t.same(new Set(await Promise.all(first)), new Set(['one']))
  const second = ask()
  t.equal(open.length, 2)
  open[1]!('two')
  t.equal(await second, 'two')
  nowMs += 999
  t.equal(await ask(), 'two')
  nowMs += 1
  void ask()
  t.equal(open.length, 3)
})

t.test('a failure is shared, and asked for again later', async (t) => {
  let nowMs = 0
  let asked = 0
  const ask = shareAnswer(
    async () => {
      throw new Error(`failure ${++asked}`)
    },
    1000,
    () => nowMs,
  )
  await t.rejects(ask(), { message: 'failure 1' })
  await t.rejects(ask(), { message: 'failure 1' })
  nowMs = 1000
  await t.rejects(ask(), { message: 'failure 2' })
})
