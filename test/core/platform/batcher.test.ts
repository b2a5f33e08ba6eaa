import t from 'tap'
import { createBatcher } from '../../../src/core/platform/batcher.js'
import { Refusal } from '../../../src/core/platform/errors.js'

/** A batcher that records its batches; `endAll` ends them until the calls have settled. */
function recordingBatcher(options: Parameters<typeof createBatcher<string, string>>[1]) {
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

t.test('calls that wait share a batch, and each gets its own output', async (t) => {
  const { batches, call, endAll } = recordingBatcher({ maxWeight: 3, concurrency: 1 })
  const answers = await endAll(['a', 'b', 'c', 'd'].map(call))
  t.same(answers, ['A', 'B', 'C', 'D'])
  t.same(batches, [['a', 'b', 'c'], ['d']])
})

t.test('two calls with the same key never share a batch, and keep their order', async (t) => {
  const { batches, call, endAll } = recordingBatcher({ maxWeight: 9, concurrency: 1, keyOf: (input) => input[0] })
  await endAll(['a1', 'a2', 'b1', 'a3'].map(call))
  t.same(batches, [['a1', 'b1'], ['a2'], ['a3']])
})

t.test('a call with several keys waits for each of them, and later calls with one of them wait for it', async (t) => {
  const keyOf = (input: string) => [...input]
  const { batches, call, endAll } = recordingBatcher({ maxWeight: 9, concurrency: 1, keyOf })
  await endAll(['a', 'ab', 'b', 'c'].map(call))
  t.same(batches, [['a', 'c'], ['ab'], ['b']])
})

t.test('a batch has at most maxWeight, or one call that is heavier', async (t) => {
  const { batches, call, endAll } = recordingBatcher({
    maxWeight: 5,
    concurrency: 1,
    weightOf: (input) => input.length,
  })
  await endAll(['aaaaaaaaa', 'bbb', 'cc', 'dddd', 'e'].map(call))
  t.same(batches, [['aaaaaaaaa'], ['bbb', 'cc'], ['dddd', 'e']])
})

t.test('a call waits for the calls under way that have a key of it; others pass it', async (t) => {
  const keyOf = (input: string) => [...input]
  const { batches, call, endAll } = recordingBatcher({ maxWeight: 9, concurrency: 2, keyOf })
  const first = call('a')
  await new Promise(setImmediate)
  const rest = ['ab', 'b', 'c'].map(call)
  await new Promise(setImmediate)
  t.same(batches, [['a'], ['c']])
  await endAll([first, ...rest])
  t.same(batches, [['a'], ['c'], ['ab'], ['b']])
})

t.test('while a call runs that is heavier than maxWeight, others like it wait, and lighter ones do not', async (t) => {
  const weightOf = (input: string) => input.length
  const { batches, call, endAll } = recordingBatcher({ maxWeight: 2, concurrency: 2, weightOf })
  const calls = ['heavy', 'heavier', 'a', 'bb'].map(call)
  await new Promise(setImmediate)
  t.same(batches, [['heavy'], ['a']])
  await endAll(calls)
  t.same(batches, [['heavy'], ['a'], ['heavier'], ['bb']])
})

t.test('a call that fails does not fail the others, unless the error is undecided', async (t) => {
  const call = createBatcher(
    async (inputs: string[]) => {
      if (inputs.includes('away')) throw new Refusal('undecided', 'the database does not answer')
      if (inputs.includes('poison')) throw new Error('poison')
      return inputs
    },
    { maxWeight: 9, concurrency: 1 },
  )
  const outcomes = (inputs: string[]) =>
    Promise.allSettled(inputs.map(call)).then((all) => all.map(({ status }) => status))
  t.same(await outcomes(['a', 'poison', 'b']), ['fulfilled', 'rejected', 'fulfilled'])
  t.same(await outcomes(['a', 'away', 'b']), ['rejected', 'rejected', 'rejected'])
})
