/**
 * A child process that evaluates JSONata expressions.
 *
 * Guarantee: an expression cannot affect this process: its own can be killed at any time, has its own memory limit, no
 * environment and no credentials, and ends with this process.
 *
 * A worker thread is not enough: V8 ends the whole process when one allocation (`[1..1e7]`) exceeds a worker's
 * `resourceLimits`.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { createRequire } from 'node:module'

export interface Evaluation {
  /** A JSONata expression. */
  expression: string
  /** Its input, JSON. */
  input: string
  /** Its `$now()`, in milliseconds since 1970. */
  nowMs: number
}

/** `text` is JSON, undefined when there is no result. `error` holds nothing of the input. */
export type Answer = { ok: true; text: string | undefined } | { ok: false; error: string }

export interface JsonataProcess {
  /** True when it is ready for evaluations, false when it could not be started. */
  ready: Promise<boolean>
  /** Evaluates an expression; one call at a time. Undefined when the process ended meanwhile. */
  evaluate(evaluation: Evaluation): Promise<Answer | undefined>
  hasEnded(): boolean
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

export function startJsonataProcess(limits: ProcessLimits): JsonataProcess {
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
    hasEnded: () => hasEnded(child),
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
    if (hasEnded(child)) return resolve(undefined)
    child.on('message', settle).on('exit', end).on('error', end)
  })
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
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
 * - the time is given, and random functions are refused, so that the result is the same at every evaluation;
 * - keys with which JSONata marks its own functions are removed from the input and refused in the result;
 * - the values that an error quotes are left out: they are of the input, which may be secret, and errors are logged.
 */
function sourceOf({ timeoutMs, maxOutputBytes }: ProcessLimits): string {
  const jsonata = createRequire(import.meta.url).resolve('jsonata')
  return `
    const { Worker } = require('node:worker_threads')
    new Worker('setInterval(() => process.ppid === ${process.pid} || process.kill(process.pid, "SIGKILL"), 500)', { eval: true })

    const jsonata = require(${JSON.stringify(jsonata)})
    const channel = require('node:process')
    const SystemDate = Date
    let givenTime = 0
    globalThis.Date = class extends SystemDate {
      constructor(...args) { super(...(args.length === 0 ? [givenTime] : args)) }
    }
    Math.random = () => { throw new Error('$random and $shuffle are not available: a result is the same every time') }

    const isFlag = (key) => key === '_jsonata_function' || key === '_jsonata_lambda'
    const parse = (text) => JSON.parse(text, text.includes('_jsonata_') ? (key, value) => (isFlag(key) ? undefined : value) : undefined)
    const refuseFunctions = (key, value) => {
      if (typeof value === 'function' || isFlag(key)) throw new Error('the result holds a function')
      return value
    }

    const ownLimits = ['D1012', 'D2014', 'D2015']
    const errorText = (error) => {
      let text = String(error?.message ?? error)
      const quoted = ownLimits.includes(error?.code) ? [] : [error?.value, error?.value2, error?.exp]
      for (const value of quoted) if (value !== undefined) text = text.replaceAll(JSON.stringify(value), '(a value)')
      const place = typeof error?.position === 'number' ? ' (at character ' + error.position + ')' : ''
      return text.slice(0, ${MAX_ERROR_LENGTH}) + place
    }

    channel.on('message', async ({ expression, input, nowMs }) => {
      try {
        givenTime = nowMs
        const limits = { timeout: ${timeoutMs}, stack: ${MAX_LEVELS}, sequence: ${MAX_ELEMENTS} }
        const result = await jsonata(expression, limits).evaluate(parse(input))
        const text = JSON.stringify(result, refuseFunctions)
        if (text !== undefined && Buffer.byteLength(text) > ${maxOutputBytes}) throw new Error('the result is larger than ${maxOutputBytes} bytes')
        channel.send({ ok: true, text })
      } catch (error) {
        channel.send({ ok: false, error: errorText(error) })
      }
    })
    channel.send('ready')
  `
}
