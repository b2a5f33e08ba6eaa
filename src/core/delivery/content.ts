/** The content of an event, read for those who receive it: only as much of its alert as their bodies may hold. */
import { recallContext, recallContexts, type AlertMemory, type ChangeRef } from '../alert/alert-store.js'
import type { StoredEvent } from '../event/event.js'
import { formatEvent, type Coalesced, type EventContent } from '../format/body.js'
import { createBatcher } from '../platform/batcher.js'
import type { Queryable } from '../platform/database.js'
import { stringifyJson } from '../platform/json.js'
import { DEFAULT_MAX_BODY_BYTES, type Webhook } from '../webhook/webhook.js'

/** What of a webhook decides how much of an alert is read. */
export type Reader = Pick<Webhook, 'max_body_bytes' | 'filter'>

/** The API shows an event as a webhook with the default limit receives it. */
const DEFAULT_READER: Reader = { max_body_bytes: DEFAULT_MAX_BODY_BYTES, filter: null }

/** Reads what an alert held. @param bytes about as many as that is */
export type Recall = (change: ChangeRef, bytes: number) => Promise<AlertMemory>

/** What is read in one statement: changes that are asked for at about the same time, up to so many bytes. */
const RECALLED = { maxWeight: 2 * 1024 * 1024, concurrency: 2 }
/** The least weight of a change: it bounds how many are read in one statement. */
const LEAST_WEIGHT = 16 * 1024

/** Reads what many attempts ask for together. */
export function createRecall(db: Queryable): Recall {
  const recall = createBatcher(
    (asked: { change: ChangeRef; bytes: number }[]) =>
      recallContexts(
        db,
        asked.map(({ change }) => change),
      ),
    { ...RECALLED, weightOf: ({ bytes }) => Math.max(LEAST_WEIGHT, bytes) },
  )
  return (change, bytes) => recall({ change, bytes })
}

export interface LoadOptions {
  reader?: Reader
  coalesced?: Coalesced
  /** How many changes without news it counts besides. */
  spared?: number
  recall?: Recall
}

/** The content of an event and of the changes that are coalesced into it; the same at every call. */
export async function loadContent(
  db: Queryable,
  event: StoredEvent,
  { reader = DEFAULT_READER, coalesced, spared, recall = (change) => recallContext(db, change) }: LoadOptions = {},
): Promise<EventContent> {
  const whole = needsWhole(reader, event)
  const change = changeOf(event, whole)
  const memory = change && (await recall({ ...change, earlier: coalesced?.sequences }, whole ? event.heldBytes : 0))
  return formatEvent(event, memory, coalesced, spared)
}

/** About how many bytes the body of an event holds while its attempt is under way. */
export function bytesOf(reader: Reader, event: StoredEvent): number {
  return event.payload.length + (needsWhole(reader, event) ? event.heldBytes : 0)
}

/**
 * True where a body may hold the whole context of its alert. The JSON of a context is longer than that of its values, so a
 * body is cut for certain when these exceed the limit; then the whole is read only if the filter selects by it.
 */
export function needsWhole({ max_body_bytes: maxBytes, filter }: Reader, { heldBytes }: StoredEvent): boolean {
  return heldBytes <= maxBytes || (filter !== null && /[".]context[".]/.test(stringifyJson(filter)))
}

/**
 * The change of an alert that an event is; undefined for other events.
 * @param whole false: only what is new in it is needed
 */
export function changeOf({ alertId, sequence }: StoredEvent, whole: boolean): ChangeRef | undefined {
  return alertId === null || sequence === null ? undefined : { alertId, sequence, whole }
}
