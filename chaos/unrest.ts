/** When the servers that the relay stands on were last disturbed: a process that gave up starting meanwhile is excused. */
export interface Unrest {
  /** Disturbs something for as long as the work takes. */
  during(work: () => Promise<void>): Promise<void>
  /** True when anything was disturbed at or after this time. */
  since(timeMs: number): boolean
}

export function createUnrest(): Unrest {
  let disturbed = 0
  let lastMs = -Infinity
  return {
    async during(work) {
      disturbed++
      try {
        await work()
      } finally {
        disturbed--
        lastMs = Date.now()
      }
    },
    since: (timeMs) => disturbed > 0 || lastMs >= timeMs,
  }
}
