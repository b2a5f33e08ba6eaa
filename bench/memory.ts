/**
 * memory: whether the memory of a process stays flat under a steady flow. For each process of the relay: the mean of its
 * resident memory in the last third of the time divided by that in the first third (the bare loop), and its peak.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { alone, over, type Bench, type Measurement } from './measurement.js'
import { startProgram } from './program.js'
import type { Sink } from './programs/sink.js'
import { createWebhooks, residentMib, startPair } from './relay.js'
import { mean } from './statistics.js'
import { withTeardowns } from './teardowns.js'

const WEBHOOKS = 2
const SAMPLE_MS = 500

export function measureMemory(bench: Bench): Promise<Measurement[]> {
  const seconds = bench.quick ? 15 : 600
  const rate = bench.backend.kind === 'server' ? 300 : 50
  return withTeardowns(async (t) => {
    const storage = await bench.backend.createStorage(t)
    const [port] = await startProgram<Sink>(t, 'sink').call('listen', 1)
    const { api, all } = await startPair(t, storage, await bench.load.call('origin'))
    await createWebhooks(api, WEBHOOKS, (index) => ({ url: `http://127.0.0.1:${port}/${index}` }))
    const samples = all.map((): number[] => [])
    const flow = bench.load.call('openLoop', { url: api.url, rate, count: rate * seconds })
    const isOver = flow.then(() => true)
    do {
      for (const [index, { pid }] of all.entries()) samples[index]!.push(await residentMib(pid))
    } while (!(await Promise.race([isOver, sleep(SAMPLE_MS, false)])))
    await flow
    const names = all.length === 1 ? ['the process'] : ['api', 'worker']
    const note = `${seconds} s of ${rate} messages/s to ${WEBHOOKS} webhooks`
    return samples.flatMap((series, index) => {
      const third = Math.floor(series.length / 3)
      const [first, last] = [series.slice(0, third), series.slice(-third)]
      return [
        over(`memory, ${names[index]}, last third over first`, mean(last), mean(first), 'MiB', note),
        alone(`memory, ${names[index]}, peak`, Math.max(...series), 'MiB'),
      ]
    })
  })
}
