/**
 * Chaos: `npm run chaos -- [--seconds N | --minutes N] [--seed N] [--rate N] [--keep]`. Real processes (one of every role, one of the
 * API, two workers, PostgreSQL, Redis, receivers) relay signed messages while faults are injected and most receivers misbehave.
 * Then all faults end, and the messages that were answered 200 are compared with what the receivers verified.
 *
 * Guarantee: exits 0 only when nothing was lost and every other check passed; ends every process that it started. `--keep`
 * keeps the logs. Needs dist, and the programs of PostgreSQL and Redis.
 */
import { parseArgs } from 'node:util'
import { checksOf } from './checks.js'
import { print, printChecks, printTables } from './report.js'
import { runScenario } from './scenario.js'

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
  const result = await runScenario({ scope, seconds, seed, ratePerSecond, keep: values.keep })
  const checks = checksOf(result, { isTimed: seconds >= 60 })
  printTables(result)
  printChecks(checks)
  process.exitCode = checks.every(({ passed }) => passed) ? 0 : 1
} finally {
  await cleanUp()
}
