/**
 * Bounds the memory of request bodies over all connections of the process.
 *
 * Guarantee: open bodies hold at most `maxBytes` together. When they would hold more, the one that has been arriving for the
 * longest is refused: an honest body arrives within milliseconds, so whoever sends slowly gives way to everybody else. A body that
 * has arrived keeps its place until its request is answered; when those alone fill the budget, what arrives is refused.
 */
export interface BodyBudget {
  /** @param refuse is called once if the body must give way; it holds nothing then */
  open(refuse: () => void): OpenBody
  /** Bytes that are held. */
  held(): number
}

export interface OpenBody {
  /** Counts a chunk that has arrived. */
  add(bytes: number): void
  /** It has arrived as a whole, and no longer gives way. */
  complete(): void
  /** The request is answered, or its connection gone. */
  release(): void
}

/** What a chunk of any length takes besides its bytes. */
const CHUNK_OVERHEAD = 200

export function createBodyBudget(maxBytes: number): BodyBudget {
  let held = 0
  /** In the order in which they began. */
  const arriving = new Set<{ bytes: number; refuse: () => void }>()

  function giveWay(body: { bytes: number; refuse: () => void }): void {
    arriving.delete(body)
    held -= body.bytes
    body.bytes = 0
    body.refuse()
  }

  return {
    open(refuse) {
      const body = { bytes: 0, refuse }
      arriving.add(body)
      return {
        add(bytes) {
          if (!arriving.has(body)) return
          body.bytes += bytes + CHUNK_OVERHEAD
          held += bytes + CHUNK_OVERHEAD
          for (const oldest of arriving) {
            if (held <= maxBytes) break
            if (oldest.bytes > 0) giveWay(oldest)
          }
        },
        complete: () => void arriving.delete(body),
        release() {
          arriving.delete(body)
          held -= body.bytes
          body.bytes = 0
        },
      }
    },
    held: () => held,
  }
}
