/** Runs every command as a shell does, with the built command line, and checks its exit code, stdout and stderr. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ROOT } from '../../src/core/platform/root.js'
import { VERSION } from '../../src/core/platform/version.js'
import { createTestDatabaseUrl, createTestDataDir } from '../helpers/backends.js'
import { startRelay } from '../helpers/relay.js'
import { until } from '../helpers/until.js'

const CLI = join(ROOT, 'dist/src/cli.js')
const FILE = `webhooks:\n  - { name: soar, url: 'https://example.com/hook' }\n`
/** The number of processes that run at once. */
const AT_ONCE = 2

type Settings = Record<string, string>
interface Case {
  args: string[]
  settings?: Settings
  code: number
  stdout: string | RegExp
  stderr: string | RegExp
}

const folder = t.testdir({ 'right.yaml': FILE, 'wrong.yaml': FILE.replace('url', 'ulr') })

/** @param isRead false closes the pipe of its stdout */
async function run(args: string[], settings: Settings = {}, isRead = true) {
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  if (isRead) child.stdout.on('data', (chunk) => (stdout += String(chunk)))
  else child.stdout.destroy()
  child.stderr.on('data', (chunk) => (stderr += String(chunk)))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

async function check(t: Test, cases: Case[]): Promise<void> {
  const waiting = cases.values()
  const work = async () => {
    for (const { args, settings, ...expected } of waiting) {
      t.match(await run(args, settings), expected, `alert-relay ${args.join(' ')}`)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
}

t.test('a wrong command line exits with 2, with the reason and the usage on stderr', async (t) => {
  const wrong = (line: string, message: string, usage: string, settings: Settings = {}): Case => ({
    args: line.split(' ').filter((word) => word !== ''),
    ...{ settings, code: 2, stdout: /^$/ },
    stderr: new RegExp(`^alert-relay: ${message}.*\\n(.*\\n)*  .*alert-relay ${usage}`),
  })
  await check(t, [
    wrong('explode', "there is no command 'explode'\n", 'openapi '),
    wrong('help explode', "there is no command 'explode'\n", 'openapi '),
    wrong('--verbose', "Unknown option '--verbose'", '\\[serve\\]'),
    wrong('serve more', "Unexpected argument 'more'", '\\[serve\\]'),
    wrong('serve --role none', '--role must be all, api, worker\n', '\\[serve\\]'),
    wrong('openapi more', "Unexpected argument 'more'", 'openapi >'),
    wrong('keys', 'keys needs create, list or revoke\n', 'keys create'),
    wrong('keys explode', "keys has no 'explode'\n", 'keys create'),
    wrong('keys create --name x', 'keys create needs --name and --scope\n', 'keys create'),
    wrong('keys list --name x', 'keys list does not take --name\n', 'keys create'),
    wrong('keys revoke', 'keys revoke needs the ID of a key\n', 'keys create'),
    wrong('apply', 'apply needs -f FILE\n', 'apply -f'),
    wrong('export --url relay', '--url must be where a relay listens', 'export ', { RELAY_API_KEY: 'x' }),
    wrong('reseal', 'reseal needs NEW_ENCRYPTION_KEY or --generate\n', 'reseal --generate'),
    wrong('reseal --generate', '--generate and NEW_ENCRYPTION_KEY: one of the two', 'reseal --generate', {
      NEW_ENCRYPTION_KEY: newKey(),
    }),
  ])
})

t.test('help and version are printed on stdout, with exit code 0', async (t) => {
  const asked = (line: string, stdout: string | RegExp): Case => ({
    args: line.split(' '),
    ...{ code: 0, stdout, stderr: /^$/ },
  })
  await check(t, [
    asked('--version', `${VERSION}\n`),
    ...['--help', 'help'].map((line) => asked(line, /^alert-relay \d(.*\n)+ {2}alert-relay reseal /)),
    asked('help keys list', /^\n {2}alert-relay keys create/),
    asked('serve -h', /^\n {2}alert-relay \[serve\] \[--role/),
    asked('openapi --help', /^\n {2}alert-relay openapi/),
    asked('apply --help', /^\n {2}alert-relay apply -f/),
    asked('export --help', /^\n {2}alert-relay export/),
    asked('reseal --help', /^\n {2}NEW_ENCRYPTION_KEY=\.\.\. alert-relay reseal/),
  ])
})

t.test('a failed command exits with 1, with the reason in one line on stderr', async (t) => {
  const failing = (line: string, stderr: string, settings: Settings = {}): Case => ({
    args: line.split(' ').filter((word) => word !== ''),
    ...{ settings, code: 1, stdout: /^$/, stderr: new RegExp(`^alert-relay: ${stderr}.*\\n$`) },
  })
  const key = { RELAY_API_KEY: 'a-key' }
  await check(t, [
    failing('serve', 'PORT must be integer', { PORT: 'eighty' }),
    failing('', 'PORT must be integer', { PORT: 'eighty' }),
    failing('--role worker', 'ROLE=worker needs DATABASE_URL'),
    failing('keys list', 'no key: set RELAY_API_KEY'),
    failing('apply -f none.yaml', 'none.yaml cannot be read: ENOENT', key),
    failing('apply -f right.yaml --url http://127.0.0.1:1', 'no relay answers at http://127.0.0.1:1: ', key),
    failing('export --url http://127.0.0.1:1', 'no relay answers at http://127.0.0.1:1: ', key),
    failing('reseal', 'NEW_ENCRYPTION_KEY must be 32 bytes in base64', { NEW_ENCRYPTION_KEY: 'short' }),
  ])
  t.match(await run(['apply', '-f', 'wrong.yaml'], key), {
    ...{ code: 1, stdout: /^$/ },
    stderr: /^(wrong\.yaml:2: soar: .*\n)+alert-relay: wrong\.yaml is not applied: .*\n$/,
  })
})

t.test('openapi prints the committed document', async (t) => {
  const { stdout, ...rest } = await run(['openapi'])
  t.same(rest, { code: 0, stderr: '' })
  t.equal(stdout, await readFile(join(ROOT, 'openapi/openapi.json'), 'utf8'))
})

t.test('a closed stdout is no failure', async (t) => {
  t.match(await run(['--help'], {}, false), { code: 0, stderr: /^$/ })
})

t.test('commands work with a running relay, SIGTERM ends it with 0, and reseal works after that', async (t) => {
  const DATABASE_URL = (await createTestDatabaseUrl(t)) ?? ''
  const location = { DATABASE_URL, DATA_DIR: await createTestDataDir(t), ENCRYPTION_KEY: newKey() }
  const relay = await startRelay(t, { ...location, API_KEYS: 'a-key-for-the-command-line' })
  // on a slow machine the start blocks the event loop for so long that the first requests get 503
  await until(
    () => relay.api('GET', '/v1/webhooks'),
    ({ status }) => status === 200,
  )
  const settings = { RELAY_API_KEY: 'a-key-for-the-command-line', PORT: new URL(relay.url).port }

  const made = await run(['keys', 'create', '--name', 'ci', '--scope', 'read', '--expires', '90d'], settings)
  t.match(made, { code: 0, stdout: /^ark_\S+\n$/, stderr: /^key_\w+, scope read, .*\n$/ })
  const id = made.stderr.split(',')[0]!
  const reader = { ...settings, RELAY_API_KEY: made.stdout.trim() }
  await check(t, [
    { args: ['keys', 'list'], settings, code: 0, stdout: new RegExp(`^id .*\n${id} .*\n$`), stderr: /^$/ },
    {
      ...{ args: ['apply', '-f', 'right.yaml'], settings: reader, code: 1 },
      ...{ stdout: /^\+ soar\n/, stderr: /^done: nothing\nnot done: soar\nalert-relay: .*needs .*write.*\n$/ },
    },
  ])
  const apply = async (...more: string[]) => run(['apply', '-f', 'right.yaml', ...more], settings)
  t.match(await apply('--check'), { code: 2, stdout: /^\+ soar\n(.*\n)+1 to create, .*\n$/, stderr: /^$/ })
  t.match(await apply(), { code: 0, stdout: /\n1 created, .*\n$/, stderr: /^soar is wh_.*\n$/ })
  t.match(await apply('--check'), { code: 0, stdout: /^0 to create, .*\n$/, stderr: /^$/ })
  t.match(await run(['keys', 'revoke', id], settings), { code: 0, stdout: /^$/, stderr: `${id} is revoked\n` })
  await check(t, [
    { args: ['export'], settings, code: 0, stdout: /\n {2}- name: "?soar"?\n/, stderr: /^$/ },
    { args: ['export'], settings: reader, code: 1, stdout: /^$/, stderr: /^alert-relay: This key is not known.*\n$/ },
    {
      ...{ args: ['keys', 'revoke', `key_${'0'.repeat(32)}`], settings, code: 1 },
      ...{ stdout: /^$/, stderr: 'alert-relay: There is no such key.\n' },
    },
  ])
  t.equal(await relay.stop(), 0)

  const other = await run(['reseal'], { ...location, ENCRYPTION_KEY: newKey(), NEW_ENCRYPTION_KEY: newKey() })
  t.match(other, { code: 1, stdout: /^$/, stderr: /^alert-relay: the current key is not the one that sealed .*\n$/ })
  const resealed = await run(['reseal'], { ...location, NEW_ENCRYPTION_KEY: newKey() })
  // the secret and the URL of a webhook, and the two answers that a repeated request would get
  t.match(resealed, { code: 0, stdout: /^resealed values: 4; .*\n$/, stderr: /^start every relay with .*\n$/ })
})

function newKey(): string {
  return randomBytes(32).toString('base64')
}
