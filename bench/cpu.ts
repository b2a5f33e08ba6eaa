/**
 * CPU time of processes, from Linux's /proc. Unlike a rate, it does not depend on other load on the machine.
 */
import { readdir, readFile } from 'node:fs/promises'
import { Redis } from 'ioredis'
import { askPostgres, type Storage } from './backend.js'
import type { Relay } from './relay.js'

/** Milliseconds. */
export interface CpuTimes {
  relay: number
  postgres: number
  redis: number
}

/** Linux counts in ticks of 10 ms (USER_HZ). */
const TICK_MS = 10

/** The CPU time used so far by the relay's processes and its servers; undefined on other systems than Linux. */
export async function readCpu(storage: Storage, relays: readonly Relay[]): Promise<CpuTimes | undefined> {
  if (process.platform !== 'linux') return undefined
  const own = await Promise.all(relays.map(({ pid }) => cpuMs(pid)))
  return {
    relay: own.reduce((sum, ms) => sum + ms, 0),
    postgres: storage.databaseUrl === undefined ? 0 : await postgresMs(storage.databaseUrl),
    redis: storage.redisUrls[0] === undefined ? 0 : await redisMs(storage.redisUrls[0]),
  }
}

/** The CPU time per unit of work, beside the bare loop, as text; empty when it is not known. */
export function cpuNote(
  before: CpuTimes | undefined,
  after: CpuTimes | undefined,
  count: number,
  bareMsEach: number,
): string {
  if (!before || !after) return ''
  const each = (key: keyof CpuTimes) => ((after[key] - before[key]) / count).toFixed(3)
  return `CPU ms each: relay ${each('relay')}, PostgreSQL ${each('postgres')}, Redis ${each('redis')}; bare ${bareMsEach.toFixed(3)}`
}

/** The CPU time of one process, in milliseconds; 0 when it is not known. */
export async function cpuMs(pid: number): Promise<number> {
  return (await statOf(pid))?.ownMs ?? 0
}

/** The postmaster, its ended children and its running ones. */
async function postgresMs(url: string): Promise<number> {
  const [row] = await askPostgres<{ pid: string }>(
    url,
    `select split_part(pg_read_file('postmaster.pid'), chr(10), 1) as pid`,
  )
  const postmaster = Number(row!.pid)
  let sum = 0
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = await statOf(Number(name))
    if (stat && (stat.pid === postmaster || stat.parent === postmaster)) sum += stat.ownMs
    if (stat?.pid === postmaster) sum += stat.childrenMs
  }
  return sum
}

async function redisMs(url: string): Promise<number> {
  const redis = new Redis(url)
  const pid = Number(/process_id:(\d+)/.exec(await redis.info('server'))?.[1])
  redis.disconnect()
  return cpuMs(pid)
}

/** proc(5): after the command in parentheses, the parent is field 4, utime, stime, cutime and cstime are 14 to 17. */
async function statOf(pid: number) {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const ticks = (number: number) => Number(fields[number - 3]) * TICK_MS
  return { pid, parent: Number(fields[1]), ownMs: ticks(14) + ticks(15), childrenMs: ticks(16) + ticks(17) }
}
