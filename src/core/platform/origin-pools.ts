/**
 * Connection pools by origin, each replaced after a time.
 *
 * Guarantee: a pool older than `maxAgeMs` gets no request, so that a changed DNS answer is noticed whatever the traffic.
 * A replaced pool is destroyed when its last request has ended, so that no request is aborted.
 *
 * undici's own `clientTtl` does not serve: requests that wait for a connection of a full pool are never sent once its
 * connections are too old.
 */
interface Entry<Pool> {
  pool: Pool
  bornMs: number
  inFlight: number
  isRetired: boolean
}

export interface OriginPools<Pool> {
  /** Runs the work with the pool of this origin. */
  use<T>(origin: string, work: (pool: Pool) => Promise<T>): Promise<T>
  /** Runs the work with a pool of its own, so that its connection is a new one. */
  useFresh<T>(origin: string, work: (pool: Pool) => Promise<T>): Promise<T>
  /** Destroys every pool; later work gets a destroyed one. */
  destroy(): Promise<void>
}

/** @param options.now milliseconds of a monotonic clock */
export function createOriginPools<Pool extends { destroy(): Promise<void> }>(options: {
  create: (origin: string) => Pool
  maxAgeMs: number
  now?: () => number
}): OriginPools<Pool> {
  const { create, maxAgeMs, now = () => performance.now() } = options
  /** Pools that get requests, the oldest first. */
  const current = new Map<string, Entry<Pool>>()
  /** All that are not destroyed. */
  const open = new Set<Entry<Pool>>()
  let closed = false

  function openPool(origin: string): Entry<Pool> {
    const entry = { pool: create(origin), bornMs: now(), inFlight: 0, isRetired: false }
    if (closed) void entry.pool.destroy()
    else open.add(entry)
    return entry
  }

  function entryFor(origin: string): Entry<Pool> {
    for (const [other, entry] of current) {
      if (now() - entry.bornMs < maxAgeMs) break
      current.delete(other)
      retire(entry)
    }
    const entry = current.get(origin) ?? openPool(origin)
    current.set(origin, entry)
    return entry
  }

  function retire(entry: Entry<Pool>): void {
    entry.isRetired = true
    if (entry.inFlight === 0 && open.delete(entry)) void entry.pool.destroy()
  }

  async function work<T>(entry: Entry<Pool>, task: (pool: Pool) => Promise<T>): Promise<T> {
    entry.inFlight++
    try {
      return await task(entry.pool)
    } finally {
      entry.inFlight--
      if (entry.isRetired) retire(entry)
    }
  }

  return {
    use: (origin, task) => work(entryFor(origin), task),
    useFresh(origin, task) {
      const entry = openPool(origin)
      entry.isRetired = true
      return work(entry, task)
    },
    async destroy() {
      closed = true
      const pools = [...open].map(({ pool }) => pool)
      current.clear()
      open.clear()
      await Promise.all(pools.map((pool) => pool.destroy()))
    },
  }
}
