/**
 * The format `template`: a JSONata expression over the body of the `change` format; its result is sent as JSON.
 *
 * Promise: an evaluation takes a bounded time, memory and result, whatever the template and the body; one that does not
 * end is ended, and hurts the other templates no more than its turn.
 *
 * What a template sees: numbers that a double holds are numbers; longer ones (see json.ts) are strings with every digit.
 * `$now()` and `$millis()` are the time at which the event was received; `$random()` and `$shuffle()` are refused. A string,
 * number, boolean or null is a result too and is sent as JSON; no result at all is an error.
 */
import { isLosslessNumber } from 'lossless-json'
import { messageOf } from '../platform/errors.js'
import type { JsonObject } from '../platform/json.js'
import { startTemplateProcess, type Answer, type Evaluation, type TemplateProcess } from './template-process.js'

export interface TemplateRenderer {
  /** Never rejects: `text` is JSON, to be sent as application/json; `error` is for the person who wrote the template. */
  render(template: string, body: JsonObject): Promise<Answer>
  /** Ends the process; what waits is answered with an error. */
  close(): void
}

export interface TemplateBounds {
  /** An evaluation ends itself after this long, and is killed after twice as long. */
  timeoutMs: number
  maxOutputBytes: number
  /** Memory of all that is being evaluated: one at a time. */
  memoryMb: number
  /** Evaluations that may wait for their turn. */
  maxWaiting: number
  /** For this long a template that ran out of time or memory is not run again: others need the turns. */
  restMs: number
}

const DEFAULTS: TemplateBounds = {
  timeoutMs: 200,
  maxOutputBytes: 1024 * 1024,
  memoryMb: 64,
  maxWaiting: 500,
  restMs: 10_000,
}
const START_MS = 10_000

/** Starts nothing until the first template is rendered. */
export function createTemplateRenderer(bounds: Partial<TemplateBounds> = {}): TemplateRenderer {
  const limits = { ...DEFAULTS, ...bounds }
  const resting = new Map<string, NodeJS.Timeout>()
  let running: TemplateProcess | undefined
  let turn: Promise<unknown> = Promise.resolve()
  let waiting = 0
  let closed = false

  /** One turn: the process is started when there is none, and given up when it died or did not answer. */
  async function evaluate(evaluation: Evaluation): Promise<Answer> {
    const refusal = refusalOf(evaluation.template)
    if (refusal !== undefined) return failed(refusal)
    const evaluator = (running ??= startTemplateProcess(limits))
    if (!(await within(START_MS, evaluator.ready))) return giveUp('templates cannot be evaluated: no process starts')
    const startedAt = performance.now()
    const answer = await within(limits.timeoutMs * 2, evaluator.evaluate(evaluation))
    const tookMs = performance.now() - startedAt
    if (answer?.ok) return answer
    if (tookMs >= limits.timeoutMs || !answer) rest(evaluation.template)
    return answer ?? giveUp('the template was stopped: it takes too long or too much memory')
  }

  function giveUp(error: string): Answer {
    running?.kill()
    running = undefined
    return failed(closed ? 'the relay is shutting down' : error)
  }

  function refusalOf(template: string): string | undefined {
    if (closed) return 'the relay is shutting down'
    return resting.has(template)
      ? 'the template took too long or too much memory just now; it rests a while'
      : undefined
  }

  function rest(template: string): void {
    clearTimeout(resting.get(template))
    resting.set(template, setTimeout(() => resting.delete(template), limits.restMs).unref())
  }

  return {
    async render(template, body) {
      const refusal = refusalOf(template)
      if (refusal !== undefined) return failed(refusal)
      if (waiting >= limits.maxWaiting) return failed('too many templates wait to be evaluated')
      waiting++
      const evaluation = { template, body: plainJson(body) }
      const answer = turn.then(() => evaluate(evaluation)).catch((error) => giveUp(messageOf(error)))
      turn = answer
      return answer.finally(() => waiting--)
    },
    close() {
      closed = true
      for (const timer of resting.values()) clearTimeout(timer)
      resting.clear()
      running?.kill()
    },
  }
}

function failed(error: string): Answer {
  return { ok: false, error }
}

/** JSON in which a number that a double cannot hold is a string. */
function plainJson(body: JsonObject): string {
  return JSON.stringify(body, (_key, value: unknown) => (isLosslessNumber(value) ? value.toString() : value))
}

/**
 * The promise's value, or undefined when it takes longer. A late timer is no proof: an answer that came in while this
 * process was busy is read first.
 */
function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => setImmediate(resolve, undefined), ms)
    promise.finally(() => clearTimeout(timer)).then(resolve, reject)
  })
}
