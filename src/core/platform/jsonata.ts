/**
 * Evaluates JSONata expressions that users write, over JSON that strangers write.
 *
 * Guarantee: time, memory and result of an evaluation are bounded for any expression and input. Evaluations of one evaluator
 * run one at a time; one that does not end is killed, and delays the next by at most twice its timeout and a process start.
 *
 * Numbers that fit a double are numbers; longer ones (see json.ts) are strings with every digit. `$now()` and `$millis()` are
 * the given time; `$random()` and `$shuffle()` are refused.
 */
import { isLosslessNumber } from 'lossless-json'
import { messageOf } from './errors.js'
import type { Json } from './json.js'
import { startJsonataProcess, type Answer, type JsonataProcess } from './jsonata-process.js'

export interface Expression {
  expression: string
  input: Json
  /** Its `$now()`. */
  now: Date
}

/** A failure is `ours` when it says nothing of the expression and its input: the next evaluation may succeed. */
export type Evaluated = Extract<Answer, { ok: true }> | { ok: false; error: string; isOurs: boolean }

export interface Evaluator {
  /** Never rejects. */
  evaluate(expression: Expression): Promise<Evaluated>
  /** Ends the process; waiting evaluations resolve with an error. */
  close(): void
}

export interface EvaluatorBounds {
  /** JSONata ends an evaluation after this time; the process is killed after twice this time. */
  timeoutMs: number
  maxOutputBytes: number
  /** Memory of the process, which evaluates one expression at a time. */
  memoryMb: number
  /** Evaluations that may wait. */
  maxWaiting: number
  /** An expression that ran out of time or memory is refused for this time, so that it does not block others. */
  cooldownMs: number
}

const DEFAULTS: EvaluatorBounds = {
  timeoutMs: 200,
  maxOutputBytes: 1024 * 1024,
  memoryMb: 64,
  maxWaiting: 500,
  cooldownMs: 10_000,
}
const START_MS = 10_000

/**
 * Starts nothing until the first evaluation.
 * @param noun what its expressions are called in errors, such as template
 */
export function createEvaluator(noun: string, bounds: Partial<EvaluatorBounds> = {}): Evaluator {
  const limits = { ...DEFAULTS, ...bounds }
  const coolingDown = new Map<string, NodeJS.Timeout>()
  let running: JsonataProcess | undefined
  /** Settles when the last evaluation in the queue has. */
  let tail: Promise<unknown> = Promise.resolve()
  let waiting = 0
  let closed = false

  /** Runs one evaluation. Starts the process when there is none, and discards it when it has ended or does not answer. */
  async function run({ expression, input, now }: Expression): Promise<Evaluated> {
    const refusal = refusalOf(expression)
    if (refusal) return refusal
    // one that was killed while nothing ran says nothing of this expression
    if (running?.hasEnded()) running = undefined
    const jsonata = (running ??= startJsonataProcess(limits))
    if (!(await within(START_MS, jsonata.ready))) {
      return discard({ error: `${noun}s cannot be evaluated: no process starts`, isOurs: true })
    }
    const startedAt = performance.now()
    const given = { expression, input: plainJson(input), nowMs: now.getTime() }
    const answer = await within(limits.timeoutMs * 2, jsonata.evaluate(given))
    const tookMs = performance.now() - startedAt
    if (answer?.ok) return answer
    if (tookMs >= limits.timeoutMs || !answer) coolDown(expression)
    if (answer) return { ...answer, isOurs: false }
    return discard({ error: `the ${noun} was stopped: it takes too long or too much memory`, isOurs: false })
  }

  function discard(failure: { error: string; isOurs: boolean }): Evaluated {
    running?.kill()
    running = undefined
    return closed ? SHUTTING_DOWN : { ok: false, ...failure }
  }

  function refusalOf(expression: string): Evaluated | undefined {
    if (closed) return SHUTTING_DOWN
    if (!coolingDown.has(expression)) return undefined
    const error = `the ${noun} took too long or too much memory just now; it is not run again for a while`
    return { ok: false, error, isOurs: false }
  }

  function coolDown(expression: string): void {
    clearTimeout(coolingDown.get(expression))
    coolingDown.set(expression, setTimeout(() => coolingDown.delete(expression), limits.cooldownMs).unref())
  }

  return {
    async evaluate(given) {
      const refusal = refusalOf(given.expression)
      if (refusal) return refusal
      if (waiting >= limits.maxWaiting) {
        return { ok: false, error: `too many ${noun}s wait to be evaluated`, isOurs: true }
      }
      waiting++
      const answer = tail
        .then(() => run(given))
        .catch((error: unknown) => discard({ error: messageOf(error), isOurs: true }))
      tail = answer
      return answer.finally(() => waiting--)
    },
    close() {
      closed = true
      for (const timer of coolingDown.values()) clearTimeout(timer)
      coolingDown.clear()
      running?.kill()
    },
  }
}

const SHUTTING_DOWN: Evaluated = { ok: false, error: 'the relay is shutting down', isOurs: true }

/** JSON with numbers that do not fit a double as strings. */
function plainJson(input: Json): string {
  return JSON.stringify(input, (_key, value: unknown) => (isLosslessNumber(value) ? value.toString() : value))
}

/**
 * The promise's value, or undefined after `ms`. When the timer fires late because this process was busy, messages that
 * have arrived meanwhile are read first (`setImmediate`).
 */
function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => setImmediate(resolve, undefined), ms)
    promise.finally(() => clearTimeout(timer)).then(resolve, reject)
  })
}
