/**
 * Batches: calls that come while earlier ones are under way are done together, in one statement instead of one each.
 *
 * Promise: nobody waits for a timer: what is alone is done at once. One call that fails does not fail the others: a batch
 * that fails is done again one by one, unless the failure is nobody's ('undecided').
 */
import { setImmediate } from 'node:timers/promises'
import { Refusal } from './errors.js'

export interface BatcherOptions<Input> {
  /** A batch holds no more than so much: so many calls, unless they have weights. */
  most: number
  /** How much of a batch a call is; one that is more than a batch holds has one to itself. */
  weightOf?: (input: Input) => number
  /** Batches under way at once. */
  atOnce: number
  /** Two inputs with the same key never share a batch; undefined: they may. */
  keyOf?: (input: Input) => string | undefined
}

/**
 * @param work does a batch; its outputs in the order of its inputs
 */
export function createBatcher<Input, Output>(
  work: (inputs: Input[]) => Promise<Output[]>,
  { most, atOnce, weightOf = () => 1, keyOf = () => undefined }: BatcherOptions<Input>,
): (input: Input) => Promise<Output> {
  interface Call {
    input: Input
    resolve: (output: Output) => void
    reject: (error: unknown) => void
  }
  let waiting: Call[] = []
  let underWay = 0

  function take(): Call[] {
    const batch: Call[] = []
    const rest: Call[] = []
    const keys = new Set<string>()
    let weight = 0
    for (const call of waiting) {
      const key = keyOf(call.input)
      const added = weightOf(call.input)
      if ((weight > 0 && weight + added > most) || (key !== undefined && keys.has(key))) {
        rest.push(call)
        continue
      }
      if (key !== undefined) keys.add(key)
      weight += added
      batch.push(call)
    }
    waiting = rest
    return batch
  }

  async function run(): Promise<void> {
    // calls of the same turn of the event loop join
    await setImmediate()
    while (waiting.length > 0) await doBatch(take())
    underWay--
  }

  async function doBatch(batch: Call[]): Promise<void> {
    try {
      const outputs = await work(batch.map(({ input }) => input))
      batch.forEach(({ resolve }, i) => resolve(outputs[i]!))
    } catch (error) {
      const isOurs = error instanceof Refusal && error.code === 'undecided'
      if (isOurs || batch.length === 1) for (const { reject } of batch) reject(error)
      else for (const call of batch) await doBatch([call])
    }
  }

  return (input) =>
    new Promise((resolve, reject) => {
      waiting.push({ input, resolve, reject })
      if (underWay < atOnce) {
        underWay++
        void run()
      }
    })
}
