/**
 * Batches: calls that arrive while a batch runs are done together in the next one, with one statement instead of one
 * each.
 *
 * Guarantee: no call waits for a timer; a single call runs at once. A call that fails does not fail the others: the
 * calls of a batch that fails are repeated one by one, unless the error is 'undecided', which no call has caused.
 */
import { setImmediate } from 'node:timers/promises'
import { isUndecided } from './errors.js'

export interface BatcherOptions<Input> {
  /** The weight of a full batch; without `weightOf`, its number of calls. */
  maxWeight: number
  /** The weight of a call, 1 by default; a call heavier than `maxWeight` has a batch of its own. */
  weightOf?: (input: Input) => number
  /** How many batches run at once. */
  concurrency: number
  /** Two inputs that have a key in common never share a batch, and keep their order; undefined: no key. */
  keyOf?: (input: Input) => string | readonly string[] | undefined
}

/**
 * Makes a function that adds one input to a batch and resolves with its output.
 * @param work runs a batch and returns its outputs in the order of the inputs
 */
export function createBatcher<Input, Output>(
  work: (inputs: Input[]) => Promise<Output[]>,
  { maxWeight, concurrency, weightOf = () => 1, keyOf = () => undefined }: BatcherOptions<Input>,
): (input: Input) => Promise<Output> {
  interface Call {
    input: Input
    resolve: (output: Output) => void
    reject: (error: unknown) => void
  }
  let waiting: Call[] = []
  let running = 0

  function nextBatch(): Call[] {
    const batch: Call[] = []
    const rest: Call[] = []
    const keys = new Set<string>()
    let weight = 0
    for (const call of waiting) {
      const own = [keyOf(call.input) ?? []].flat()
      const added = weightOf(call.input)
      const mustWait = (weight > 0 && weight + added > maxWeight) || own.some((key) => keys.has(key))
      // what waits keeps its keys from later calls
      for (const key of own) keys.add(key)
      if (mustWait) {
        rest.push(call)
        continue
      }
      weight += added
      batch.push(call)
    }
    waiting = rest
    return batch
  }

  async function run(): Promise<void> {
    // Calls made in the same turn of the event loop join this batch.
    await setImmediate()
    while (waiting.length > 0) await runBatch(nextBatch())
    running--
  }

  async function runBatch(batch: Call[]): Promise<void> {
    try {
      const outputs = await work(batch.map(({ input }) => input))
      batch.forEach(({ resolve }, i) => resolve(outputs[i]!))
    } catch (error) {
      if (isUndecided(error) || batch.length === 1) for (const { reject } of batch) reject(error)
      else for (const call of batch) await runBatch([call])
    }
  }

  return (input) =>
    new Promise((resolve, reject) => {
      waiting.push({ input, resolve, reject })
      if (running < concurrency) {
        running++
        void run()
      }
    })
}
