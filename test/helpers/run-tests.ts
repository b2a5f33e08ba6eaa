/** A test file in a process of its own, on the servers that a test started. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { ROOT } from '../../src/core/platform/root.js'

export interface TestServers {
  TEST_DATABASE_URL: string
  TEST_POOLER_URL?: string
  TEST_REDIS_URL?: string
}

/** @returns its exit code and what it printed; 0 when every test passed */
export async function runTests(file: string, servers: TestServers): Promise<{ code: number | null; output: string }> {
  const { TEST_REDIS_URL: _ours, ...environment } = process.env
  const child = spawn(process.execPath, ['--enable-source-maps', join(ROOT, 'dist', file.replace(/\.ts$/, '.js'))], {
    cwd: ROOT,
    env: { ...environment, ...servers },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
  const [code] = (await once(child, 'exit')) as [number | null]
  return { code, output }
}
