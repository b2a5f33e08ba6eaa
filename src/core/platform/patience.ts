/** Waiting for work that is under way: not for ever, and for room to begin more of it. */

export interface Patience {
  /** It begins anew. */
  renew(): void
  /** Resolves when the work has ended in whatever way, or patience is over. */
  or(work: Promise<unknown>): Promise<void>
  end(): void
}

/** Patience of so many milliseconds, which its owner ends. */
export function createPatience(ms: number): Patience {
  let end!: () => void
  const over = new Promise<void>((resolve) => (end = resolve))
  const timer = setTimeout(() => end(), ms)
  return {
    renew: () => void timer.refresh(),
    async or(work) {
      await Promise.race([work.catch(() => {}), over])
    },
    end() {
      clearTimeout(timer)
      end()
    },
  }
}

/** Counts what is open; who adds too much waits until there is room again. */
export function createOpen(most: number) {
  const ends = new Set<Promise<void>>()
  let count = 0
  return {
    async add(size: number, ended: Promise<void>): Promise<void> {
      count += size
      const end = ended
        .catch(() => {})
        .then(() => {
          count -= size
          ends.delete(end)
        })
      ends.add(end)
      for (;;) {
        if (count <= most) return
        await Promise.race(ends)
      }
    },
  }
}
