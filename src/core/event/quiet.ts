/**
 * Quiet alerts: upstream never says that an alert is over, so its silence does.
 *
 * Promise: an alert without changes for the set time yields one `alert.quiet` event, however many processes look; a change
 * makes it active again.
 */
import { markQuiet, type QuietAlert } from '../alert/alert-store.js'
import type { Database, Queryable } from '../platform/database.js'
import { newId } from '../platform/id.js'
import { isJsonObject, parseJson, stringifyJson } from '../platform/json.js'
import { batchOf, type Queues } from '../platform/queues.js'
import { localEvent } from './event.js'
import { findLatestChange, insertEvent } from './event-store.js'

/**
 * Makes the events of up to `limit` alerts that did not change since `before`.
 * @returns how many there were
 */
export async function quietAlerts(
  { database, queues }: { database: Database; queues: Pick<Queues, 'addDispatches'> },
  { before, now, limit }: { before: Date; now: Date; limit: number },
): Promise<number> {
  const ids = await database.transaction(async (tx) => {
    const made: string[] = []
    for (const alert of await markQuiet(tx, before, now, limit)) made.push(await storeQuiet(tx, alert, now))
    return made
  })
  await queues.addDispatches(ids.map(batchOf))
  return ids.length
}

async function storeQuiet(tx: Queryable, alert: QuietAlert, now: Date): Promise<string> {
  const { id: alertId, sequence, severity, title, matchCount, updateCount } = alert
  const payload = quietPayload(await findLatestChange(tx, alertId), alert)
  const moment = { alertId, sequence, severity, title, matchCount, updateCount }
  const event = localEvent({ id: newId('evt'), type: 'alert.quiet', payload, ...moment }, now)
  await insertEvent(tx, event)
  return event.id
}

/** The latest state of the alert, and nothing that came in. Where its last change is deleted, what its row tells. */
function quietPayload(latest: string | undefined, { id, title, severity }: QuietAlert): string {
  const change = latest === undefined ? undefined : parseJson(latest)
  const alert =
    isJsonObject(change) && isJsonObject(change.updated_alert) ? change.updated_alert : { id, title, severity }
  return stringifyJson({ updated_alert: alert, incoming_rule_matches_context: {}, context_diff: {} })
}
