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
import type { Queues } from '../platform/queues.js'
import type { StoredEvent } from './event.js'
import { findLatestChange, insertEvent, setAlertMoment } from './event-store.js'

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
  await queues.addDispatches(ids)
  return ids.length
}

async function storeQuiet(tx: Queryable, alert: QuietAlert, now: Date): Promise<string> {
  const event: StoredEvent = {
    id: newId('evt'),
    type: 'alert.quiet',
    messageId: null,
    topicArn: null,
    alertId: alert.id,
    sequence: alert.sequence,
    severity: alert.severity,
    previousSeverity: null,
    title: alert.title,
    subject: null,
    matchCount: alert.matchCount,
    updateCount: alert.updateCount,
    payload: quietPayload(await findLatestChange(tx, alert.id), alert),
    sentAt: now,
    receivedAt: now,
    dispatchedAt: null,
  }
  await insertEvent(tx, event)
  await setAlertMoment(tx, event)
  return event.id
}

/** The latest state of the alert, and nothing that came in. Where its last change is deleted, what its row tells. */
function quietPayload(latest: string | undefined, { id, title, severity }: QuietAlert): string {
  const change = latest === undefined ? undefined : parseJson(latest)
  const alert =
    isJsonObject(change) && isJsonObject(change.updated_alert) ? change.updated_alert : { id, title, severity }
  return stringifyJson({ updated_alert: alert, incoming_rule_matches_context: {}, context_diff: {} })
}
