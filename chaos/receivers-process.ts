/** The driver's side of the receivers' process: one command at a time, and its result. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Command, Results } from './protocol.js'

export interface Receivers {
  /** By the name of the webhook. */
  urls: Record<string, string>
  /** Rejects when the process has ended. */
  send<C extends Command>(command: C): Promise<Results[C['do']]>
}

export async function startReceivers(
  scope: { teardown(close: () => unknown): void },
  seed: number,
): Promise<Receivers> {
  const child = fork(join(import.meta.dirname, 'receivers.js'))
  scope.teardown(() => child.kill('SIGKILL'))
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the receivers' process ended (${String(code ?? signal)})`)
  })
  ended.catch(() => {})

  async function send<C extends Command>(command: C): Promise<Results[C['do']]> {
    const answered = once(child, 'message')
    child.send(command)
    const [result] = (await Promise.race([answered, ended])) as [Results[C['do']]]
    return result
  }

  return { urls: await send({ do: 'listen', seed }), send }
}
