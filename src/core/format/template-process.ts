/**
 * A child process that evaluates templates.
 *
 * Guarantee: a template cannot affect this process: its own can be killed at any time, has its own memory limit, no
 * environment and no credentials, and ends with this process.
 *
 * A worker thread is not enough: V8 ends the whole process when one allocation (`[1..1e7]`) exceeds a worker's
 * `resourceLimits`.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { createRequire } from 'node:module'

export interface Evaluation {
  /** A JSONata expression. */
  template: string
  /** Its input, JSON. */
  body: string
}

export type Answer = { ok: true; text: string } | { ok: false; error: string }

export interface TemplateProcess {
  /** True when it is ready for evaluations, false when it could not be started. */
  ready: Promise<boolean>
  /** Evaluates a template; one call at a time. Undefined when the process ended meanwhile. */
  evaluate(evaluation: Evaluation): Promise<Answer | undefined>
  kill(): void
}

export interface ProcessLimits {
  /** JSONata ends an evaluation after this time, but not within one long step (a regular expression). */
  timeoutMs: number
  memoryMb: number
  maxOutputBytes: number
}

/** JSONata's own limits: levels of evaluation, and elements of one list. They give better errors than a kill. */
const MAX_LEVELS = 1000
const MAX_ELEMENTS = 100_000
const MAX_ERROR_LENGTH = 500

export function startTemplateProcess(limits: ProcessLimits): TemplateProcess {
  const child = spawn(process.execPath, [...flagsOf(limits), '-e', sourceOf(limits)], {
    env: {},
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  // an idle child must not keep this process running; a caller that waits for it has a timer
  child.unref()
  child.channel?.unref()
  return {
    ready: nextMessage(child).then((message) => message === 'ready'),
    async evaluate(evaluation) {
      const answer = nextMessage(child)
      if (child.connected) child.send(evaluation, () => undefined)
      return (await answer) as Answer | undefined
    },
    kill: () => void child.kill('SIGKILL'),
  }
}

/** The next message of the process; undefined when it ends first. */
function nextMessage(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve) => {
    const settle = (message?: unknown) => {
      child.off('message', settle).off('exit', end).off('error', end)
      resolve(message)
    }
    const end = () => settle()
    if (child.exitCode !== null || child.signalCode !== null) return resolve(undefined)
    child.on('message', settle).on('exit', end).on('error', end)
  })
}

/** Bounds the heap, and disables code from strings and `__proto__`, by which data could become code or change a prototype. */
function flagsOf({ memoryMb }: ProcessLimits): string[] {
  return [
    `--max-old-space-size=${memoryMb}`,
    '--max-semi-space-size=8',
    '--disallow-code-generation-from-strings',
    '--disable-proto=delete',
  ]
}

/**
 * The program of the process, for `node -e`:
 * - a worker thread kills the process when its parent has ended, also during a long regular expression;
 * - the time is the event's, and random functions are refused, so that a body is the same at every attempt;
 * - keys with which JSONata marks its own functions are removed from the input and refused in the result.
 */
function sourceOf({ timeoutMs, maxOutputBytes }: ProcessLimits): string {
  const jsonata = createRequire(import.meta.url).resolve('jsonata')
  return `
    const { Worker } = require('node:worker_threads')
    new Worker('setInterval(() => process.ppid === ${process.pid} || process.kill(process.pid, "SIGKILL"), 500)', { eval: true })

    const jsonata = require(${JSON.stringify(jsonata)})
    const channel = require('node:process')
    const SystemDate = Date
    let eventTime = 0
    globalThis.Date = class extends SystemDate {
      constructor(...args) { super(...(args.length === 0 ? [eventTime] : args)) }
    }
    Math.random = () => { throw new Error('$random and $shuffle are not available: a body is the same at every attempt') }

    const isFlag = (key) => key === '_jsonata_function' || key === '_jsonata_lambda'
    const parse = (text) => JSON.parse(text, text.includes('_jsonata_') ? (key, value) => (isFlag(key) ? undefined : value) : undefined)
    const refuseFunctions = (key, value) => {
      if (typeof value === 'function' || isFlag(key)) throw new Error('the result holds a function')
      return value
    }

    channel.on('message', async ({ template, body }) => {
      try {
        const input = parse(body)
        eventTime = SystemDate.parse(input?.relay?.received_at) || 0
        const limits = { timeout: ${timeoutMs}, stack: ${MAX_LEVELS}, sequence: ${MAX_ELEMENTS} }
        const result = await jsonata(template, limits).evaluate(input)
        const text = JSON.stringify(result, refuseFunctions)
        if (text === undefined) throw new Error('the template has no result')
        if (Buffer.byteLength(text) > ${maxOutputBytes}) throw new Error('the result is larger than ${maxOutputBytes} bytes')
        channel.send({ ok: true, text })
      } catch (error) {
        channel.send({ ok: false, error: String(error?.message ?? error).slice(0, ${MAX_ERROR_LENGTH}) })
      }
    })
    channel.send('ready')
  `
}
