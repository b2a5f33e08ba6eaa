/** A signal that one waiter waits for, with a timeout; sent while nobody waits, it is kept for the next wait. */
export interface Signal {
  notify(): void
  /** Resolves at the next signal, or after `ms`. */
  wait(ms: number): Promise<void>
  /** Whether a signal is kept; it is no longer kept afterwards. */
  consume(): boolean
}

export function createSignal(): Signal {
  let pending = false
  let wake: (() => void) | undefined
  return {
    notify() {
      pending = true
      wake?.()
    },
    async wait(ms) {
      if (!pending) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      wake = undefined
      pending = false
    },
    consume() {
      const was = pending
      pending = false
      return was
    },
  }
}
