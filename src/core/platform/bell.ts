/** A bell: somebody waits for a time, unless it is rung. A ring that nobody waited for is kept for the next who does. */
export interface Bell {
  ring(): void
  /** Resolves when the bell is rung, or after `ms`. */
  wait(ms: number): Promise<void>
  /** Whether it was rung and nobody heard it; it is quiet again. */
  unheard(): boolean
}

export function createBell(): Bell {
  let rung = false
  let wake: (() => void) | undefined
  return {
    ring() {
      rung = true
      wake?.()
    },
    async wait(ms) {
      if (!rung) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      wake = undefined
      rung = false
    },
    unheard() {
      const was = rung
      rung = false
      return was
    },
  }
}
