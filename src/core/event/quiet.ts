/**
 * Quiet alerts. Upstream does not report the end of an alert, so an alert without changes for ALERT_QUIET_AFTER counts
 * as quiet.
 *
 * Guarantee: an alert that becomes quiet yields one `alert.quiet` event, however many processes run this; its next
 * change makes it active again.
 */
import { markQuiet, type QuietAlert } from '../alert/alert-store.js'
import type { Database, Queryable } from '../platform/database.js'
import { newId } from '../platform/id.js'
import { isJsonObject, stringifyJson, type JsonObject } from '../platform/json.js'
import { batchOf, type Queues } from '../platform/queues.js'
import { localEvent, type CountEvent } from './event.js'
import { findLatestChange, insertEvent } from './event-store.js'
import { storedChange } from './reading.js'

/**
 * Marks up to `limit` alerts that did not change since `before` as quiet, and stores and queues their events.
 * @returns how many
 */
export async function quietAlerts(
  options: { database: Database; queues: Pick<Queues, 'addDispatches'>; countEvent?: CountEvent },
  { before, now, limit }: { before: Date; now: Date; limit: number },
): Promise<number> {
  const { database, queues, countEvent } = options
  const ids = await database.transaction(async (tx) => {
    const eventIds: string[] = []
    for (const alert of await markQuiet(tx, before, now, limit)) eventIds.push(await storeQuiet(tx, alert, now))
    return eventIds
  })
  ids.forEach(() => countEvent?.({ type: 'alert.quiet', source: 'relay' }))
  await queues.addDispatches(ids.map(batchOf))
  return ids.length
}

async function storeQuiet(tx: Queryable, alert: QuietAlert, now: Date): Promise<string> {
  const { id: alertId, sequence, severity, title, source, matchCount, updateCount } = alert
  const payload = quietPayload(await findLatestChange(tx, alertId), alert)
  const state = { alertId, sequence, severity, title, source, matchCount, updateCount }
  const event = localEvent({ id: newId('evt'), type: 'alert.quiet', payload, ...state }, now)
  await insertEvent(tx, event)
  return event.id
}

/**
 * The alert of the latest change with empty contexts; from the row of `alerts` if retention has deleted that change.
 */
function quietPayload(latest: string | undefined, { id, title, severity, source }: QuietAlert): string {
  const known = latest === undefined ? undefined : storedChange(latest)?.updated_alert
  // the latest finding may be an older one, whose title and severity the alert does not have
  const shown: JsonObject = source === null ? {} : { title, severity }
  const alert: JsonObject = isJsonObject(known) ? { ...known, ...shown } : { id, title, severity }
  return stringifyJson({ updated_alert: alert, incoming_rule_matches_context: {}, context_diff: {} })
}
