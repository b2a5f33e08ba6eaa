/** The commands `apply` and `export` on a relay in this process, as the command line runs them. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { applyCommand } from '../../src/commands/apply.js'
import { exportCommand } from '../../src/commands/export.js'
import { createTestApp, TEST_KEY } from './app.js'

type Variables = Record<string, string>

/** Opens a relay, and runs commands on it as the command line does. */
export async function openRelay(t: Test) {
  const app = await createTestApp(t)
  const url = await app.http.listen({ host: '127.0.0.1', port: 0 })
  const folder = t.testdir({})
  const requests: string[] = []
  app.http.server.on('request', ({ method, url }) => requests.push(`${method} ${url?.split('?')[0]}`))

  const command = async (to: string, args: string[], env: Variables) => {
    const [printed, notes]: [string[], string[]] = [[], []]
    const io = {
      env: { API_KEYS: TEST_KEY, ...env },
      print: (line: string) => printed.push(line),
      note: (line: string) => notes.push(line),
    }
    const { run } = args[0] === 'export' ? exportCommand : applyCommand
    const [code, message] = await run([...args.slice(1), '--url', to], io).then(
      (code) => [code, ''] as const,
      (error: Error) => [undefined, error.message] as const,
    )
    return { code, message, printed, notes }
  }
  return {
    app,
    url,
    /** Returns the requests since the last call. */
    takeRequests: () => requests.splice(0),
    apply: async (yaml: string, args: string[] = [], env: Variables = {}, to = url) => {
      const file = join(folder, 'webhooks.yaml')
      await writeFile(file, yaml)
      const result = await command(to, ['apply', '-f', file, ...args], env)
      const plain = (text: string) => text.replaceAll(file, 'FILE')
      return { ...result, message: plain(result.message), notes: result.notes.map(plain) }
    },
    export: async (args: string[] = []) => (await command(url, ['export', ...args], {})).printed.join('\n'),
  }
}
