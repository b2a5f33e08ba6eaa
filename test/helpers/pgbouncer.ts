/** PgBouncer in transaction mode before a PostgreSQL server. It refuses to run as root: then it runs as `postgres`. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import type { Test } from 'tap'
import { sparePort } from './servers.js'
import { until } from './until.js'

/** Fewer than a relay's connections, so that they take turns at the server's sessions. */
export const SESSIONS = 3

/** @returns the URL that leads through it */
export async function startPgbouncer(t: Pick<Test, 'teardown'>, serverUrl: string): Promise<string> {
  const { hostname, port: serverPort, pathname } = new URL(serverUrl)
  const dir = await mkdtemp(join(tmpdir(), 'alert-relay-pgbouncer-'))
  await chmod(dir, 0o755)
  const port = await sparePort()
  const users = join(dir, 'users.txt')
  const file = join(dir, 'pgbouncer.ini')
  await writeFile(users, '"postgres" ""\n')
  await writeFile(
    file,
    `[databases]
* = host=${hostname} port=${serverPort}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${users}
pool_mode = transaction
default_pool_size = ${SESSIONS}
`,
  )
  const child = spawn('pgbouncer', ['-q', file], { stdio: 'ignore', ...(await account()) })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
    await rm(dir, { recursive: true, force: true })
  })
  const url = `postgres://postgres@127.0.0.1:${port}${pathname}`
  const answers = async () => {
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => {})
    return client
      .connect()
      .then(() => client.end())
      .then(
        () => true,
        () => false,
      )
  }
  await until(answers, (isUp) => isUp)
  return url
}

async function account(): Promise<{ uid?: number; gid?: number }> {
  if (process.getuid?.() !== 0) return {}
  const id = async (flag: string) => Number((await promisify(execFile)('id', [flag, 'postgres'])).stdout)
  return { uid: await id('-u'), gid: await id('-g') }
}
