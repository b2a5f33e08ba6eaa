/** The content of an event, read for those who receive it: only as much of its alert as their bodies may hold. */
import { recallContext, type ChangeRef } from '../alert/alert-store.js'
import type { StoredEvent } from '../event/event.js'
import { formatEvent, type Coalesced, type EventContent } from '../format/body.js'
import type { Queryable } from '../platform/database.js'
import { stringifyJson } from '../platform/json.js'
import { DEFAULT_MAX_BODY_BYTES, type Webhook } from '../webhook/webhook.js'

/** What of a webhook decides how much of an alert is read. */
export type Reader = Pick<Webhook, 'max_body_bytes' | 'filter'>

/** The API shows an event as a webhook with the default limit receives it. */
const DEFAULT_READER: Reader = { max_body_bytes: DEFAULT_MAX_BODY_BYTES, filter: null }

/** The content of an event and of the changes that are coalesced into it; the same at every call. */
export async function loadContent(
  db: Queryable,
  event: StoredEvent,
  { reader = DEFAULT_READER, coalesced }: { reader?: Reader; coalesced?: Coalesced } = {},
): Promise<EventContent> {
  const change = changeOf(event, needsWhole(reader, event))
  const memory = change && (await recallContext(db, { ...change, earlier: coalesced?.sequences }))
  return formatEvent(event, memory, coalesced)
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
