/**
 * The choice of a probe: the one delivery that is attempted while a webhook is failing or after it was held.
 *
 * Guarantee: a delivery whose body was never refused goes before those whose body was, and of either kind one of another
 * alert than the last probe's before those of the same, so that a body that no receiver takes does not keep a circuit open.
 */
import type { Queryable } from '../platform/database.js'
import { IS_FIRST_OF_ALERT, type DueOptions } from './delivery-queue-store.js'

/** Another alert is looked for among so many deliveries of each kind, the longest due: it bounds what a probe reads. */
const MAX_CANDIDATES = 1_000

/** What a probe is known by: its alert, or the delivery itself when its event is of no alert. */
const ALERT = 'coalesce(d.alert_id, d.id)'

/** The delivery that is to be the next probe of a webhook; undefined: none is due. */
export async function findProbe(db: Queryable, webhookId: string, options: DueOptions): Promise<string | undefined> {
  return (
    (await findCandidate(db, webhookId, 'not d.refused', options)) ??
    (await findCandidate(db, webhookId, 'd.refused', options))
  )
}

async function findCandidate(
  db: Queryable,
  webhookId: string,
  condition: 'd.refused' | 'not d.refused',
  { now, skip, inOrder }: DueOptions,
): Promise<string | undefined> {
  const { rows } = await db.query<{ id: string }>(
    `select d.id from (
       select d.* from deliveries d
       where d.webhook_id = $1 and d.status = 'pending' and d.next_attempt_at <= $2 and d.id <> all($3) and ${condition}
       ${inOrder ? IS_FIRST_OF_ALERT : ''}
       order by d.next_attempt_at, d.id limit ${MAX_CANDIDATES}) d
     join delivery_queues q on q.webhook_id = $1
     order by ${ALERT} is not distinct from q.probed_alert_id, d.next_attempt_at, d.id limit 1`,
    [webhookId, now, skip],
  )
  return rows[0]?.id
}

/** Keeps what the probe is known by, so that the next probe is another. */
export async function markProbed(db: Queryable, webhookId: string, deliveryId: string): Promise<void> {
  await db.query(
    `update delivery_queues q set probed_alert_id = ${ALERT} from deliveries d where q.webhook_id = $1 and d.id = $2`,
    [webhookId, deliveryId],
  )
}
