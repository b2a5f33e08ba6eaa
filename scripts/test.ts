/**
 * Runs tests: `npm test -- [FILE ...]`, from the package's folder. Without files all but test/backends, which have servers
 * to start and stop.
 *
 * A file is a process of its own; two are at work, the large ones first. What failed is printed, and how many there were.
 */
import { readdir, stat } from 'node:fs/promises'
import { run } from 'node:test'
import { spec as Report } from 'node:test/reporters'

const AT_WORK = 2
/** For a file, and for each test in it. */
const TIMEOUT_S = '300'
const REPORTED = new Set(['test:fail', 'test:diagnostic', 'test:stderr'])

async function defaultFiles(): Promise<string[]> {
  const names = await readdir('test', { recursive: true })
  return names
    .filter((name) => name.endsWith('.test.ts') && !name.startsWith('backends/'))
    .map((name) => `test/${name}`)
}

async function largestFirst(files: string[]): Promise<string[]> {
  const sized = await Promise.all(files.map(async (file) => ({ file, size: (await stat(file)).size })))
  return sized.sort((a, b) => b.size - a.size).map(({ file }) => file)
}

process.env.TAP_TIMEOUT ??= TIMEOUT_S
// each file's process would be told which Node the next SDK wants
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true'
const named = process.argv.slice(2)
const files = await largestFirst(named.length > 0 ? named : await defaultFiles())
run({ files: files.map((file) => `dist/${file.replace(/\.ts$/, '.js')}`), concurrency: AT_WORK })
  .on('test:fail', () => (process.exitCode = 1))
  .filter(({ type }: { type: string }) => REPORTED.has(type))
  .compose(new Report())
  .pipe(process.stdout)
