/**
 * The benchmark's own processes: load, sink and bare loops run apart from the relay, as on other machines, so that they do
 * not use its event loop.
 *
 * Guarantee: a call resolves or rejects with what the other process returned or threw; a process ends with the benchmark.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** Collects teardown functions, which run in reverse order. */
export interface Teardowns {
  teardown(undo: () => unknown): unknown
}

/** The commands of a program: plain data in, plain data out. */
export type Commands = Record<string, (...args: never[]) => unknown>

export interface Program<C extends Commands> {
  readonly pid: number
  call<K extends keyof C & string>(name: K, ...args: Parameters<C[K]>): Promise<Awaited<ReturnType<C[K]>>>
  stop(): Promise<void>
}

interface Answer {
  id: number
  result?: unknown
  error?: string
}

/** Starts bench/programs/NAME.ts. */
export function startProgram<C extends Commands>(t: Teardowns, name: string): Program<C> {
  const child = fork(join(import.meta.dirname, 'programs', `${name}.js`))
  const waiting = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>()
  let lastId = 0
  child.on('message', ({ id, result, error }: Answer) => {
    const call = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) call?.resolve(result as never)
    else call?.reject(new Error(`${name}: ${error}`))
  })
  child.on('exit', (code) => {
    for (const { reject } of waiting.values()) reject(new Error(`${name} stopped (${code})`))
    waiting.clear()
  })
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    // pending calls must not reject: their errors would hide the reason of the stop
    waiting.clear()
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  t.teardown(stop)
  return {
    pid: child.pid!,
    call: (command, ...args) =>
      new Promise((resolve, reject) => {
        const id = ++lastId
        waiting.set(id, { resolve, reject })
        child.send({ id, command, args })
      }),
    stop,
  }
}

/** The side of the program: answers calls until the benchmark has ended. */
export function serveCommands(commands: Commands): void {
  process.on('message', ({ id, command, args }: { id: number; command: string; args: never[] }) => {
    Promise.resolve()
      .then(() => commands[command]!(...args))
      .then(
        (result) => process.send?.({ id, result } satisfies Answer),
        (error: unknown) => process.send?.({ id, error: String((error as Error).stack ?? error) } satisfies Answer),
      )
  })
  process.on('disconnect', () => process.exit())
}

/** Milliseconds of the monotonic clock, which all processes of the machine share. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
