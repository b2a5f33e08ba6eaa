/** For log lines that anybody can cause. */

/** @returns a function that is true at its first call, and then at most once in `everyMs` */
export function occasionally(everyMs: number, now = () => performance.now()): () => boolean {
  let next = -Infinity
  return () => {
    if (now() < next) return false
    next = now() + everyMs
    return true
  }
}
