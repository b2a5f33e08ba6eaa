import t from 'tap'
import { createBatcher } from '../../../src/core/platform/batcher.js'
import { Refusal } from '../../../src/core/platform/errors.js'

/** A batcher whose batches are noted, and answer when the test says so. */
function noted(options: Parameters<typeof createBatcher<string, string>>[1]) {
  const batches: string[][] = []
  const ends: (() => void)[] = []
  const call = createBatcher(async (inputs: string[]) => {
    batches.push(inputs)
    await new Promise<void>((resolve) => ends.push(resolve))
    return inputs.map((input) => input.toUpperCase())
  }, options)
  const endAll = async (calls: Promise<string>[]) => {
    const pending = new Set(calls)
    for (const done of calls) done.finally(() => pending.delete(done)).catch(() => {})
    while (pending.size > 0) {
      for (const end of ends.splice(0)) end()
      await new Promise(setImmediate)
    }
    return Promise.all(calls)
  }
  return { batches, call, endAll }
}

t.test('what comes meanwhile is done together, each with its own answer', async (t) => {
  const { batches, call, endAll } = noted({ most: 3, atOnce: 1 })
  const answers = await endAll(['a', 'b', 'c', 'd'].map(call))
  t.same(answers, ['A', 'B', 'C', 'D'])
  t.same(batches, [['a', 'b', 'c'], ['d']])
})

t.test('two with one key never share a batch, and keep their order', async (t) => {
  const { batches, call, endAll } = noted({ most: 9, atOnce: 1, keyOf: (input) => input[0] })
  await endAll(['a1', 'a2', 'b1', 'a3'].map(call))
  t.same(batches, [['a1', 'b1'], ['a2'], ['a3']])
})

t.test('a batch holds so much weight, or the one that is heavier than that', async (t) => {
  const { batches, call, endAll } = noted({ most: 5, atOnce: 1, weightOf: (input) => input.length })
  await endAll(['aaaaaaaaa', 'bbb', 'cc', 'dddd', 'e'].map(call))
  t.same(batches, [['aaaaaaaaa'], ['bbb', 'cc'], ['dddd', 'e']])
})

t.test('one that fails does not fail the others, unless nothing can be decided now', async (t) => {
  const call = createBatcher(
    async (inputs: string[]) => {
      if (inputs.includes('away')) throw new Refusal('undecided', 'the database does not answer')
      if (inputs.includes('poison')) throw new Error('poison')
      return inputs
    },
    { most: 9, atOnce: 1 },
  )
  const outcomes = (inputs: string[]) =>
    Promise.allSettled(inputs.map(call)).then((all) => all.map(({ status }) => status))
  t.same(await outcomes(['a', 'poison', 'b']), ['fulfilled', 'rejected', 'fulfilled'])
  t.same(await outcomes(['a', 'away', 'b']), ['rejected', 'rejected', 'rejected'])
})
