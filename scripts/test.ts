/**
 * Runs tests: `npm test -- [FILE ...]`, from the package's folder. Without files it runs all but test/backends, whose tests
 * start and stop servers.
 *
 * Each file runs in its own process, and prints a line when it ends; test/attacks says how many attacks it made. Failures are printed when they occur and again at the
 * end, with the number of tests.
 */
import { readdir, stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { run } from 'node:test'
import { spec as Report } from 'node:test/reporters'

/** One more than there are cores, since a file waits for receivers and timers for about a third of its time. */
const CONCURRENCY = Math.min(availableParallelism() + 1, 8)
/** The limit of a file, and of each test in it. */
const TIMEOUT_S = '300'
const REPORTED = new Set(['test:fail', 'test:diagnostic', 'test:stderr'])
/** Files whose tests wait for processes and deliveries. They start first: started last, they would run alone. */
const LONG = /^test\/(e2e|workers|commands)\//

async function defaultFiles(): Promise<string[]> {
  const names = await readdir('test', { recursive: true })
  return names
    .filter((name) => name.endsWith('.test.ts') && !name.startsWith('backends/'))
    .map((name) => `test/${name}`)
}

async function longestFirst(files: string[]): Promise<string[]> {
  const sized = await Promise.all(files.map(async (file) => ({ file, size: (await stat(file)).size })))
  return sized
    .sort((a, b) => Number(LONG.test(b.file)) - Number(LONG.test(a.file)) || b.size - a.size)
    .map(({ file }) => file)
}

process.env.TAP_TIMEOUT ??= TIMEOUT_S
// suppresses a warning of the AWS SDK in each file's process about Node versions that it will require
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true'
const named = process.argv.slice(2)
const files = await longestFirst(named.length > 0 ? named : await defaultFiles())
const compiled = new Map(files.map((file) => [`dist/${file.replace(/\.ts$/, '.js')}`, file]))
let done = 0
/** Prints a file's result at once; the reporter prints files in order, so it delays the output of later ones. */
function reportFile({ name, details }: { name: string; details: { duration_ms: number; passed: boolean } }): void {
  const file = compiled.get(name)
  if (file === undefined) return
  const seconds = (details.duration_ms / 1000).toFixed(1).padStart(6)
  const count = String(++done).padStart(String(files.length).length)
  console.log(`${count}/${files.length} ${details.passed ? '✔' : '✖'} ${seconds} s  ${file}`)
}

/** Passes on how many attacks a test made. */
function reportAttacks({ message }: { message: string }): void {
  for (const [, count] of message.matchAll(/# attacks: (.+)/g)) console.log(`  ${count}`)
}

run({ files: [...compiled.keys()], concurrency: CONCURRENCY })
  .on('test:complete', reportFile)
  .on('test:stdout', reportAttacks)
  .on('test:fail', () => (process.exitCode = 1))
  .filter(({ type }: { type: string }) => REPORTED.has(type))
  .compose(new Report())
  .pipe(process.stdout)
