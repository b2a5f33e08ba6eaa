/** Answers that many may ask for, and that cost something. */

/**
 * Asks once for all calls that come while the answer is on its way, or within `keptMs` of the asking: they share it. A failure
 * is shared like an answer.
 * @param now milliseconds of a clock that only goes forward
 */
export function shareAnswer<T>(ask: () => Promise<T>, keptMs: number, now = () => performance.now()): () => Promise<T> {
  let shared: { answer: Promise<T>; askedMs: number; isUnderWay: boolean } | undefined
  return () => {
    if (shared && (shared.isUnderWay || now() - shared.askedMs < keptMs)) return shared.answer
    const asked = { answer: ask(), askedMs: now(), isUnderWay: true }
    const settled = () => void (asked.isUnderWay = false)
    asked.answer.then(settled, settled)
    shared = asked
    return asked.answer
  }
}
