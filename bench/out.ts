/**
 * out: deliveries a second by two workers that drain a backlog (one process when the database is embedded), to 1 and to
 * 10 webhooks an event. Bare loop: undici posting the same bodies, signed, to the same sink.
 */
import { drain } from './drain.js'
import { over, type Bench, type Measurement } from './measurement.js'

/** Two workers use two cores better than one does: see `scale`. */
const WORKERS = 2

export async function measureOut(bench: Bench): Promise<Measurement[]> {
  const results: Measurement[] = []
  for (const { events, webhooks } of sizesOf(bench)) {
    const { perSecond, barePerSecond, cpu } = await drain(bench, {
      events,
      webhooks,
      workers: bench.backend.kind === 'server' ? WORKERS : 1,
    })
    results.push(over(`out x ${webhooks}`, perSecond, barePerSecond, 'deliveries/s', `${events} events; ${cpu}`))
  }
  return results
}

function sizesOf({ quick, backend }: Bench): { events: number; webhooks: number }[] {
  const [many, few] = quick ? [4000, 1000] : [20_000, 2000]
  const share = backend.kind === 'server' ? 1 : 5
  return [
    { events: many / share, webhooks: 1 },
    { events: few / share, webhooks: 10 },
  ]
}
