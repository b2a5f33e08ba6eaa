/**
 * Reads what is due at one webhook, ahead of the attempts where nothing but the number of attempts decides what is next.
 *
 * Guarantee: no delivery is returned twice unless it was put back. What was read ahead is read again after a second, and
 * when the webhook is not healthy, or has an order, coalescing, `only_new` or a rate.
 */
import type { Database } from '../platform/database.js'
import { sealsLate } from '../webhook/alert-changes.js'
import { rateOf, type Target } from '../webhook/webhook.js'
import { takeDue, type TakeOptions } from './coalesce.js'
import type { DueDelivery, DuePosition } from './delivery-queue-store.js'

export interface DueReader {
  /**
   * At most `limit` deliveries that are due, the longest due first.
   * @param options.skip those in flight or not recorded: they are still due in the database
   */
  take(target: Target, options: TakeOptions): Promise<DueDelivery[]>
  /** Set when the last `take` read nothing because the end was reached just before: it reads again after so long. */
  readonly pauseMs: number | undefined
  /** Takes back what was not started. */
  putBack(due: readonly DueDelivery[]): void
}

/** Rows of a page, and bytes of their events, at most. */
const PAGE = { rows: 256, bytes: 4 * 1024 * 1024 }
/** The bytes that an event is expected to have before the first page was read. */
const FIRST_EVENT_BYTES = 128 * 1024
const KEPT_MS = 1_000
/** The rows are read from the first on again so long after the last one was reached. */
const AGAIN_MS = 50

export function createDueReader(database: Database, now = () => performance.now()): DueReader {
  let ahead: DueDelivery[] = []
  /** The last row of the page before; undefined: the next page is the first. */
  let after: DuePosition | undefined
  let readMs = -Infinity
  let eventBytes = FIRST_EVENT_BYTES
  let pauseMs: number | undefined

  function forget(): void {
    ahead = []
    after = undefined
  }

  async function readPage(target: Target, options: TakeOptions): Promise<void> {
    const wanted = Math.max(options.limit, options.skip.length)
    const limit = Math.max(1, Math.min(wanted, PAGE.rows, Math.floor(PAGE.bytes / eventBytes)))
    const skip = [...options.skip, ...ahead.map(({ id }) => id)]
    readMs = now()
    const page = await takeDue(database, target, { ...options, skip, limit, after })
    ahead.push(...page)
    after = page.length < limit ? undefined : page.at(-1)
    const bytes = page.reduce((sum, { event }) => sum + event.payload.length, 0)
    if (page.length > 0) eventBytes = Math.ceil(bytes / page.length) + 1
  }

  return {
    get pauseMs() {
      return pauseMs
    },
    async take(target, options) {
      pauseMs = undefined
      if (!mayReadAhead(target, options)) {
        forget()
        return takeDue(database, target, options)
      }
      if (now() - readMs > KEPT_MS) forget()
      if (ahead.length < options.limit) {
        const isAtEnd = after === undefined && options.skip.length > 0 && now() - readMs < AGAIN_MS
        if (isAtEnd) pauseMs = AGAIN_MS
        else await readPage(target, options)
      }
      return ahead.splice(0, options.limit)
    },
    putBack(due) {
      ahead.unshift(...due)
    },
  }
}

function mayReadAhead(target: Target, { state, isProbe }: TakeOptions): boolean {
  const isFree = target.order === 'none' && !sealsLate(target) && rateOf(target) === null
  return isFree && state === 'healthy' && !isProbe
}
