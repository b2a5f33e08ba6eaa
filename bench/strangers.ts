/**
 * strangers: signed notifications a second that are answered 200, with 0 webhooks, while somebody without a key asks 100 times a
 * second for one of the routes that take none. Bare loop: the same process before and after, with nobody asking.
 */
import { over, type Bench, type Measurement } from './measurement.js'
import { startPair } from './relay.js'
import { withTeardowns } from './teardowns.js'

const CONNECTIONS = 256
const PER_S = 100
const PATHS = ['/metrics', '/openapi.json', '/readyz']

export async function measureStrangers(bench: Bench): Promise<Measurement[]> {
  const { backend, load, quick } = bench
  const seconds = quick ? 2 : 6
  await load.call('prepare', quick ? 10_000 : 75_000)
  return withTeardowns(async (t) => {
    const { api } = await startPair(t, await backend.createStorage(t), await load.call('origin'))
    let from = 0
    const intake = async (forSeconds: number) => {
      const sent = await load.call('closedLoop', { url: api.url, connections: CONNECTIONS, from, seconds: forSeconds })
      from = sent.next
      return sent.accepted / sent.seconds
    }
    await intake(quick ? 1 : 6)
    const measured: Measurement[] = []
    for (const path of PATHS) {
      const before = await intake(seconds)
      const asking = ask(api.url + path)
      const beside = await intake(seconds)
      const answers = await asking.stop()
      const after = await intake(seconds)
      const alone = (before + after) / 2
      const note = `${(alone / beside).toFixed(2)} x slower; ${answers.length} answers: ${[...new Set(answers)].join(', ')}`
      measured.push(over(`strangers, ${path}`, beside, alone, 'messages/s', note))
    }
    return measured
  })
}

/** Asks as often until it is stopped. @returns the status of each answer */
function ask(url: string): { stop(): Promise<number[]> } {
  const answers: Promise<number>[] = []
  const get = async () => {
    const answer = await fetch(url)
    await answer.arrayBuffer()
    return answer.status
  }
  const timer = setInterval(() => answers.push(get()), 1000 / PER_S)
  return {
    stop() {
      clearInterval(timer)
      return Promise.all(answers)
    },
  }
}
