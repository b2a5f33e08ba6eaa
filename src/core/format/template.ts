/**
 * The format `template`: a JSONata expression over the body in the format `change`; its result is sent as JSON.
 *
 * Guarantee: time, memory and result of an evaluation are bounded for any template and body. Evaluations run one at a
 * time; one that does not end is killed, and delays the next by at most twice its timeout and a process start.
 *
 * In a template, numbers that fit a double are numbers; longer ones (see json.ts) are strings with every digit. `$now()` and
 * `$millis()` are the time at which the event was received; `$random()` and `$shuffle()` are refused. A result may be any
 * JSON value, also a string, number, boolean or null; no result is an error.
 */
import { isLosslessNumber } from 'lossless-json'
import { messageOf } from '../platform/errors.js'
import type { JsonObject } from '../platform/json.js'
import { startTemplateProcess, type Answer, type Evaluation, type TemplateProcess } from './template-process.js'

export interface TemplateRenderer {
  /** Never rejects. `text` is JSON, sent as application/json; `error` is for the author of the template. */
  render(template: string, body: JsonObject): Promise<Answer>
  /** Ends the process; waiting evaluations resolve with an error. */
  close(): void
}

export interface TemplateBounds {
  /** JSONata ends an evaluation after this time; the process is killed after twice this time. */
  timeoutMs: number
  maxOutputBytes: number
  /** Memory of the process, which evaluates one template at a time. */
  memoryMb: number
  /** Evaluations that may wait. */
  maxWaiting: number
  /** A template that ran out of time or memory is refused for this time, so that it does not block others. */
  cooldownMs: number
}

const DEFAULTS: TemplateBounds = {
  timeoutMs: 200,
  maxOutputBytes: 1024 * 1024,
  memoryMb: 64,
  maxWaiting: 500,
  cooldownMs: 10_000,
}
const START_MS = 10_000

/** Starts nothing until the first template is rendered. */
export function createTemplateRenderer(bounds: Partial<TemplateBounds> = {}): TemplateRenderer {
  const limits = { ...DEFAULTS, ...bounds }
  const coolingDown = new Map<string, NodeJS.Timeout>()
  let running: TemplateProcess | undefined
  /** Settles when the last evaluation in the queue has. */
  let tail: Promise<unknown> = Promise.resolve()
  let waiting = 0
  let closed = false

  /** Runs one evaluation. Starts the process when there is none, and discards it when it has ended or does not answer. */
  async function evaluate(evaluation: Evaluation): Promise<Answer> {
    const refusal = refusalOf(evaluation.template)
    if (refusal !== undefined) return failed(refusal)
    const evaluator = (running ??= startTemplateProcess(limits))
    if (!(await within(START_MS, evaluator.ready))) return discard('templates cannot be evaluated: no process starts')
    const startedAt = performance.now()
    const answer = await within(limits.timeoutMs * 2, evaluator.evaluate(evaluation))
    const tookMs = performance.now() - startedAt
    if (answer?.ok) return answer
    if (tookMs >= limits.timeoutMs || !answer) coolDown(evaluation.template)
    return answer ?? discard('the template was stopped: it takes too long or too much memory')
  }

  function discard(error: string): Answer {
    running?.kill()
    running = undefined
    return failed(closed ? 'the relay is shutting down' : error)
  }

  function refusalOf(template: string): string | undefined {
    if (closed) return 'the relay is shutting down'
    return coolingDown.has(template)
      ? 'the template took too long or too much memory just now; it is not run again for a while'
      : undefined
  }

  function coolDown(template: string): void {
    clearTimeout(coolingDown.get(template))
    coolingDown.set(template, setTimeout(() => coolingDown.delete(template), limits.cooldownMs).unref())
  }

  return {
    async render(template, body) {
      const refusal = refusalOf(template)
      if (refusal !== undefined) return failed(refusal)
      if (waiting >= limits.maxWaiting) return failed('too many templates wait to be evaluated')
      waiting++
      const evaluation = { template, body: plainJson(body) }
      const answer = tail.then(() => evaluate(evaluation)).catch((error) => discard(messageOf(error)))
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

function failed(error: string): Answer {
  return { ok: false, error }
}

/** JSON with numbers that do not fit a double as strings. */
function plainJson(body: JsonObject): string {
  return JSON.stringify(body, (_key, value: unknown) => (isLosslessNumber(value) ? value.toString() : value))
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
