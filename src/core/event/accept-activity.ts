/**
 * Accepting CloudTrail activity, where it is switched on: it goes through the engine as a rule match, and every other message takes
 * its usual way.
 *
 * Guarantee: an activity is counted once for a day, in whichever messages it comes again: what identifies it is stored with the
 * count, in one transaction.
 */
import { createHash } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import type { Database } from '../platform/database.js'
import { CLOUDTRAIL_MARK, readActivity } from '../source/cloudtrail.js'
import type { SourceSettings } from '../source/settings.js'
import { CLOUDTRAIL } from '../source/source.js'
import type { Accept, Accepted } from './accept.js'
import type { AcceptMatches } from './accept-matches.js'
import { findEvent } from './event-store.js'
import type { IncomingMessage } from './event.js'
import { readMessage } from './reading.js'

export interface AcceptActivityOptions {
  database: Database
  accept: Accept
  acceptMatches: AcceptMatches
  sources: SourceSettings
  log: FastifyBaseLogger
  now?: () => Date
}

export function createAcceptActivity(options: AcceptActivityOptions): Accept {
  const { accept, acceptMatches, sources, log, now = () => new Date() } = options
  if (!sources.enabled.has(CLOUDTRAIL)) return accept
  return async (message) => {
    const activity = message.message.includes(CLOUDTRAIL_MARK)
      ? readActivity(readMessage(message.message).document, sources)
      : undefined
    if (!activity) return accept(message)
    const at = now()
    const key = identityOf(message, activity.id)
    const idempotency = key === null ? undefined : { key, caller: CLOUDTRAIL, route: CLOUDTRAIL }
    const [alert] = await acceptMatches([activity.match], { idempotency, log })
    const taken = alert?.event_id ? await takenOf(options.database, alert.event_id, at) : undefined
    return taken ?? accept(message) // its event is deleted already: a repeat after RETENTION_DAYS
  }
}

/** The same in every message that repeats the activity; null: nothing tells. */
function identityOf({ messageId, topicArn }: IncomingMessage, envelopeId: string | undefined): string | null {
  const id = envelopeId === undefined ? messageId : JSON.stringify([topicArn, envelopeId])
  return id === null ? null : createHash('sha256').update(id).digest('hex')
}

async function takenOf(database: Database, eventId: string, at: Date): Promise<Accepted | undefined> {
  const event = await findEvent(database, eventId)
  if (!event) return undefined
  const { rows } = await database.query<{ count: bigint }>(
    'select count(*) from alert_values where alert_id = $1 and sequence = $2',
    [event.alertId, event.sequence],
  )
  const result = event.receivedAt < at ? 'duplicate' : 'stored'
  return { result, event, newValues: Number(rows[0]!.count), eventIds: [event.id] }
}
