/**
 * The benchmark: `npm run bench -- [NAME ...] [--quick]`. Every value stands beside its bare loop of the same run, since
 * absolute figures say more of the machine than of the code. DATABASE_URL: a PostgreSQL database of its own; without it
 * the embedded default.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { VERSION } from '../src/core/platform/version.js'
import { measureAlert } from './alert.js'

const MEASUREMENTS = { alert: measureAlert }

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false } },
})
const names = positionals.length > 0 ? positionals : Object.keys(MEASUREMENTS)
const results = []
for (const name of names) {
  const measure = (MEASUREMENTS as Record<string, typeof measureAlert | undefined>)[name]
  if (!measure) throw new Error(`no measurement ${name}: there are ${Object.keys(MEASUREMENTS).join(', ')}`)
  results.push(...(await measure({ databaseUrl: process.env.DATABASE_URL, quick: values.quick })))
}

console.table(
  Object.fromEntries(
    results.map(({ name, value, bare, ratio, unit }) => [
      name,
      { value: value.toFixed(2), bare: bare.toFixed(2), ratio: ratio.toFixed(2), unit },
    ]),
  ),
)
const folder = join(import.meta.dirname, 'results')
await mkdir(folder, { recursive: true })
await writeFile(
  join(folder, 'latest.json'),
  `${JSON.stringify(
    {
      version: VERSION,
      node: process.version,
      cores: cpus().length,
      measurements: Object.fromEntries(results.map(({ name, ...measured }) => [name, measured])),
    },
    null,
    2,
  )}\n`,
)
