/** The driver's side of the receivers' process: one order at a time, and its answer. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Answers, Order } from './orders.js'

export interface Receivers {
  /** By the name of the part. */
  urls: Record<string, string>
  /** Rejects when the process is gone. */
  order<O extends Order>(order: O): Promise<Answers[O['do']]>
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

  async function order<O extends Order>(given: O): Promise<Answers[O['do']]> {
    const answered = once(child, 'message')
    child.send(given)
    const [answer] = (await Promise.race([answered, ended])) as [Answers[O['do']]]
    return answer
  }

  return { urls: await order({ do: 'open', seed }), order }
}
