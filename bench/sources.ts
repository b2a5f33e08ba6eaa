/**
 * sources: recognising a message and mapping it to its changes, in µs a message at the median over the tests' fixtures.
 *
 * The messages are parsed before, as `accept` has them. The bare loop is JSON.parse of the same messages.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseJson, type Json } from '../src/core/platform/json.js'
import { ROOT } from '../src/core/platform/root.js'
import { recognise } from '../src/core/source/recognise.js'
import { over, type Measurement } from './measurement.js'
import { percentile } from './statistics.js'

const FIXTURES = join(ROOT, 'test/core/source/fixtures')
const OPTIONS = { disabled: new Set<string>(), enabled: new Set<string>(), severities: new Map() }

export async function measureSources({ quick }: { quick: boolean }): Promise<Measurement[]> {
  const texts = await Promise.all(
    (await readdir(FIXTURES)).map(async (file) => {
      const { message } = JSON.parse(await readFile(join(FIXTURES, file), 'utf8')) as { message: Json }
      return JSON.stringify(message)
    }),
  )
  const calls = quick ? 200 : 1000
  const rounds = quick ? 5 : 20
  const best = texts.map(() => ({ value: Infinity, bare: Infinity }))
  // in turn, so that other load on the machine affects both
  for (let round = 0; round < rounds; round++) {
    for (const [index, text] of texts.entries()) {
      const message = parseJson(text)
      const fixture = best[index]!
      fixture.value = Math.min(
        fixture.value,
        microsecondsOf(calls, () => recognise(message, OPTIONS)),
      )
      fixture.bare = Math.min(
        fixture.bare,
        microsecondsOf(calls, () => JSON.parse(text) as Json),
      )
    }
  }
  const [values, bares] = [best.map(({ value }) => value), best.map(({ bare }) => bare)]
  const slowest = `${texts.length} messages; the slowest ${Math.max(...values).toFixed(0)} µs`
  return [over('sources, a message', percentile(values, 0.5), percentile(bares, 0.5), 'µs', slowest)]
}

/** Microseconds a call, the mean of a number of calls. */
function microsecondsOf(calls: number, call: () => unknown): number {
  const start = performance.now()
  for (let done = 0; done < calls; done++) call()
  return ((performance.now() - start) * 1000) / calls
}
