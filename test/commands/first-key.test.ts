import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { createTestDataDir } from '../helpers/backends.js'

const CONTROL_C = '\x03'
const CLI = join(import.meta.dirname, '../../src/cli.js')

/**
 * Starts the command and stops it once it has said where the API is, or when it ends by itself.
 * @param terminal true: its output is a terminal
 * @returns what it printed but the lines of its log
 */
async function greeting(t: Test, env: Record<string, string>, { terminal = false } = {}): Promise<string> {
  const [command, args] = terminal
    ? ['script', ['-qec', `${process.execPath} ${CLI} serve`, '/dev/null']]
    : [process.execPath, [CLI, 'serve']]
  const child = spawn(command, args, {
    env: { PATH: process.env.PATH, PORT: '0', LOG_LEVEL: 'silent', SHELL: '/bin/sh', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let printed = ''
  child.stderr.on('data', (chunk) => (printed += String(chunk)))
  createInterface(child.stdout).on('line', (line) => {
    printed += `${line}\n`
    // the greeting ends with an empty line
    if (!printed.includes('Swagger UI') || line.trim() !== '') return
    if (terminal) child.stdin.write(CONTROL_C)
    else child.kill('SIGTERM')
  })
  await once(child, 'close')
  return printed
}

t.test(
  'the first key is told to a terminal once, and everything else is told where it is, at every start',
  async (t) => {
    const dataDir = await createTestDataDir(t)
    const env = { DATA_DIR: dataDir }
    const blocker = createServer().listen(0, '127.0.0.1')
    t.teardown(() => blocker.close())
    await once(blocker, 'listening')
    const { port } = blocker.address() as AddressInfo
    t.match(await greeting(t, { ...env, PORT: String(port) }), /^alert-relay: HOST and PORT .* cannot be listened on/)
    const path = join(dataDir, 'api-key')
    const key = (await readFile(path, 'utf8')).trim()
    for (const start of ['after one that failed', 'again']) {
      const printed = await greeting(t, env)
      t.match(printed, `  API key     in ${path}\n`, start)
      t.notMatch(printed, key)
    }
    const withSetting = await greeting(t, { ...env, API_KEYS: 'a-key-of-sixteen-characters' })
    t.match(withSetting, /Swagger UI/)
    t.notMatch(withSetting, /API key/, 'the file is not what counts')
  },
)

t.test('a terminal is shown the key by the process that made it', async (t) => {
  const dataDir = await createTestDataDir(t)
  const first = await greeting(t, { DATA_DIR: dataDir }, { terminal: true })
  const key = (await readFile(join(dataDir, 'api-key'), 'utf8')).trim()
  t.match(first, `  API key     ${key}   (kept in ${join(dataDir, 'api-key')}; shown this once)`)
  const second = await greeting(t, { DATA_DIR: dataDir }, { terminal: true })
  t.match(second, `  API key     in ${join(dataDir, 'api-key')}`)
  t.notMatch(second, key)
})

t.test('what is not a terminal is never told the key', async (t) => {
  const dataDir = await createTestDataDir(t)
  const printed = await greeting(t, { DATA_DIR: dataDir })
  t.match(printed, `  API key     in ${join(dataDir, 'api-key')}`)
  t.notMatch(printed, /ark_/)
})
