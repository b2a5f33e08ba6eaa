/**
 * Batches: calls that arrive while a batch runs are done together in the next one, with one statement instead of one
 * each.
 *
 * Guarantee: no call waits for a timer; a single call runs at once. A call that fails does not fail the others: the
 * calls of a batch that fails are repeated one by one, unless the error is 'undecided', which no call has caused.
 */
import { isUndecided } from './errors.js'

export interface BatcherOptions<Input> {
  /** The weight of a full batch; without `weightOf`, its number of calls. */
  maxWeight: number
  /**
   * The weight of a call, 1 by default. A call heavier than `maxWeight` has a batch of its own; where several batches may
   * run at once, one of them is kept for lighter calls.
   */
  weightOf?: (input: Input) => number
  /** How many batches run at once. */
  concurrency: number
  /** Two inputs that have a key in common are never done at once, and keep their order; undefined: no key. */
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
    keys: readonly string[]
    weight: number
    resolve: (output: Output) => void
    reject: (error: unknown) => void
  }
  const maxHeavy = Math.max(1, concurrency - 1)
  let waiting: Call[] = []
  const running = new Set<Call[]>()
  let isScheduled = false

  const isHeavy = ({ weight }: Call) => weight > maxWeight

  function nextBatch(): Call[] {
    const batch: Call[] = []
    const rest: Call[] = []
    const busy = [...running].flat()
    const keys = new Set(busy.flatMap((call) => call.keys))
    const mayBeHeavy = busy.filter(isHeavy).length < maxHeavy
    let weight = 0
    for (const call of waiting) {
      const isFull = weight > 0 && weight + call.weight > maxWeight
      const mustWait = isFull || (isHeavy(call) && !mayBeHeavy) || call.keys.some((key) => keys.has(key))
      // what waits keeps its keys from later calls
      for (const key of call.keys) keys.add(key)
      if (mustWait) {
        rest.push(call)
        continue
      }
      weight += call.weight
      batch.push(call)
    }
    waiting = rest
    return batch
  }

  /** Starts the batches that may run. */
  function start(): void {
    while (running.size < concurrency) {
      const batch = nextBatch()
      if (batch.length === 0) return
      running.add(batch)
      void runBatch(batch).finally(() => {
        running.delete(batch)
        start()
      })
    }
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

  /** Calls made in the same turn of the event loop share a batch. */
  function schedule(): void {
    if (isScheduled || running.size === concurrency) return
    isScheduled = true
    setImmediate(() => {
      isScheduled = false
      start()
    })
  }

  return (input) =>
    new Promise((resolve, reject) => {
      const keys = [keyOf(input) ?? []].flat()
      waiting.push({ input, keys, weight: weightOf(input), resolve, reject })
      schedule()
    })
}
