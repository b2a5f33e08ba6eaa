/** Records when PostgreSQL or Redis were disturbed: a process that failed to start during that time is not at fault. */
export interface Disturbances {
  /** Runs the work, which disturbs a server until it is done. */
  during(work: () => Promise<void>): Promise<void>
  /** True when a server was disturbed at or after this time. */
  since(timeMs: number): boolean
}

export function createDisturbances(): Disturbances {
  let active = 0
  let lastMs = -Infinity
  return {
    async during(work) {
      active++
      try {
        await work()
      } finally {
        active--
        lastMs = Date.now()
      }
    },
    since: (timeMs) => active > 0 || lastMs >= timeMs,
  }
}
