/**
 * The benchmark: `npm run bench -- [NAME ...] [--quick] [--embedded]`. Every value is printed beside that of its bare loop
 * in the same run, since absolute values depend on the machine.
 *
 * PostgreSQL and Redis are started for the run where their programs are installed; without them, or with --embedded, the
 * relay runs on its embedded default. With --quick a measurement takes less than 20 s.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ROOT } from '../src/core/platform/root.js'
import { VERSION } from '../src/core/platform/version.js'
import { measureAlert } from './alert.js'
import { startBackend } from './backend.js'
import { measureBacklog } from './backlog.js'
import { measureFair } from './fair.js'
import { measureFilters } from './filters.js'
import { measureIn } from './in.js'
import type { Bench, Measure, Measurement } from './measurement.js'
import { measureMemory } from './memory.js'
import { measureNeighbours } from './neighbours.js'
import { measureOut } from './out.js'
import { startProgram } from './program.js'
import type { Load } from './programs/load.js'
import { measureRecovery } from './recovery.js'
import { measureScale } from './scale.js'
import { measureSlow } from './slow.js'
import { measureSources } from './sources.js'
import { unwindAll, withTeardowns } from './teardowns.js'
import { measureAlone, measureThrough } from './through.js'
import { measureValues } from './values.js'

const MEASUREMENTS: Record<string, Measure> = {
  in: measureIn,
  out: measureOut,
  through: measureThrough,
  alone: measureAlone,
  fair: measureFair,
  neighbours: measureNeighbours,
  recovery: measureRecovery,
  slow: measureSlow,
  backlog: measureBacklog,
  alert: ({ backend, quick }) =>
    withTeardowns(async (t) => measureAlert({ databaseUrl: (await backend.createStorage(t)).databaseUrl, quick })),
  filters: measureFilters,
  sources: measureSources,
  scale: measureScale,
  memory: measureMemory,
  values: measureValues,
}

const LOAD_BEFORE = loadavg()[0]!

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, embedded: { type: 'boolean', default: false } },
})
const names = positionals.length > 0 ? positionals : Object.keys(MEASUREMENTS)
const unknown = names.find((name) => !Object.hasOwn(MEASUREMENTS, name))
if (unknown !== undefined) {
  throw new Error(`no measurement ${unknown}: there are ${Object.keys(MEASUREMENTS).join(', ')}`)
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => void unwindAll().finally(() => process.exit(1)))
}
await withTeardowns(async (t) => {
  const backend = await startBackend(t, flags)
  const load = startProgram<Load>(t, 'load')
  await measureAll({ ...t, ...flags, backend, load })
})

async function measureAll(bench: Bench): Promise<void> {
  const results: Measurement[] = []
  // the results so far are kept when a later measurement fails
  try {
    for (const name of names) {
      const started = performance.now()
      results.push(...(await MEASUREMENTS[name]!(bench)))
      process.stderr.write(`${name}: ${((performance.now() - started) / 1000).toFixed(1)} s\n`)
    }
  } finally {
    await writeResults(bench, results)
    print(bench, results)
  }
}

function print({ backend, quick }: Bench, results: Measurement[]): void {
  const text = (figure: number | null) => (figure === null ? '' : figure.toFixed(2))
  console.log(
    `\nalert-relay ${VERSION}, ${backend.name}, Node ${process.version}, ${cpus().length} cores${quick ? ', quick' : ''}; ` +
      `load before ${LOAD_BEFORE.toFixed(1)}`,
  )
  console.table(
    Object.fromEntries(
      results.map(({ name, value, bare, ratio, unit, note = '' }) => [
        name,
        { value: text(value), bare: text(bare), ratio: text(ratio), unit, note },
      ]),
    ),
  )
}

async function writeResults({ backend, quick }: Bench, results: Measurement[]): Promise<void> {
  const folder = join(ROOT, 'bench/results')
  await mkdir(folder, { recursive: true })
  const document = {
    version: VERSION,
    node: process.version,
    backend: backend.name,
    cores: cpus().length,
    cpu: cpus()[0]?.model,
    // other load affects every value: results are comparable only when this is near 0
    load_before: LOAD_BEFORE,
    quick,
    at: new Date().toISOString(),
    measurements: Object.fromEntries(results.map(({ name, ...measured }) => [name, measured])),
  }
  await writeFile(join(folder, 'latest.json'), `${JSON.stringify(document, null, 2)}\n`)
}
