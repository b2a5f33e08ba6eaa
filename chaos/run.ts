/**
 * Chaos: `npm run chaos -- [--seconds N | --minutes N] [--seed N] [--rate N] [--keep]`. Real processes (two of the API, two
 * workers, PostgreSQL, Redis, receivers) relay signed messages while a saboteur kills, freezes, restarts and flushes them
 * and most receivers misbehave. Then everything is made well, and what SNS was told 200 for is held against what the
 * receivers verified.
 *
 * Promise: exits 0 only when nothing was lost and every other check held; nothing it started outlives it. `--keep` leaves
 * the logs. Needs dist, and the programs of PostgreSQL and Redis.
 */
import { parseArgs } from 'node:util'
import { judge } from './judge.js'
import { print, printChecks } from './report.js'
import { perform } from './performance.js'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    minutes: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    rate: { type: 'string', default: '40' },
    keep: { type: 'boolean', default: false },
  },
})
const seconds = values.minutes === undefined ? Number(values.seconds) : Number(values.minutes) * 60
const [seed, ratePerSecond] = [Number(values.seed), Number(values.rate)]
if (![seconds, seed, ratePerSecond].every((number) => Number.isFinite(number) && number >= 0) || ratePerSecond === 0) {
  throw new Error('--seconds, --minutes, --seed and --rate are numbers')
}

const teardowns: (() => unknown)[] = []
const scope = { teardown: (close: () => unknown) => void teardowns.push(close) }
async function cleanUp(): Promise<void> {
  for (const close of teardowns.splice(0).reverse()) {
    try {
      await close()
    } catch (error) {
      print(`could not clean up: ${String(error)}`)
    }
  }
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void cleanUp().finally(() => process.exit(130)))
}

process.once('uncaughtException', (error) => {
  print(`chaos itself failed: ${error.stack}`)
  void cleanUp().finally(() => process.exit(1))
})

print(`chaos: ${seconds} s, ${ratePerSecond} messages/s, --seed ${seed}`)
try {
  const facts = await perform({ scope, seconds, seed, ratePerSecond, keep: values.keep })
  const checks = judge(facts)
  printChecks(checks)
  process.exitCode = checks.every(({ passed }) => passed) ? 0 : 1
} finally {
  await cleanUp()
}
