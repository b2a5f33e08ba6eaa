/**
 * PostgreSQL and Redis servers that a test may freeze, stop and start: on free loopback ports, with their data in a
 * temporary folder, durable as in production. Their programs must be installed.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import type { Test } from 'tap'

const run = promisify(execFile)

export interface TestServer {
  url: string
  /** Sends SIGSTOP: connections stay open without responses. */
  freeze(): Promise<void>
  thaw(): Promise<void>
  /** Sends SIGKILL, and resolves when the server has ended. */
  kill(): Promise<void>
  start(): Promise<void>
}

export async function sparePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

export interface PostgresOptions {
  /** The URL of the server that it is a standby of. */
  standbyOf?: string
  /** For its data, which replace what is there; default: a folder of its own. */
  folder?: string
  /** As in postgresql.conf: name=value. */
  settings?: readonly string[]
}

export interface PostgresServer extends TestServer {
  /** A standby takes writes from now on. */
  promote(): Promise<void>
  /** Ends sessions and stops, as an operator does it; what was committed is sent to the standbys first. */
  stop(): Promise<void>
  /** False when it has ended, be it by itself. */
  isRunning(): Promise<boolean>
  /** Gives the server's account the folder. */
  own(folder: string): Promise<void>
}

/** PostgreSQL with one empty database. It refuses to run as root: then it runs as `postgres`. */
export async function startPostgres(
  t: Pick<Test, 'teardown'>,
  { standbyOf, folder, settings = [] }: PostgresOptions = {},
): Promise<PostgresServer> {
  const versions = (await readdir('/usr/lib/postgresql')).sort((a, b) => Number(a) - Number(b))
  const bin = `/usr/lib/postgresql/${versions.at(-1)}/bin`
  const dir = folder ?? (await mkdtemp(join(tmpdir(), 'alert-relay-postgres-')))
  const port = await sparePort()
  const isRoot = process.getuid?.() === 0
  const command = (program: string, args: string[]) =>
    isRoot ? run('runuser', ['-u', 'postgres', '--', `${bin}/${program}`, ...args]) : run(`${bin}/${program}`, args)
  const own = async (folder: string) => {
    if (isRoot) chownSync(folder, Number((await run('id', ['-u', 'postgres'])).stdout), 0)
  }
  await own(dir)
  const data = join(dir, 'data')
  await rm(data, { recursive: true, force: true })
  const options = [`-p ${port}`, 'listen_addresses=127.0.0.1', "unix_socket_directories=''", ...settings].join(' -c ')
  const control = (...args: string[]) => command('pg_ctl', ['-D', data, '-w', '-l', join(dir, 'log'), ...args])
  /** Signals every process of the server: the children of a frozen postmaster would still respond. */
  const signal = async (name: NodeJS.Signals) => {
    const [postmaster] = (await readFile(join(data, 'postmaster.pid'), 'utf8')).split('\n')
    const { stdout } = await run('ps', ['-o', 'pid=', '--ppid', postmaster!])
    for (const pid of [postmaster!, ...stdout.split('\n')].map(Number).filter((pid) => pid > 0)) {
      try {
        process.kill(pid, name)
      } catch (error) {
        // a child may have ended since the list was made
        if ((error as { code?: string }).code !== 'ESRCH') throw error
      }
    }
  }
  t.teardown(async () => {
    await signal('SIGCONT').catch(() => {})
    await control('-m', 'immediate', 'stop').catch(() => {})
    if (folder === undefined) await rm(dir, { recursive: true, force: true })
  })
  if (standbyOf) await command('pg_basebackup', ['-D', data, '-d', standbyOf, '-R', '-X', 'stream', '-c', 'fast'])
  else await command('initdb', ['-D', data, '-U', 'postgres', '-A', 'trust'])
  const start = async () => void (await control('-o', options, 'start'))
  await start()
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    kill: async () => void (await control('-m', 'immediate', 'stop')),
    start,
    promote: async () => void (await control('promote')),
    stop: async () => void (await control('-m', 'fast', 'stop')),
    isRunning: () =>
      control('status').then(
        () => true,
        () => false,
      ),
    own,
  }
}

/** Redis that writes every command to disk before it responds. */
export async function startRedis(t: Pick<Test, 'teardown'>): Promise<TestServer> {
  const dir = await mkdtemp(join(tmpdir(), 'alert-relay-redis-'))
  const port = await sparePort()
  const url = `redis://127.0.0.1:${port}`
  let server: ReturnType<typeof spawn> | undefined
  const start = async () => {
    const args = [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      dir,
      '--appendonly',
      'yes',
      '--appendfsync',
      'always',
    ]
    server = spawn('redis-server', args, { stdio: 'ignore' })
    const client = new Redis(url, { retryStrategy: () => 50, maxRetriesPerRequest: null })
    client.on('error', () => {})
    await client.ping()
    client.disconnect()
  }
  const kill = async () => {
    if (!server || server.exitCode !== null || server.signalCode !== null) return
    const exited = once(server, 'exit')
    server.kill('SIGCONT')
    server.kill('SIGKILL')
    await exited
  }
  t.teardown(async () => {
    await kill()
    await rm(dir, { recursive: true, force: true })
  })
  await start()
  return {
    url,
    freeze: async () => void server?.kill('SIGSTOP'),
    thaw: async () => void server?.kill('SIGCONT'),
    kill,
    start,
  }
}
