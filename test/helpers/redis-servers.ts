/** Redis servers that belong together: a primary with replicas, watched by Sentinels or not, and a cluster. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { sparePort } from './servers.js'
import { until } from './until.js'

export interface RedisNode {
  url: string
  port: number
  /** Sends one command. */
  command(...words: string[]): Promise<unknown>
  /** SIGSTOP: connections stay, nothing answers. */
  freeze(): void
  /** kill -9, and gone. */
  kill(): Promise<void>
}

type Owner = Pick<Test, 'teardown'>

/** A server with these lines as its configuration, besides port and folder. */
async function startNode(t: Owner, lines: readonly string[], flags: readonly string[] = []): Promise<RedisNode> {
  const dir = await mkdtemp(join(tmpdir(), 'alert-relay-redis-'))
  const port = await sparePort()
  const file = join(dir, 'redis.conf')
  await writeFile(file, [`port ${port}`, 'bind 127.0.0.1', `dir ${dir}`, ...lines, ''].join('\n'))
  const server: ChildProcess = spawn('redis-server', [file, ...flags], { stdio: 'ignore' })
  const exited = once(server, 'exit')
  const kill = async () => {
    server.kill('SIGKILL')
    await exited
  }
  t.teardown(async () => {
    await kill()
    await rm(dir, { recursive: true, force: true })
  })
  const url = `redis://127.0.0.1:${port}`
  const command = async (name: string, ...words: string[]) => {
    const client = new Redis(url, { retryStrategy: () => 50, maxRetriesPerRequest: null, enableReadyCheck: false })
    client.on('error', () => {})
    try {
      return await client.call(name, ...words)
    } finally {
      client.disconnect()
    }
  }
  await command('PING')
  return { url, port, command, freeze: () => void server.kill('SIGSTOP'), kill }
}

/** A primary and its replicas, which hold what it holds. */
export async function startReplicated(t: Owner, replicas: number): Promise<[RedisNode, ...RedisNode[]]> {
  const primary = await startNode(t, [])
  const others = await Promise.all(
    Array.from({ length: replicas }, () =>
      startNode(t, [`replicaof 127.0.0.1 ${primary.port}`, 'repl-diskless-sync-delay 0']),
    ),
  )
  for (const node of others) {
    await until(
      () => info(node),
      (text) => text.includes('master_link_status:up'),
    )
  }
  return [primary, ...others]
}

const info = async (node: RedisNode) => String(await node.command('INFO', 'replication'))

/** One primary, two replicas, three Sentinels. @returns the primary, a Sentinel, and the REDIS_URL */
export async function startSentinels(t: Owner): Promise<{ primary: RedisNode; sentinel: RedisNode; url: string }> {
  const [primary] = await startReplicated(t, 2)
  const sentinels = await Promise.all(
    Array.from({ length: 3 }, () =>
      startNode(
        t,
        [
          `sentinel monitor mymaster 127.0.0.1 ${primary.port} 2`,
          'sentinel down-after-milliseconds mymaster 1000',
          'sentinel failover-timeout mymaster 5000',
        ],
        ['--sentinel'],
      ),
    ),
  )
  for (const sentinel of sentinels) {
    const known = async () => String(await sentinel.command('INFO', 'sentinel'))
    await until(known, (text) => text.includes('slaves=2,sentinels=3'))
  }
  const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')
  return { primary, sentinel: sentinels[0]!, url: `redis+sentinel://${hosts}/mymaster` }
}

/** Three primaries with a replica each. @returns the nodes by where a key lives, and the REDIS_URL */
export async function startCluster(t: Owner) {
  const nodes = await Promise.all(
    Array.from({ length: 6 }, () => startNode(t, ['cluster-enabled yes', 'cluster-node-timeout 2000'])),
  )
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`)
  const options = ['--cluster-replicas', '1', '--cluster-yes']
  await promisify(execFile)('redis-cli', ['--cluster', 'create', ...addresses, ...options])
  for (const node of nodes) {
    const state = async () => String(await node.command('CLUSTER', 'INFO'))
    await until(state, (text) => text.includes('cluster_state:ok'))
    await until(
      () => info(node),
      (text) => text.includes('role:master') || text.includes('master_link_status:up'),
    )
  }
  /** The primary that holds a key, and a replica of it. */
  const holdersOf = async (key: string) => {
    const slot = Number(await nodes[0]!.command('CLUSTER', 'KEYSLOT', key))
    const slots = (await nodes[0]!.command('CLUSTER', 'SLOTS')) as [number, number, ...[string, number][]][]
    const [, , primary, replica] = slots.find(([from, to]) => from <= slot && slot <= to)!
    const at = (address: [string, number] | undefined) => nodes.find(({ port }) => port === address?.[1])!
    return { primary: at(primary), replica: at(replica) }
  }
  return { nodes, holdersOf, url: addresses.map((address) => `redis://${address}`).join(',') }
}
